"""
Schemas of functions in which each value has one type, as Moonshot requires them.

"tools.function.parameters is not a valid moonshot flavored json schema, details: <At path …: when
using anyOf, type should be defined in anyOf items instead of the parent schema>", "type is not
defined", "items must be an object", and nothing beside a `$ref`: the API's own errors, github.com/
vercel/ai/pull/18921 (tried), MoonshotAI/kimi-code/issues/2661 and …/pull/830,
NousResearch/hermes-agent/pull/27104, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..schema_references import lone_references, map_inner
from ..tool_schemas import flat_schema

_CHOICES = ("anyOf", "oneOf")
_WITH_TYPE = frozenset({"$ref", "allOf", "anyOf", "oneOf", "type"})
_ANY = [
    *({"type": name} for name in ("string", "number", "boolean", "object", "null")),
    {"type": "array", "items": {"type": "string"}},
]
_TYPES: Mapping[type, str] = {
    bool: "boolean",
    dict: "object",
    float: "number",
    int: "integer",
    list: "array",
    str: "string",
    type(None): "null",
}


def typed_schema(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A function's parameters as the schema of an object of such values."""
    return _typed(lone_references(flat_schema(parameters)))


def _typed(schema: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(items := schema.get("items"), list):
        # One schema for each place: here, each element may be of any of them.
        schema = {**schema, "items": {"anyOf": items} if items else {}}
    for name in _CHOICES:
        if isinstance(schema.get(name), list):
            schema = _with_typed_choices(schema, name)
    if not schema.keys() & _WITH_TYPE:
        schema = {**schema, **_type_of(schema)}
    return map_inner(schema, _typed)


def _with_typed_choices(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The schema, whose own type is that of its choices that have none."""
    rest = {key: value for key, value in schema.items() if key != "type"}
    if "type" not in schema:
        return rest
    return rest | {
        name: [
            {"type": schema["type"], **one}
            if isinstance(one, dict) and not one.keys() & _WITH_TYPE
            else one
            for one in schema[name]
        ]
    }


def _type_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The type that the other keywords show; of values of several types, a choice."""
    if "properties" in schema:
        return {"type": "object"}
    if "items" in schema:
        return {"type": "array"}
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list) or not values:
        return {"anyOf": _ANY}
    kinds = list(dict.fromkeys(_TYPES[type(value)] for value in values))
    return {"type": kinds[0]} if len(kinds) == 1 else {"anyOf": [{"type": kind} for kind in kinds]}
