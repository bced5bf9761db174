"""
Cohere's embeddings, and what Bedrock's have in common with them.

docs.cohere.com/reference/embed, 2026-11.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct

from ...schema.embeddings import DOCUMENT, QUERY, EmbeddingPart, Vectors, role_of
from ...wire import json
from ...wire.http import WireRequest, WireResponse
from ..base import Target
from ..embeddings import EmbeddingAPI, Limits, own_fields, read_vectors

# "Maximum number of texts per call is 96." 2026-11
LIMITS = Limits(inputs=96)
OWN = frozenset({"max_tokens", "priority", "truncate"})

_TYPES = {QUERY: "search_query", DOCUMENT: "search_document"}


def input_type(part: EmbeddingPart) -> str:
    """Cohere's value, which it requires: by default, the inputs are documents to search in."""
    role = role_of(part.input_type or DOCUMENT)
    return _TYPES.get(role, role)


def encode(part: EmbeddingPart, target: Target) -> WireRequest:
    """The request; only floats are the numbers that the other vendors return."""
    body: dict[str, Any] = {
        "model": target.model,
        "texts": part.inputs,
        "input_type": input_type(part),
        "embedding_types": ["float"],
        **own_fields(part, {"output_dimension": part.dimensions}),
    }
    return WireRequest("/v2/embed", json.encode(body))


class Floats(Struct, frozen=True, rename={"floats": "float"}):
    """The vectors of the type `float`."""

    floats: list[Raw]


class _Units(Struct, frozen=True):
    input_tokens: float | None = None


class _Meta(Struct, frozen=True):
    billed_units: _Units = _Units()


class _Response(Struct, frozen=True):
    embeddings: Floats
    meta: _Meta = _Meta()


def decode(response: WireResponse, _target: Target) -> Vectors:
    """The vectors, and the tokens that are billed."""
    body = json.decode(response.body, type=_Response)
    tokens = body.meta.billed_units.input_tokens
    return Vectors(read_vectors(body.embeddings.floats), None if tokens is None else int(tokens))


_API = EmbeddingAPI(encode, decode, LIMITS, own=OWN, width=1_536)


def find_api(_: Target) -> EmbeddingAPI:
    """The API of any of its models."""
    return _API
