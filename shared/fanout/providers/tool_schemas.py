"""
A function's parameters as the schema of an object, which vendors require.

What they miss is added where it says nothing: a schema accepts the same values as before. Clients
send the same tools with each request, so the latest schemas are kept; no caller may change them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import wraps
from typing import Any, TypeAlias

from ..wire import json
from .fields import COMBINED
from .schema_references import find_definition, lone_references, map_inner
from .schemas import describe_limits

NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}

MOST_KEPT, LARGEST_KEPT = 256, 8_192
"""How many schemas are kept, and of how many bytes of JSON at most: a few megabytes of memory."""

_Make: TypeAlias = Callable[[Mapping[str, Any] | None], dict[str, Any]]


def _keep_latest(make: _Make) -> _Make:
    """The same function, which keeps its results by the JSON of what it is given."""
    kept: dict[bytes, dict[str, Any]] = {}

    @wraps(make)
    def find(parameters: Mapping[str, Any] | None) -> dict[str, Any]:
        data = json.encode(parameters)
        if (known := kept.get(data)) is not None:
            return known
        made = make(parameters)
        if len(data) <= LARGEST_KEPT:
            if len(kept) >= MOST_KEPT:
                kept.clear()
            kept[data] = made
        return made

    return find


@_keep_latest
def object_schema(parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """
    The parameters with what vendors require: a type, properties, and the items of each array.

    "object schema missing properties", "array schema missing items", "schema must be a JSON Schema
    of 'type: "object"'": OpenAI's own errors, github.com/openai/openai-agents-python/issues/449,
    bnb-chain/bnbchain-mcp/issues/68; Gemini's "items: missing field", google-gemini/
    generative-ai-js/issues/200. MCP's tools without parameters have `{"type": "object"}`. 2026-11
    """
    schema = complete_arrays(parameters or NO_PARAMETERS)
    if isinstance(schema.get("$ref"), str):
        schema = _resolve(schema)
    kind = schema.get("type")
    if kind is None or (isinstance(kind, list) and "object" in kind):
        schema = {**schema, "type": "object"}  # arguments always are one
    if schema["type"] == "object" and "properties" not in schema:
        schema = {**schema, "properties": {}}
    return schema


@_keep_latest
def flat_schema(parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """The same, without `anyOf`, `oneOf` and `allOf` at its top, which some vendors reject."""
    schema = object_schema(parameters)
    return flatten(schema) if COMBINED & schema.keys() else schema


@_keep_latest
def lone_schema(parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """An object's schema that has nothing beside its references; see `lone_references`."""
    return lone_references(object_schema(parameters))


def complete_arrays(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with `items` in each array; those of any kind if it has none."""
    complete: dict[str, Any] = map_inner(schema, complete_arrays)
    kind = complete.get("type")
    is_array = kind == "array" or (isinstance(kind, list) and "array" in kind)
    if is_array and complete.get("items") is None:
        complete["items"] = {}
    # Null is as none: Go's clients write it for an empty list.
    for name in ("properties", "required"):
        if name in complete and complete[name] is None:
            del complete[name]
    return complete


# ---- references ----


def _resolve(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with the definition that its own `$ref` names, as of a recursive type."""
    seen: set[str] = set()
    resolved = dict(schema)
    while isinstance(ref := resolved.pop("$ref", None), str) and ref not in seen:
        seen.add(ref)
        resolved = {**(find_definition(schema, ref) or {}), **resolved}
    return resolved


class _Inliner:
    """Puts definitions in place. A schema of a few hundred bytes could become one of gigabytes."""

    def __init__(self, whole: Mapping[str, Any]) -> None:
        self._whole = whole
        self._left = MOST_REFERENCES

    def inline(
        self, schema: Mapping[str, Any], inside: frozenset[str] = frozenset()
    ) -> dict[str, Any]:
        """The schema without references; `inside` are the definitions that it is a part of."""
        ref = schema.get("$ref")
        if isinstance(ref, str):
            rest = {name: value for name, value in schema.items() if name != "$ref"}
            found = find_definition(self._whole, ref) or {}
            self._left -= 1
            if ref == "#" or ref in inside or len(inside) >= DEEPEST or self._left < 0:
                return {k: v for k, v in found.items() if k in _OPEN} | rest
            return self.inline({**found, **rest}, inside | {ref})
        kept = {k: v for k, v in schema.items() if k not in {"$defs", "definitions"}}
        return map_inner(kept, lambda inner: self.inline(inner, inside))


MOST_REFERENCES, DEEPEST = 500, 20
_OPEN = frozenset({"description", "title", "type"})


def inline(schema: Mapping[str, Any]) -> dict[str, Any]:
    """
    The schema with its definitions in the places that refer to them.

    A definition that refers to itself is open there: it has only its type.
    """
    return _Inliner(schema).inline(schema)


def only_keys(schema: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The schema with its definitions in place and, at its top, no other keywords than `names`."""
    return {name: value for name, value in inline(schema).items() if name in names}


# ---- an object of one piece ----


def flatten(schema: Mapping[str, Any]) -> dict[str, Any]:
    """
    The schema of an object without `anyOf`, `oneOf` and `allOf` at its top.

    It has the properties of all its parts, and requires what each of them does. Which parts require
    more is put into the description.
    """
    flat = {name: value for name, value in schema.items() if name not in COMBINED}
    properties = dict(flat.get("properties") or {})
    required = list(flat.get("required") or [])
    moved: dict[str, Any] = {}
    for name in sorted(COMBINED & schema.keys()):
        parts = [_part(one, schema) for one in _list(schema[name])]
        sets = [_list(part.get("required")) for part in parts]
        for part in parts:
            for key, value in (part.get("properties") or {}).items():
                properties[key] = _either(properties.get(key, value), value)
        each = [key for one in sets for key in one]
        required += [k for k in each if name == "allOf" or all(k in one for one in sets)]
        if name != "allOf" and any(set(one) - {*required} for one in sets):
            moved[name] = [{"required": one} for one in sets]
    flat |= {"type": "object", "properties": properties}
    if required:
        flat["required"] = list(dict.fromkeys(required))
    if moved:
        flat["description"] = describe_limits(flat.get("description"), moved)
    return flat


def _part(part: Any, whole: Mapping[str, Any]) -> dict[str, Any]:
    """One of the combined schemas, flat itself; a reference stands for its definition."""
    if isinstance(part, dict) and isinstance(ref := part.get("$ref"), str):
        part = find_definition(whole, ref)
        whole = {}  # a definition that refers to itself ends here
    if not isinstance(part, dict):
        return {}
    return flatten({**part, "$defs": whole.get("$defs")}) if COMBINED & part.keys() else part


def _either(known: Any, value: Any) -> Any:
    """A value of one schema or of the other."""
    if known == value:
        return known
    kinds = known["anyOf"] if isinstance(known, dict) and known.keys() == {"anyOf"} else [known]
    return {"anyOf": [*kinds, value]} if value not in kinds else known


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
