"""Converts the fields of a section one by one, so that every wrong one is reported at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct

from ..errors import KeyPath, Problem
from ..schema.validation import as_request_error

_STEP = re.compile(r"\[(\d+)\]|\[\.\.\.\]|([^.\[\]]+)")


class Fields:
    """The problems so far; `skip` are paths that are known to be wrong already."""

    def __init__(self, skip: set[KeyPath], problems: list[Problem]) -> None:
        self.skip = skip
        self.problems = problems

    def convert(self, path: KeyPath, value: object, kind: Any) -> Any:
        """`value` as a `kind`; `None`, and a problem, if it is none."""
        try:
            return msgspec.convert(value, kind, strict=False)
        except msgspec.ValidationError:
            self.reject(path, value, kind)
            return None

    def reject(
        self, path: KeyPath, value: object, kind: Any, remove: KeyPath | None = None
    ) -> None:
        """Report what is wrong with a value that is no `kind`; of a list, with each item."""
        before = len(self.problems)
        items = value if isinstance(value, list) and _is_list(kind) else ()
        for index, item in enumerate(items):
            self._reject(path, [item], kind, index, remove or (*path, index))
        if len(self.problems) == before:
            self._reject(path, value, kind, None, remove)

    def _reject(
        self, path: KeyPath, value: object, kind: Any, index: int | None, remove: KeyPath | None
    ) -> None:
        try:
            msgspec.convert(value, kind, strict=False)
        except msgspec.ValidationError as error:
            fault, at, inside = str(error).partition(" - at ")
            inside = inside.replace("$", f"$.{dotted(path)}", 1) if at else f"`$.{dotted(path)}`"
            if index is not None:
                inside = inside.replace(f"{dotted(path)}[0]", f"{dotted(path)}[{index}]", 1)
            wrong = as_request_error(f"{fault} - at {inside}")
            place = steps(wrong.param or "") or path
            self.problems.append(Problem(place, str(wrong), remove=remove))


def _is_list(kind: Any) -> bool:
    """Whether a list may be a `kind`."""
    try:
        msgspec.convert([], kind)
    except msgspec.ValidationError:
        return False
    return True


def convert_fields(
    value: object,
    kind: type[Struct],
    path: KeyPath,
    fields: Fields,
    whole: KeyPath | None = None,
) -> dict[str, Any]:
    """
    The fields of `kind` in `value` that are right; the others are reported.

    A null asks for nothing. `whole` is what to remove if a required field is missing or wrong.
    """
    if value is None and whole is None:
        return {}
    if not isinstance(value, Mapping):
        fields.reject(path, value, dict[str, Any])
        return {}
    given = {name: item for name, item in value.items() if item is not None}
    try:
        read = msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError:
        return _right_fields(value, kind, path, fields, whole)
    names = kind.__struct_fields__
    return {name: getattr(read, name) for name in names if name in given}


def _right_fields(
    value: Mapping[str, Any],
    kind: type[Struct],
    path: KeyPath,
    fields: Fields,
    whole: KeyPath | None,
) -> dict[str, Any]:
    """The same, field by field, if any is wrong; it takes longer."""
    found: dict[str, Any] = {}
    for one in msgspec.structs.fields(kind):
        is_required = one.default is NODEFAULT and one.default_factory is NODEFAULT
        place = (*path, one.name)
        if place in fields.skip:
            continue
        if one.name not in value:
            if is_required and not _is_misspelled(place, fields):
                message = f"`{dotted(place)}` is missing"
                fields.problems.append(Problem(place, message, remove=whole))
            continue
        if value[one.name] is None and not is_required:
            continue
        try:
            found[one.name] = msgspec.convert(value[one.name], one.type, strict=False)
        except msgspec.ValidationError:
            remove = whole if is_required else None
            fields.reject(place, value[one.name], one.type, remove)
    return found


def _is_misspelled(path: KeyPath, fields: Fields) -> bool:
    """Whether a key beside it, reported already, is this one misspelled."""
    return any(p.path[:-1] == path[:-1] and p.rename == path[-1] for p in fields.problems)


def dotted(path: KeyPath) -> str:
    """`("model_list", 0, "model_name")` -> `model_list[0].model_name`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def steps(text: str) -> KeyPath:
    """The reverse of `dotted`."""
    return tuple(int(index) if index else name for index, name in _STEP.findall(text))
