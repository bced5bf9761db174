"""
What a JSON schema says about one value, with its local references and combined keywords. Pure.

`anyOf`, `allOf`, `oneOf` and a `$ref` (`#/$defs/Label`, `#label`) are resolved as generators
of schemas write them: Pydantic's enums, optional fields and nested models. Of properties that
`patternProperties` or a condition (`if`, `dependentSchemas`) describes, it says nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final
from urllib.parse import unquote

Schema = Mapping[str, Any]

MOST_ALTERNATIVES = 64
"""Alternatives of one value that are distinguished; with more, the schema says nothing of it."""

MOST_STEPS = 500
"""Schemas that are read for one value; with more, the schema says nothing of it."""

_COMBINING: Final = frozenset({"$ref", "allOf", "anyOf", "oneOf"})
_NAMES: Final = {bool: "boolean", str: "string", list: "array", dict: "object", type(None): "null"}
_NOTHING: Final[dict[str, Any]] = {}
_PARTS: Final = frozenset({"items", "additionalProperties"})


class Kinds:
    """The schemas of one document; `root` has the definitions that references lead to."""

    def __init__(self, root: Schema | None) -> None:
        self._root: Schema = root or {}
        self._known: dict[int, tuple[Schema, list[Schema]]] = {}
        self._made: dict[tuple[object, ...], Schema] = {}
        self._left = 0

    @property
    def root(self) -> Schema:
        """The schema of the whole value."""
        return self._root

    @cached_property
    def _anchors(self) -> Mapping[str, Schema]:
        """The schemas of the document that have a name of their own, and no other address."""
        found: dict[str, Schema] = {}
        left: list[Any] = [self._root]
        while left:
            one = left.pop()
            if isinstance(one, dict):
                named = [one.get("$anchor"), one.get("$dynamicAnchor")]
                identity = one.get("$id")
                if isinstance(identity, str) and identity.startswith("#"):
                    named.append(identity[1:])  # of the older drafts
                found.update((name, one) for name in named if isinstance(name, str))
                left += one.values()
            elif isinstance(one, list):
                left += one
        return found

    def alternatives(self, schema: Schema) -> Sequence[Schema]:
        """Schemas without combining keywords, of which the value fits at least one."""
        known = self._known.get(id(schema))
        if known is None:
            self._left = MOST_STEPS
            found = self._expand(schema, frozenset())
            is_known = self._left > 0 and len(found) <= MOST_ALTERNATIVES
            known = self._known[id(schema)] = (schema, found if is_known else [{}])
        return known[1]

    def of(self, schema: Schema, value: object) -> Sequence[Schema]:
        """The alternatives for a value of this type."""
        return [one for one in self.alternatives(schema) if _fits(one, value)]

    def of_object(self, schema: Schema, value: Mapping[str, Any]) -> Sequence[Schema]:
        """The alternatives for this object, by the names of its properties and by each `const`."""
        fitting = self.of(schema, value)
        if len(fitting) < 2:  # noqa: PLR2004 -- nothing to choose from
            return fitting
        known = [one for one in fitting if value.keys() <= _mapping(one.get("properties")).keys()]
        return [one for one in known or fitting if not _is_other(one, value)] or known or fitting

    def property_of(self, schemas: Sequence[Schema], name: str) -> Schema:
        """The schema of a property of an object, by the object's alternatives."""
        found = []
        for one in schemas:
            properties = _mapping(one.get("properties"))
            other = None if "patternProperties" in one else one.get("additionalProperties")
            found.append(_mapping(properties.get(name, other)))
        return self._one_of(found)

    def item_of(self, schemas: Sequence[Schema], index: int) -> Schema:
        """The schema of an item of an array, by the array's alternatives."""
        found = []
        for one in schemas:
            first = _list(one.get("prefixItems"))
            found.append(_mapping(first[index] if index < len(first) else one.get("items")))
        return self._one_of(found)

    def allows_null(self, schema: Schema) -> bool:
        """Whether the value may be null, by what the schema says and not by what it leaves out."""
        return any(
            "null" in _types(one) or one.get("nullable") is True or None in _values(one)
            for one in self.alternatives(schema)
        )

    def _one_of(self, found: Sequence[Schema]) -> Schema:
        if len(found) == 1:
            return found[0]
        key = tuple(id(one) for one in found)
        return self._made.setdefault(key, {"anyOf": list(found)} if found else _NOTHING)

    # ---- combining keywords ----

    def _expand(self, schema: Schema, seen: frozenset[str]) -> list[Schema]:
        self._left -= 1
        if self._left <= 0:
            return []
        found: list[Schema] = [{k: v for k, v in schema.items() if k not in _COMBINING}]
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference not in seen:
            target = self._target(reference)
            found = self._both(found, self._expand(target, seen | {reference}))
        for part in _list(schema.get("allOf")):
            found = self._both(found, self._expand(_mapping(part), seen))
        for keyword in ("anyOf", "oneOf"):
            if parts := _list(schema.get(keyword)):
                each = [one for part in parts for one in self._expand(_mapping(part), seen)]
                found = self._both(found, each)
        return found

    def _both(self, first: Sequence[Schema], second: Sequence[Schema]) -> list[Schema]:
        self._left -= len(first) * len(second)
        if self._left <= 0:
            return []
        return [_merged(one, other) for one in first for other in second]

    def _target(self, reference: str) -> Schema:
        """What a reference such as `#/$defs/Label` leads to; nothing if it leads nowhere."""
        found: Any = self._root
        if not reference.startswith("#"):
            return {}
        if reference[1:2] not in {"", "/"}:
            return self._anchors.get(unquote(reference[1:]), {})
        for step in filter(None, reference[1:].split("/")):
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list):
                found = found[int(name)] if name.isdecimal() and int(name) < len(found) else None
            else:
                found = _mapping(found).get(name)
        return _mapping(found)


