"""
Gemini's embeddings: `batchEmbedContents`, one content for each text.

Several parts of one content would become one vector. ai.google.dev/api/embeddings, 2026-11.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from msgspec import Raw, Struct

from ...schema.embeddings import DOCUMENT, QUERY, EmbeddingPart, Vectors, role_of
from ...wire import json
from ...wire.http import WireRequest, WireResponse
from ..base import Target
from ..embeddings import EmbeddingAPI, Limits, read_vectors

# "at most 100 requests can be in one batch", of 101: the API's own error; a body has 4 MiB. 2026-11
LIMITS = Limits(inputs=100, bytes=4_000_000)

_TYPES = {QUERY: "RETRIEVAL_QUERY", DOCUMENT: "RETRIEVAL_DOCUMENT"}


def task_type(part: EmbeddingPart) -> str | None:
    """Google's name of the `input_type`, or the vendor's own field."""
    given = part.input_type or part.body.get("task_type") or part.body.get("taskType")
    if given is None:
        return None
    role = role_of(str(given))
    return _TYPES.get(role, role.upper())


def encode(part: EmbeddingPart, target: Target) -> WireRequest:
    """The request, with a request of its own for each text."""
    model = target.model if "/" in target.model else f"models/{target.model}"
    shared: dict[str, Any] = {"model": model}
    if (kind := task_type(part)) is not None:
        shared["taskType"] = kind
    if "title" in part.body:
        shared["title"] = part.body["title"]
    if part.dimensions is not None:
        shared["outputDimensionality"] = part.dimensions
    requests = [{**shared, "content": {"parts": [{"text": text}]}} for text in part.inputs]
    path = f"/v1beta/{quote(model)}:batchEmbedContents"
    return WireRequest(path, json.encode({"requests": requests}))


class _Embedding(Struct, frozen=True):
    values: Raw


class _Response(Struct, frozen=True, rename="camel"):
    embeddings: list[_Embedding]
    usage_metadata: dict[str, Any] | None = None


def decode(response: WireResponse, _target: Target) -> Vectors:
    """The vectors, which are in the order of the requests."""
    body = json.decode(response.body, type=_Response)
    tokens = (body.usage_metadata or {}).get("promptTokenCount")
    found = read_vectors([item.values for item in body.embeddings])
    return Vectors(found, tokens if isinstance(tokens, int) else None)


OWN = frozenset({"task_type", "taskType", "title"})

_API = EmbeddingAPI(encode, decode, LIMITS, own=OWN, width=3_072)


def find_api(_: Target) -> EmbeddingAPI:
    """The API of any of its models."""
    return _API
