"""
A `response_format` in words, for models that do not support it, or not together with tools.

The model is asked for the JSON; the words are part of the system prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..schema.chat import Object
from ..schema.request import ChatRequest, JSONFormat, SchemaFormat
from ..wire import json
from .fields import UnsupportedFields
from .schemas import describe_schema

JSON_ONLY = "with one valid JSON {kind} and nothing else: no other text, no code fences."
_SYSTEM = frozenset({"developer", "system"})


def format_in_words(
    request: ChatRequest,
    unsupported: UnsupportedFields,
    *,
    json_mode: bool = False,
    schemas: bool = False,
) -> str | None:
    """
    The instruction that stands for the format; `None` if the request needs none.

    `json_mode` and `schemas` say what the model supports.
    """
    schema, kind = "", "object"
    match request.response_format:
        case JSONFormat() if not json_mode:
            pass
        case SchemaFormat(json_schema=asked) if asked.schema is not None and not schemas:
            text = json.encode(describe_schema(asked)).decode()
            kind = _kind(asked.schema)
            schema = f" It must be valid by this JSON schema:\n{text}"
        case _:
            return None
    unsupported.note("response_format")
    start = "If you call no tool, respond" if request.tools else "Respond"
    return f"{start} {JSON_ONLY.format(kind=kind)}{schema}"


def may_be_object(request: ChatRequest) -> bool:
    """Whether the format is one of objects, which are all that a JSON mode returns."""
    match request.response_format:
        case SchemaFormat(json_schema=asked) if asked.schema is not None:
            kinds = asked.schema.get("type")
            has_object = isinstance(kinds, list) and "object" in kinds
            return has_object or _kind(asked.schema) == "object"
        case _:
            return True


def _kind(schema: Mapping[str, Any]) -> str:
    """What a schema's values are called; a schema without a type is one of objects."""
    kind = schema.get("type")
    if kind is None:
        return "value" if schema.keys() & {"const", "enum"} else "object"
    return str(kind) if kind in ("array", "object") else "value"


def add_instruction(messages: Sequence[Object], words: str) -> list[dict[str, Any]]:
    """OpenAI's messages with an instruction at the end of the system prompt."""
    count = next(
        (i for i, message in enumerate(messages) if message["role"] not in _SYSTEM), len(messages)
    )
    added: list[Any] = [*messages]
    if count and isinstance(text := added[count - 1].get("content"), str):
        added[count - 1] = {**added[count - 1], "content": f"{text}\n\n{words}"}
        return added
    return [*added[:count], {"role": "system", "content": words}, *added[count:]]
