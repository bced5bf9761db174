"""
Fits a part that says itself which parameters its provider has; see `transport/request_params.py`.

Imported with the first request for embeddings that has LiteLLM's `additional_drop_params` or
`allowed_openai_params`, of its own or from its deployment.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ..providers.embeddings import EmbeddingAPI
from ..schema.embeddings import EmbeddingPart
from ..transport.request_params import without

FIELDS = ("dimensions", "input_type", "user")
"""The fields of a part that an API may lack."""

ENCODING = "encoding_format"


def leave_out(part: EmbeddingPart) -> tuple[EmbeddingPart, tuple[str, ...]]:
    """The part without its `additional_drop_params`, and those of them that were there."""
    fields = _fields(part)
    dropped: list[str] = []
    for path in part.additional_drop_params or ():
        fewer = without(fields, path)
        if fewer is not fields:
            fields = fewer
            dropped.append(path)
    return _with_fields(part, fields), tuple(dropped)


def set_aside(part: EmbeddingPart, api: EmbeddingAPI) -> tuple[EmbeddingPart, dict[str, Any]]:
    """
    The part without the `allowed_openai_params` that the API is not known to have, and these.

    They are sent as they are.
    """
    has = {"dimensions": api.has_dimensions, "input_type": api.has_input_type, "user": api.has_user}
    fields = _fields(part)
    sent = {
        name: fields[name]
        for name in part.allowed_openai_params or ()
        if name in fields and not has.get(name, api.own is None or name in api.own)
    }
    sent.pop(ENCODING, None)  # the vectors are converted to the client's
    kept = {name: value for name, value in fields.items() if name not in sent}
    return _with_fields(part, kept), sent


def _fields(part: EmbeddingPart) -> dict[str, Any]:
    own = {name: getattr(part, name) for name in FIELDS}
    own[ENCODING] = "base64" if part.encoding == "base64" else None
    return {**part.body, **{name: value for name, value in own.items() if value is not None}}


def _with_fields(part: EmbeddingPart, fields: dict[str, Any]) -> EmbeddingPart:
    own = {name: fields.get(name) for name in FIELDS}
    body = {name: value for name, value in fields.items() if name not in {*FIELDS, ENCODING}}
    return replace(part, encoding=fields.get(ENCODING, "float"), body=body, **own)
