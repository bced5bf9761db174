"""
The schemas inside a JSON schema, and the references between them.

Some vendors accept references only in some places, or only with nothing beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any
from urllib.parse import unquote

_MAPS = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "not", "if", "then", "else", "contains")


def map_inner(
    schema: Mapping[str, Any], change: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """The schema with each schema directly inside it replaced by what `change` makes of it."""
    mapped = {**schema}
    for name in schema.keys() & _PLACES:
        value = schema[name]
        if name in _MAPS and isinstance(value, dict):
            mapped[name] = {k: change(v) if isinstance(v, dict) else v for k, v in value.items()}
        elif name in _LISTS and isinstance(value, list):
            mapped[name] = [change(v) if isinstance(v, dict) else v for v in value]
        elif name in _SINGLE and isinstance(value, dict):
            mapped[name] = change(value)
    return mapped


_PLACES = frozenset({*_MAPS, *_LISTS, *_SINGLE})


def find_definition(whole: Mapping[str, Any], ref: str) -> Mapping[str, Any] | None:
    """The part of a schema that a reference (`#/$defs/Place`, `#/anyOf/0`) names."""
    found: Any = whole
    if ref != "#":
        for part in unquote(ref).removeprefix("#/").split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdecimal():
                found = dict(enumerate(found)).get(int(name))
            else:
                found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


_NO_SCHEMAS = frozenset({"const", "default", "enum", "examples"})


def is_recursive(schema: Mapping[str, Any]) -> bool:
    """Whether a definition refers to itself, or the schema does (`{"$ref": "#"}`)."""
    return bool(_recursive(schema, _references(schema)))


def _recursive(schema: Mapping[str, Any], found: frozenset[str]) -> frozenset[str]:
    """Those of the references in a schema whose definitions refer to themselves."""
    inside = {ref: _references(find_definition(schema, ref)) for ref in found}
    return frozenset(ref for ref in inside if _reaches(ref, inside))


def _references(schema: Any) -> frozenset[str]:
    """The references in a schema and in those inside it."""
    found, left = set(), [schema]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            if isinstance(ref := value.get("$ref"), str):
                found.add(ref)
            for name, inner in value.items():
                if name in _MAPS and isinstance(inner, dict):
                    left += inner.values()  # a property may have any name
                elif name not in _NO_SCHEMAS:
                    left.append(inner)
    return frozenset(found)


def _reaches(start: str, inside: Mapping[str, frozenset[str]]) -> bool:
    """Whether one comes back to a reference by the references in what it refers to."""
    seen: set[str] = set()
    left = [*inside[start]]
    while left:
        ref = left.pop()
        if ref == start:
            return True
        if ref not in seen:
            seen.add(ref)
            left += inside.get(ref, ())
    return False


MOST_INLINED = 500
"""The most definitions that are put in place. A small schema could become one of gigabytes."""


def lone_references(whole: Mapping[str, Any]) -> dict[str, Any]:
    """
    The schema with nothing beside a reference, except keywords that begin with `$`.

    Where there was something, the definition is in place of the reference. One that refers to
    itself cannot be: there, what was beside it is left out.
    """
    if not (found := _references(whole)):
        return dict(whole)
    return _Inlining(whole, _recursive(whole, found)).fit(whole)


class _Inlining:
    """Puts definitions of the schema `whole` in place; those in `recursive` cannot be."""

    def __init__(self, whole: Mapping[str, Any], recursive: Container[str]) -> None:
        self._whole = whole
        self._recursive = recursive
        self._left = MOST_INLINED

    def fit(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """A part of the schema, in which no reference has anything beside it."""
        ref = schema.get("$ref")
        if isinstance(ref, str) and any(not name.startswith("$") for name in schema):
            definition = None if ref in self._recursive else find_definition(self._whole, ref)
            self._left -= 1
            if definition is None or self._left < 0:
                return map_inner({k: v for k, v in schema.items() if k.startswith("$")}, self.fit)
            beside = {name: value for name, value in schema.items() if name != "$ref"}
            return self.fit({**definition, **beside})
        return map_inner(schema, self.fit)
