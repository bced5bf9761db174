"""
How often a validator may have to look at one value: a bound for the work of a JSON schema.

References make small schemas that take ages: `anyOf` of twice the same definition, thirty times
over, checks a value a billion times. Here the number is computed without checking anything. Only
references inside the schema (`#`, `#/$defs/Place`, `#name`) are accepted. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from ..wire.json import MAX_DEPTH

MAX_REFERENCES = 500
"""The most references of a schema; OpenAI allows 5,000 properties in all."""

MAX_PATTERNS = 50
"""The most regular expressions of a schema. Each may take a megabyte when it is compiled."""

MAX_ENTRIES = 50_000
"""Schemas for properties and elements, counted for each schema that refers to them."""

ENDLESS = 1e12
"""Stands for every larger number."""

_SAME = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")
_SAME_MAPS = ("dependentSchemas", "dependencies")
_BELOW = (
    *("items", "additionalItems", "unevaluatedItems", "prefixItems", "contains"),
    *("additionalProperties", "unevaluatedProperties", "propertyNames"),
)
_BELOW_MAPS = ("properties", "patternProperties")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class BadSchema(ValueError):
    """The schema cannot be used; the message has the reason, as the rest of a sentence about it."""


class _Place(Struct):
    """
    What a schema does to a value: `work` looks at the value itself, and schemas for values inside.

    Both counts have the numbers of the schemas; `named` has them by the property's name, `any` has
    those of any property or element.
    """

    work: float = 1.0
    named: dict[str, Counter[int]] = field(default_factory=dict)
    any: Counter[int] = field(default_factory=Counter)

    def add(self, other: _Place) -> None:
        self.work = min(ENDLESS, self.work + other.work)
        self.any.update(other.any)
        for name, counts in other.named.items():
            self.named.setdefault(name, Counter()).update(counts)


class SchemaWork:
    """The bound of one schema; raises `BadSchema` for one that has none."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema
        self._nodes: dict[int, Any] = {}
        self._places: dict[int, _Place] = {}
        self._open: set[int] = set()
        self._at: list[float] = []
        self._anchors: dict[str, list[Any]] = {}
        self.patterns = self.entries = 0
        references = 0
        for node in _schemas_in(schema):
            references += sum(isinstance(node.get(name), str) for name in _REFERENCES)
            self.patterns += isinstance(node.get("pattern"), str)
            self.patterns += len(_as_map(node.get("patternProperties")))
            for name in ("$anchor", "$dynamicAnchor"):
                if isinstance(node.get(name), str):
                    self._anchors.setdefault(node[name], []).append(node)
            if node is not schema and isinstance(node.get("$id"), str):
                raise BadSchema("has an `$id` inside: leave it out, and refer to `#/$defs/NAME`")
        if references > MAX_REFERENCES:
            raise BadSchema(f"has {references} references; at most {MAX_REFERENCES}")
        if self.patterns > MAX_PATTERNS:
            raise BadSchema(f"has {self.patterns} patterns; at most {MAX_PATTERNS}")
        try:
            self._place(schema)
            unseen = list(self._nodes.keys() - self._places.keys())
            while unseen:
                for number in unseen:
                    self._place(self._nodes[number])
                unseen = list(self._nodes.keys() - self._places.keys())
        except RecursionError:
            raise BadSchema("is nested too deeply") from None

    def at_depth(self, depth: int) -> float:
        """
        How often a value may be looked at, in JSON with so many levels below the top.

        Of all paths from the top to a value, the one with the most looks counts.
        """
        if depth >= len(self._at):
            self._at = self._levels(min(depth, MAX_DEPTH))
        return self._at[min(depth, len(self._at) - 1)]

    def _levels(self, depth: int) -> list[float]:
        """The looks by the number of levels; further levels have as many as the last one."""
        found: list[float] = []
        below = dict.fromkeys(self._places, 0.0)
        for _ in range(depth + 1):
            level = {number: self._looks(place, below) for number, place in self._places.items()}
            found.append(level[id(self._root)])
            if level == below:
                break
            below = level
        return found

    @staticmethod
    def _looks(place: _Place, below: Mapping[int, float]) -> float:
        """The looks at a value and at those on the path below it, given those of lower values."""

        def total(counts: Counter[int]) -> float:
            return sum(count * below[number] for number, count in counts.items())

        named = max(map(total, place.named.values()), default=0.0)
        return min(ENDLESS, place.work + total(place.any) + named)

    def _place(self, node: Any) -> _Place:
        number = id(node)
        if (found := self._places.get(number)) is not None:
            return found
        self._nodes[number] = node
        if not isinstance(node, dict):
            place = self._places[number] = _Place()
            return place
        if number in self._open:
            raise BadSchema("has a reference that leads back to itself")
        self._open.add(number)
        place = _Place(work=1.0 + len(node))
        for inner in self._same_value(node):
            place.add(self._place(inner))
        self._add_below(node, place)
        self._open.discard(number)
        self.entries += len(place.any) + len(place.named)
        if self.entries > MAX_ENTRIES:
            raise BadSchema("has too many properties behind its references")
        self._places[number] = place
        return place

    def _same_value(self, node: Mapping[str, Any]) -> Iterator[Any]:
        """The schemas that check the same value as this one."""
        for name in _REFERENCES:
            if isinstance(reference := node.get(name), str):
                yield from self._targets(reference)
        for name in _SAME:
            if name in node:
                yield from _as_list(node[name])
        for name in _SAME_MAPS:
            inner = _as_map(node.get(name))
            yield from (one for one in inner.values() if isinstance(one, dict | bool))

    def _add_below(self, node: Mapping[str, Any], place: _Place) -> None:
        """Count the schemas for the values inside."""
        for name in _BELOW:
            for inner in _as_list(node.get(name, ())):
                if not isinstance(inner, bool):
                    place.any[self._number(inner)] += 1
        for name in _BELOW_MAPS:
            for key, one in _as_map(node.get(name)).items():
                if name == "properties":
                    place.named.setdefault(key, Counter())[self._number(one)] += 1
                else:
                    place.any[self._number(one)] += 1

    def _number(self, node: Any) -> int:
        self._nodes[id(node)] = node
        return id(node)

    def _targets(self, reference: str) -> list[Any]:
        if not reference.startswith("#"):
            shown = reference[:128]
            raise BadSchema(
                f"refers to `{shown}`, and nothing is fetched: put it below `$defs` and write "
                "`#/$defs/NAME`"
            )
        if reference != "#" and not reference.startswith("#/"):
            found = self._anchors.get(reference[1:], [])
        else:
            found = [one] if (one := _at_pointer(self._root, reference)) is not None else []
        if not found:
            raise BadSchema(f"refers to `{reference[:128]}`, which is not in it")
        return found


def _as_list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _as_map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _at_pointer(root: Any, reference: str) -> Any:
    """The part that a reference (`#/$defs/Place`, `#/anyOf/0`) names; `None` without one."""
    from urllib.parse import unquote

    found = root
    for part in unquote(reference).split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            found = found[int(name)] if name.isdecimal() and int(name) < len(found) else None
        else:
            found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict | bool) else None


_NO_SCHEMAS = frozenset({"const", "default", "enum", "examples"})


def _schemas_in(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every object that may be a schema, at most `MAX_DEPTH` levels deep."""
    layer: list[Any] = [schema]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for node in layer:
            if isinstance(node, dict):
                yield node
                below += [value for name, value in node.items() if name not in _NO_SCHEMAS]
            elif isinstance(node, list):
                below += node
        if not below:
            return
        layer = below
    raise BadSchema("is nested too deeply")
