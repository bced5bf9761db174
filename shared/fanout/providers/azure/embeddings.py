"""Azure's embeddings: OpenAI's, at the deployment's path. Its limits are OpenAI's, 2026-11."""

from __future__ import annotations

from msgspec.structs import replace

from ...schema.embeddings import EmbeddingPart
from ...wire.http import WireRequest
from ..base import Target
from ..embeddings import EmbeddingAPI
from ..openai import embeddings as openai
from .chat import find_path


def encode(part: EmbeddingPart, target: Target) -> WireRequest:
    """OpenAI's request, for a deployment."""
    path = find_path(target.options.get("api_version", ""), target, "embeddings")
    return openai.encode(part, target, path=path)


def find_api(target: Target) -> EmbeddingAPI:
    """The API of a deployment; only its `base_model` shows which model it is."""
    return replace(openai.find_api(target), encode=encode, has_input_type=False)
