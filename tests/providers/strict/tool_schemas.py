"""
Rejects the schemas of functions that vendors reject: each is of an object, and arrays have items.

"object schema missing properties", "array schema missing items": OpenAI's own errors,
github.com/openai/openai-agents-python/issues/449, bnb-chain/bnbchain-mcp/issues/68, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fanout.providers.schema_references import map_inner

COMBINED = {"anyOf", "oneOf", "allOf"}


def check(schema: dict[str, Any], *, flat: bool = False) -> None:
    """Fail as the API does; `flat`: it accepts no `anyOf` and no `$ref` at the top."""
    in_pieces = schema.keys() & {*COMBINED, "$ref"}
    assert not (flat and in_pieces), "oneOf, allOf, anyOf or $ref at the top level"
    if not in_pieces:
        assert schema.get("type") == "object", "schema must be of 'type: \"object\"'"
        assert isinstance(schema.get("properties"), dict), "object schema missing properties"
    check_arrays(schema)


def check_arrays(value: Any) -> None:
    if isinstance(value, list):
        for one in value:
            check_arrays(one)
    if isinstance(value, dict):
        kind = value.get("type")
        if kind == "array" or (isinstance(kind, list) and "array" in kind):
            assert isinstance(value.get("items"), dict | list), "array schema missing items"
        for name, one in value.items():
            if name not in {"const", "default", "enum", "examples"}:
                check_arrays(one)


def check_references(schema: dict[str, Any]) -> None:
    """Fail as Google's API does: "$ref 'Place' was set alongside unsupported fields"."""
    beside = {name for name in schema if not name.startswith("$")}
    assert not (isinstance(schema.get("$ref"), str) and beside), beside
    map_inner(schema, _checked)


def _checked(schema: Mapping[str, Any]) -> dict[str, Any]:
    check_references(dict(schema))
    return dict(schema)
