"""
Embeddings on Bedrock: `InvokeModel`, in the format of each model's maker.

docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html and
…/model-parameters-embed.html, 2026-11.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from msgspec import Raw, Struct

from ...schema.embeddings import EmbeddingPart, Vectors
from ...wire import json
from ...wire.http import WireRequest, WireResponse
from ..base import Target
from ..cohere.embeddings import Floats, input_type
from ..embeddings import EmbeddingAPI, Limits, own_fields, read_vectors
from .models import find_model

TOKENS_HEADER = "x-amzn-bedrock-input-token-count"
"""Where each response has its tokens, in whatever format its body is."""


def _path(target: Target) -> str:
    return f"/model/{quote(find_model(target).id, safe='')}/invoke"


def _tokens(response: WireResponse) -> int | None:
    found = response.headers.get(TOKENS_HEADER, "")
    return int(found) if found.isdecimal() else None


# ---- Titan: one text in a call ----


class _TitanResponse(Struct, frozen=True, rename="camel"):
    embedding: Raw
    input_text_token_count: int | None = None


def encode_titan(part: EmbeddingPart, target: Target) -> WireRequest:
    """The request; without `embeddingTypes`, the vector is of floats."""
    fields = own_fields(part, {"dimensions": part.dimensions})
    return WireRequest(_path(target), json.encode({"inputText": part.inputs[0], **fields}))


def decode_titan(response: WireResponse, _target: Target) -> Vectors:
    """The vector."""
    body = json.decode(response.body, type=_TitanResponse)
    tokens = body.input_text_token_count
    return Vectors(read_vectors([body.embedding]), _tokens(response) if tokens is None else tokens)


TITAN = EmbeddingAPI(
    encode_titan, decode_titan, Limits(inputs=1), has_input_type=False, own=frozenset({"normalize"})
)
# It has neither `dimensions` nor `normalize`: …/titan-embedding-models.html, 2026-11
TITAN_1 = EmbeddingAPI(
    encode_titan, decode_titan, Limits(inputs=1), has_input_type=False, has_dimensions=False
)


# ---- Cohere's models ----


class _CohereResponse(Struct, frozen=True):
    embeddings: Floats | list[Raw]


def encode_cohere(part: EmbeddingPart, target: Target) -> WireRequest:
    """The request, whose vectors are of floats by default."""
    body: dict[str, Any] = {
        "texts": part.inputs,
        "input_type": input_type(part),
        **own_fields(part, {"output_dimension": part.dimensions}),
    }
    return WireRequest(_path(target), json.encode(body))


def decode_cohere(response: WireResponse, _target: Target) -> Vectors:
    """The vectors: a list, or under the name of their type, which version 4 has."""
    found = json.decode(response.body, type=_CohereResponse).embeddings
    values = found.floats if isinstance(found, Floats) else found
    return Vectors(read_vectors(values), _tokens(response))


# 96 texts: the page above. Version 3 has no `output_dimension`. 2026-11
COHERE = EmbeddingAPI(
    encode_cohere, decode_cohere, Limits(inputs=96), own=frozenset({"truncate"}), width=1_536
)
COHERE_3 = EmbeddingAPI(
    encode_cohere,
    decode_cohere,
    Limits(inputs=96),
    has_dimensions=False,
    own=frozenset({"truncate"}),
    width=1_024,
)


def find_api(target: Target) -> EmbeddingAPI | None:
    """The API of a model's maker, by the model's name."""
    kind = find_model(target).kind
    if "titan-embed" in kind:
        return TITAN_1 if "-v1" in kind or "g1" in kind else TITAN
    if "cohere.embed" in kind:
        return COHERE_3 if "-v3" in kind else COHERE
    return None
