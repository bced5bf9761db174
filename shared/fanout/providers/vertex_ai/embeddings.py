"""
Embeddings of Google's models on Vertex AI: `predict`, one instance for each text.

docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api, 2026-11.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct

from ...schema.embeddings import EmbeddingPart, Vectors
from ...wire import json
from ...wire.http import WireRequest, WireResponse
from ..base import Target
from ..embeddings import EmbeddingAPI, Limits, read_vectors
from ..gemini.embeddings import task_type
from .models import find_path, model_of

# The same page: 250 texts and 20,000 tokens, of Gemini's models one text. 2026-11
ONE, SEVERAL = Limits(inputs=1), Limits(inputs=250, tokens=20_000)


def encode(part: EmbeddingPart, target: Target) -> WireRequest:
    """The request."""
    shared: dict[str, Any] = {}
    if (kind := task_type(part)) is not None:
        shared["task_type"] = kind
    if "title" in part.body:
        shared["title"] = part.body["title"]
    body: dict[str, Any] = {"instances": [{"content": text, **shared} for text in part.inputs]}
    parameters = {
        name: value
        for name, value in {
            "outputDimensionality": part.dimensions,
            "autoTruncate": part.body.get("auto_truncate"),
        }.items()
        if value is not None
    }
    if parameters:
        body["parameters"] = parameters
    return WireRequest(find_path(target, "predict"), json.encode(body))


class _Statistics(Struct, frozen=True):
    token_count: float = 0


class _Embedding(Struct, frozen=True):
    values: Raw
    statistics: _Statistics = _Statistics()


class _Prediction(Struct, frozen=True):
    embeddings: _Embedding


class _Response(Struct, frozen=True):
    predictions: list[_Prediction]


def decode(response: WireResponse, _target: Target) -> Vectors:
    """The vectors, and the tokens of each text."""
    found = [one.embeddings for one in json.decode(response.body, type=_Response).predictions]
    tokens = sum(int(one.statistics.token_count) for one in found)
    return Vectors(read_vectors([one.values for one in found]), tokens)


OWN = frozenset({"auto_truncate", "task_type", "taskType", "title"})


def find_api(target: Target) -> EmbeddingAPI | None:
    """The API of a model of Google's."""
    model = model_of(target)
    if model.publisher != "google":
        return None
    limits = ONE if model.kind.startswith("gemini") else SEVERAL
    return EmbeddingAPI(encode, decode, limits, own=OWN, width=3_072)
