"""
Embeddings of OpenAI-compatible vendors and servers: each one's limits, and what differs.

A vendor that is not here gets what most of them accept. Dates are those of reading.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ..schema.embeddings import DOCUMENT, QUERY, EmbeddingPart, role_of
from ..wire.http import WireRequest
from .base import Target
from .embeddings import EmbeddingAPI, Limits
from .openai.embeddings import encode, make_api

OTHERS = make_api(Limits(inputs=256), has_tokens=True)
"""
Any other server with OpenAI's API. It may ignore or reject base64, so floats are requested; whether
it accepts lists of tokens is left to it.
"""

# docs.mistral.ai/api/endpoint/embeddings: `output_dimension`. "Too many inputs in request", of 257,
# and "Too many tokens overall, split into more batches", from 16,384. 2026-11
_MISTRAL = make_api(
    Limits(inputs=256, tokens=16_000),
    has_base64=True,
    has_input_type=False,
    has_user=False,
    renamed={"dimensions": "output_dimension"},
    width=1_536,
)

_VOYAGE_TOKENS = (
    (re.compile(r"lite"), 1_000_000),
    (re.compile(r"^voyage-(?:3\.5|4)$|^voyage-3$|^voyage-2$"), 320_000),
)
"""The most tokens of a call, else 120,000: docs.voyageai.com/docs/embeddings, 2026-11."""


def _encode_voyage(part: EmbeddingPart, target: Target) -> WireRequest:
    """The request; `input_type` is `query` or `document` there."""
    if part.input_type is not None:
        from msgspec.structs import replace

        part = replace(part, input_type=role_of(part.input_type))
    return encode(part, target, renamed={"dimensions": "output_dimension"})


def _voyage(target: Target) -> EmbeddingAPI:
    """docs.voyageai.com/reference/embeddings-api, 2026-11: 1,000 texts; `base64` is one format."""
    tokens = next((most for name, most in _VOYAGE_TOKENS if name.search(target.model)), 120_000)
    from .openai.embeddings import decode

    return EmbeddingAPI(
        _encode_voyage,
        decode,
        Limits(inputs=1_000, tokens=tokens),
        has_base64=True,
        own=frozenset({"truncation"}),
        width=2_048,
    )


def _encode_nvidia(part: EmbeddingPart, target: Target) -> WireRequest:
    """The request; `input_type` is `query` or `passage` there, and most models require it."""
    from msgspec.structs import replace

    role = role_of(part.input_type or DOCUMENT)
    found = {QUERY: "query", DOCUMENT: "passage"}.get(role, role)
    return encode(replace(part, input_type=found), target)


def _nvidia(_: Target) -> EmbeddingAPI:
    """docs.nvidia.com/nim/nemo-retriever/text-embedding, 2026-11."""
    from .openai.embeddings import decode

    return EmbeddingAPI(_encode_nvidia, decode, Limits(inputs=128), has_user=True, own=None)


def _always(api: EmbeddingAPI) -> Callable[[Target], EmbeddingAPI]:
    return lambda _: api


ROWS: Mapping[str, Callable[[Target], EmbeddingAPI] | None] = {
    # They have no embeddings: their API references, 2026-11
    **dict.fromkeys(("cerebras", "codestral", "deepseek", "groq", "xai"), None),
    # deepinfra.com/docs/advanced/openai_api: 1,024 inputs; null is an error. 2026-11
    "deepinfra": _always(make_api(Limits(inputs=1_024), width=4_096)),
    # No limit is documented; LangChain's client for JavaScript sends 8. 2026-11
    "fireworks_ai": _always(make_api(Limits(inputs=8))),
    # docs.vllm.ai/en/latest/models/pooling_models: old versions reject base64. 2026-11
    "hosted_vllm": _always(make_api(Limits(inputs=256), has_tokens=True)),
    # llama.cpp's server on the CPU, such as that of `fanout local`: small calls end in time.
    "local": _always(make_api(Limits(inputs=16, tokens=4_000), has_tokens=True, has_user=False)),
    "mistral": _always(_MISTRAL),
    "nvidia_nim": _nvidia,
    # docs.ollama.com/api/openai-compatibility: strings only. 2026-11
    "ollama": _always(make_api(Limits(inputs=256), has_user=False, has_input_type=False)),
    # No limit is documented; LangChain sends 512. 2026-11
    "together_ai": _always(make_api(Limits(inputs=512))),
    "voyage": _voyage,
}


def find_api(name: str, target: Target) -> EmbeddingAPI | None:
    """The API of the row called `name`; `None` if the vendor has no embeddings."""
    find = ROWS.get(name, _always(OTHERS))
    return None if find is None else find(target)