def _merged(first: Schema, second: Schema) -> Schema:
    """A schema that demands both, as far as values are compared by it."""
    found = {**first, **second}
    for name in _PARTS & first.keys() & second.keys():
        found[name] = {"allOf": [first[name], second[name]]}
    if "properties" in first and "properties" in second:
        ours, theirs = _mapping(first["properties"]), _mapping(second["properties"])
        shared = {name: {"allOf": [ours[name], theirs[name]]} for name in ours.keys() & theirs}
        found["properties"] = {**ours, **theirs, **shared}
    if isinstance(first.get("enum"), list) and isinstance(second.get("enum"), list):
        found["enum"] = [one for one in first["enum"] if one in second["enum"]]
    return found


def _is_other(schema: Schema, value: Mapping[str, Any]) -> bool:
    """Whether a property tells that the value is of another alternative, by its `const`."""
    properties = {name: _mapping(one) for name, one in _mapping(schema.get("properties")).items()}
    return any(
        "const" in own and name in value and own["const"] != value[name]
        for name, own in properties.items()
    )


def _fits(schema: Schema, value: object) -> bool:
    """Whether the value is of a type that the schema allows."""
    name = _NAMES.get(type(value), "number")
    types = _types(schema)
    if types:
        return name in types or (name == "number" and "integer" in types)
    values = _values(schema)
    return not values or any(_NAMES.get(type(one), "number") == name for one in values)


def _types(schema: Schema) -> list[Any]:
    kind = schema.get("type")
    return kind if isinstance(kind, list) else [kind] if isinstance(kind, str) else []


def _values(schema: Schema) -> list[Any]:
    """All values that the schema allows, if it lists them."""
    return [schema["const"]] if "const" in schema else _list(schema.get("enum"))


def values_of(schemas: Sequence[Schema]) -> list[Any] | None:
    """All values that these alternatives allow; `None` if one of them does not list its own."""
    each = [_values(one) for one in schemas]
    return [value for values in each for value in values] if each and all(each) else None


def keyword_of(schemas: Sequence[Schema], name: str) -> Any:
    """What a keyword says in all of these alternatives; `None` if they differ."""
    found = [one.get(name) for one in schemas]
    return found[0] if found and all(one == found[0] for one in found) else None


def is_number(schemas: Sequence[Schema]) -> bool:
    """Whether some of these alternatives allow numbers, and none allows strings."""
    types = [_types(one) for one in schemas]
    numbers = any("integer" in one or "number" in one for one in types)
    return numbers and all(one and "string" not in one for one in types)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else _NOTHING


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
