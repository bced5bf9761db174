"""
Embeddings in OpenAI's format, for OpenAI itself and for all who have copied it.

platform.openai.com/docs/api-reference/embeddings/create, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from msgspec import Raw, Struct
from msgspec.structs import replace

from ...schema.embeddings import EmbeddingPart, Vectors
from ...wire import json
from ...wire.http import WireRequest, WireResponse
from ..base import BadWire, Target
from ..embeddings import EmbeddingAPI, Limits, own_fields, read_vectors

PATH = "/embeddings"

# platform.openai.com/docs/api-reference/embeddings/create: "up to 2048 inputs", "a maximum of
# 300,000 tokens summed across all inputs in a single request", 2026-11
LIMITS = Limits(inputs=2_048, tokens=300_000)


class _Usage(Struct, frozen=True):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Item(Struct, frozen=True):
    embedding: Raw
    index: int | None = None


class _Response(Struct, frozen=True):
    data: list[_Item]
    usage: _Usage | None = None


def encode(
    part: EmbeddingPart,
    target: Target,
    *,
    path: str = PATH,
    renamed: Mapping[str, str] | None = None,
) -> WireRequest:
    """The request. `renamed` has the vendor's names of OpenAI's fields."""
    renamed = renamed or {}
    fields = {
        "dimensions": part.dimensions,
        "input_type": part.input_type,
        "user": part.user,
        "encoding_format": "base64" if part.encoding == "base64" else None,
    }
    body: dict[str, Any] = {
        "model": target.model,
        "input": part.inputs,
        **own_fields(part, {renamed.get(name, name): value for name, value in fields.items()}),
    }
    return WireRequest(path, json.encode(body))


def decode(response: WireResponse, _target: Target) -> Vectors:
    """The vectors by their `index`, in either form; raises `BadWire` if one is missing."""
    body = json.decode(response.body, type=_Response)
    items = body.data
    if all(item.index is not None for item in items):
        items = sorted(items, key=lambda item: item.index or 0)
        if [item.index for item in items] != list(range(len(items))):
            raise BadWire("the vectors have no or several entries for an `index`")
    usage = body.usage or _Usage()
    tokens = usage.total_tokens if usage.prompt_tokens is None else usage.prompt_tokens
    return Vectors(read_vectors([item.embedding for item in items]), tokens)


OPENAI = EmbeddingAPI(
    encode,
    decode,
    LIMITS,
    has_tokens=True,
    has_base64=True,
    has_input_type=False,
    has_user=True,
    own=None,
)

_NARROW, _WIDE = 1_536, 3_072
"""The widths of OpenAI's models: platform.openai.com/docs/guides/embeddings, 2026-11."""


def find_api(target: Target) -> EmbeddingAPI:
    """The API of a model of OpenAI's, or of another server's at `api_base`."""
    kind = target.options.get("base_model", target.model)
    width = _NARROW if kind.endswith(("-3-small", "-ada-002")) else _WIDE
    return replace(OPENAI, width=width, has_input_type="api_base" in target.options)


def make_api(limits: Limits, *, path: str = PATH, **accepted: Any) -> EmbeddingAPI:
    """The API of an OpenAI-compatible vendor; `accepted` are fields of `EmbeddingAPI`."""
    renamed = accepted.pop("renamed", None)
    given: dict[str, Any] = {"own": None, "has_user": True, **accepted}
    return EmbeddingAPI(partial(encode, path=path, renamed=renamed), decode, limits, **given)
