"""Which parts of a JSON response are compared: all but free text, at every depth. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from .value_kinds import Kinds, keyword_of

PROSE = frozenset(
    {
        "analysis",
        "chain_of_thought",
        "comment",
        "comments",
        "description",
        "explanation",
        "justification",
        "notes",
        "rationale",
        "reason",
        "reasoning",
        "summary",
        "thinking",
        "thought",
        "thoughts",
    }
)
"""Names of properties that hold free text, which two models never write alike."""

MAX_SHORT = 64
"""Characters of a string that is compared; one with a larger `maxLength` is free text."""

_LEFT_OUT: Final = object()


class Compared(Struct, frozen=True):
    """The part of a value that is compared, and its fields, such as `label` or `price.amount`."""

    value: Any
    fields: tuple[str, ...]


def compared_part(value: Any, schema: Mapping[str, Any] | None) -> Compared:
    """
    The value without free text.

    Free text is a string, or null, that has one of the names in `PROSE`, or a `maxLength` over 64
    in the schema. An object that has nothing else is left out as a whole; an item of a list that is
    left out is null. If all is free text, all is compared. A field is the name of a property; the
    names of what is inside follow if a part of that is left out.
    """
    kinds, cut = Kinds(schema), _Cut()
    found = cut.part(value, kinds, kinds.root, "", "")
    if found is _LEFT_OUT:
        return Compared(value, tuple(sorted(value)) if isinstance(value, dict) else ())
    fields = cut.fields
    if not cut.left_out:
        fields = sorted(value) if isinstance(value, dict) else []
    return Compared(found, tuple(sorted({*fields})))


class _Cut:
    """Counts what is `left_out`, and collects the paths of the rest in `fields`."""

    def __init__(self) -> None:
        self.left_out = 0
        self.fields: list[str] = []

    def part(
        self, value: Any, kinds: Kinds, schema: Mapping[str, Any], name: str, path: str
    ) -> Any:
        """The part of a value that is compared, or `_LEFT_OUT`."""
        if _is_prose(name, value, kinds.of(schema, "")):
            self.left_out += 1
            return _LEFT_OUT
        left_out, fields = self.left_out, len(self.fields)
        found = value
        if value and isinstance(value, dict):
            found = self._object(value, kinds, schema, path)
        elif value and isinstance(value, list):
            found = self._array(value, kinds, schema, path)
        if self.left_out == left_out and path:
            self.fields[fields:] = [path]
        return found

    def _object(
        self, value: Mapping[str, Any], kinds: Kinds, schema: Mapping[str, Any], path: str
    ) -> Any:
        schemas = kinds.of_object(schema, value)
        found = {}
        for name in sorted(value):
            inner = f"{path}.{name}" if path else name
            own = kinds.property_of(schemas, name)
            part = self.part(value[name], kinds, own, name, inner)
            if part is not _LEFT_OUT:
                found[name] = part
        return found or _LEFT_OUT

    def _array(
        self, value: Sequence[Any], kinds: Kinds, schema: Mapping[str, Any], path: str
    ) -> Any:
        schemas = kinds.of(schema, value)
        found = [
            self.part(one, kinds, kinds.item_of(schemas, index), "", path)
            for index, one in enumerate(value)
        ]
        if all(one is _LEFT_OUT for one in found):
            return _LEFT_OUT
        return [None if one is _LEFT_OUT else one for one in found]


def _is_prose(name: str, value: object, schemas: Sequence[Mapping[str, Any]]) -> bool:
    if value is not None and not isinstance(value, str):
        return False
    if any(one.keys() & {"enum", "const", "format"} for one in schemas):
        return False
    if isinstance(longest := keyword_of(schemas, "maxLength"), int):
        return longest > MAX_SHORT
    return name.lower() in PROSE and bool(schemas)
