"""
What a provider's API for embeddings is: a codec, its limits for a call, and what it accepts.

Pure, as all codecs. A folder has its own in `embeddings.py`; `embedding_rows.py` has those of
vendors without a folder. Imported with the first request for embeddings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Raw, Struct
from msgspec.structs import replace

from ..errors import Unsupported
from ..schema.embeddings import EmbeddingPart, Vectors
from ..wire.http import WireRequest, WireResponse
from ..wire.vectors import NotAVector, checked, width
from .base import BadWire, Target


class Limits(Struct, frozen=True):
    """
    The most of one call: inputs, tokens of all of them, and bytes of the request's body.

    Without a number there is no limit, or none is known.
    """

    inputs: int
    tokens: int | None = None
    bytes: int | None = None


class EmbeddingAPI(Struct, frozen=True):
    """
    The API of one model.

    `encode` returns the same bytes for the same values. `decode` may raise `BadWire`, `WireError`
    or any msgspec error. `has_tokens`: an input may be a list of tokens; `has_base64`: vectors can
    be requested in base64. `own` are the vendor's fields that are sent on as they are, `None` for
    all. `width` is how many numbers a vector has at most without `dimensions`.
    """

    encode: Callable[[EmbeddingPart, Target], WireRequest]
    decode: Callable[[WireResponse, Target], Vectors]
    limits: Limits
    has_tokens: bool = False
    has_base64: bool = False
    has_dimensions: bool = True
    has_input_type: bool = True
    has_user: bool = False
    own: frozenset[str] | None = frozenset()
    width: int = 4_096


def fit(
    api: EmbeddingAPI, part: EmbeddingPart, target: Target, provider: str
) -> tuple[EmbeddingPart, tuple[str, ...]]:
    """
    The part without what the API lacks, and the names of the fields that are left out.

    `user` is always left out where it is unknown. Any other field raises `Unsupported`, unless the
    deployment has `drop_params`. Lists of tokens always do: only the model's own tokenizer could
    turn them into a text.
    """
    if part.has_tokens and not api.has_tokens:
        raise Unsupported(
            f"`{target.name}`: `{provider}` accepts only texts, not lists of tokens: send `input` "
            "as strings (LangChain: `check_embedding_ctx_length=False`)",
            "input",
        )
    dropped = []
    if part.dimensions is not None and not api.has_dimensions:
        dropped.append("dimensions")
    if part.input_type is not None and not api.has_input_type:
        dropped.append("input_type")
    if api.own is not None:
        dropped += [name for name in part.body if name not in api.own]
    if dropped and not target.drop_params:
        raise Unsupported(
            f"`{target.name}`: `{provider}` does not support `{dropped[0][:64]}` for this model; "
            "leave it out, or set `drop_params`",
            dropped[0],
        )
    if part.user is not None and not api.has_user:
        part = replace(part, user=None)
        dropped.append("user")
    if not api.has_base64:
        part = replace(part, encoding="float")
    if not dropped:
        return part, ()
    return _without(part, dropped), tuple(dropped)


def _without(part: EmbeddingPart, names: Sequence[str]) -> EmbeddingPart:
    return replace(
        part,
        dimensions=None if "dimensions" in names else part.dimensions,
        input_type=None if "input_type" in names else part.input_type,
        body={name: value for name, value in part.body.items() if name not in names},
    )


def own_fields(part: EmbeddingPart, renamed: dict[str, Any]) -> dict[str, Any]:
    """The vendor's own fields of a part, and `renamed` ones, without those that are `None`."""
    return {**part.body, **{name: value for name, value in renamed.items() if value is not None}}


def read_vectors(values: Sequence[Raw]) -> list[bytes]:
    """The vectors, if each is one and all are equally wide; else raises `BadWire`."""
    try:
        found = [checked(bytes(value)) for value in values]
        if len({width(vector) for vector in found}) > 1:
            raise BadWire("the vectors are not equally wide")
    except NotAVector as error:
        raise BadWire(str(error)) from None
    return found
