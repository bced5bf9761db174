"""JSON schemas as Anthropic's API accepts them: of `response_format` and of strict tools."""

from __future__ import annotations

from typing import Any

from ...schema.request import ChatRequest
from ..fields import UnsupportedFields
from ..schemas import WITHOUT_LIMITS, describe_schema, limit_schema, read_schema

# https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations,
# 2026-11; the same list is in Anthropic's SDKs (`transform_schema`). Also for strict tools.
# "Circular reference detected in schema definitions": github.com/egonSchiele/agency-lang/issues/
# 487, ENTERPILOT/GoModel/pull/963, 2026-11
SCHEMAS = WITHOUT_LIMITS


def encode_format(
    request: ChatRequest,
    unsupported: UnsupportedFields,
    structured: bool,  # noqa: FBT001
) -> dict[str, Any]:
    """
    The output format of a request with a schema, else nothing; `structured`: the model has it.

    A schema is always strict. `name` is OpenAI's own:
    https://platform.claude.com/docs/en/build-with-claude/structured-outputs
    """
    asked = read_schema(request, unsupported)
    if asked is None or not structured:
        return {}
    return {"type": "json_schema", "schema": limit_schema(describe_schema(asked), SCHEMAS)}
