"""A `response_format` as one vendor with OpenAI's API accepts it."""

from __future__ import annotations

import re
from typing import Any

from ...schema.request import ChatRequest, SchemaFormat
from ..fields import UnsupportedFields
from ..format_instruction import add_instruction, format_in_words, may_be_object
from ..schemas import LIMITS, SchemaRules, limit_schema
from .rules import FormatRules, bare_name


def fit_format(
    rules: FormatRules,
    request: ChatRequest,
    model: str,
    body: dict[str, Any],
    unsupported: UnsupportedFields,
) -> None:
    """
    Make our own `body` ask in words for a format that the model does not support.

    In a schema, what the vendor rejects moves into the description.
    """
    alone = rules.with_tools or not request.tools
    schemas = alone and not (rules.no_schemas and re.match(rules.no_schemas, bare_name(model)))
    json_mode = alone and rules.json_mode
    words = format_in_words(request, unsupported, json_mode=json_mode, schemas=schemas)
    if words is None:
        _limit(rules, request, body)
        return
    body["messages"] = add_instruction(body["messages"], words)
    if json_mode and may_be_object(request):
        body["response_format"] = {"type": "json_object"}
    else:
        del body["response_format"]


def _limit(rules: FormatRules, request: ChatRequest, body: dict[str, Any]) -> None:
    if rules.bounds and rules.formats:
        return
    match request.response_format:
        case SchemaFormat(json_schema=asked) if asked.schema:
            limits = SchemaRules(
                moved=frozenset() if rules.bounds else LIMITS,
                formats=None if rules.formats else frozenset(),
                min_items=None if rules.bounds else frozenset(),
            )
            form = body["response_format"]
            given = form.get("json_schema") or {"name": asked.name}  # Together's form has no name
            inner = {**given, "schema": limit_schema(asked.schema, limits)}
            body["response_format"] = {"type": "json_schema", "json_schema": inner}
        case _:
            pass
