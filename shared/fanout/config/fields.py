"""Converts the fields of a section one by one, so that every wrong one is reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct

from ..errors import KeyPath, Problem
from ..schema.validation import as_request_error

MISSPELLED = 0.75
"""How alike a missing key and an unknown one are if one is the other (difflib's ratio)."""


class Fields:
    """The problems so far; `skip` are paths that are known to be wrong already."""

    def __init__(self, skip: set[KeyPath], problems: list[Problem]) -> None:
        self.skip = skip
        self.problems = problems

    def convert(
        self, path: KeyPath, value: object, kind: Any, remove: KeyPath | None = None
    ) -> Any:
        """
        `value` as a `kind`, without its wrong parts; `None` if nothing of it is right.

        Each wrong part is a problem; `remove` is what to remove if nothing of the value is right.
        """
        try:
            return msgspec.convert(value, kind, strict=False)
        except msgspec.ValidationError:
            from .partial_validation import NOTHING, valid_parts

            def report(place: KeyPath, part: object, wanted: Any, useless: KeyPath) -> None:
                if part is NOTHING:
                    self._add_missing(place, remove or useless)
                else:
                    self.reject(place, part, wanted, remove if place == path else useless)

            found = valid_parts(value, kind, path, report)
            return None if found is NOTHING else msgspec.convert(found, kind, strict=False)

    def reject(
        self, path: KeyPath, value: object, kind: Any, remove: KeyPath | None = None
    ) -> None:
        """Report what is wrong with a value that is no `kind`."""
        if path in self.skip:
            return
        from .partial_validation import choices_of, form_of

        try:
            msgspec.convert(value, kind, strict=False)
        except msgspec.ValidationError as error:
            fault, _, _ = str(error).partition(" - at ")
            wrong = str(as_request_error(f"{fault} - at `$.{dotted(path)}`"))
            if isinstance(value, str) and (listed := choices_of(kind)):
                wrong += f": use {' or '.join(f'`{one}`' for one in listed)}"
            form = form_of(value, kind)
            self.problems.append(Problem(path, wrong, remove=remove, form=form))

    def _add_missing(self, path: KeyPath, remove: KeyPath | None) -> None:
        if path not in self.skip:
            self.problems.append(Problem(path, f"`{dotted(path)}` is missing", remove=remove))


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
            if is_required:
                message = f"`{dotted(place)}` is missing{_misspelled(one.name, value, kind)}"
                fields.problems.append(Problem(place, message, remove=whole))
            continue
        if value[one.name] is None and not is_required:
            continue
        read = fields.convert(place, value[one.name], one.type, whole if is_required else None)
        if read is not None:
            found[one.name] = read
    return found


def _misspelled(name: str, given: Mapping[str, Any], kind: type[Struct]) -> str:
    """The given key that may be meant for a missing one, as the end of a sentence."""
    from difflib import get_close_matches

    others = [key for key in given if isinstance(key, str) and key not in kind.__struct_fields__]
    near = get_close_matches(name, others, 1, MISSPELLED)
    return f"; is `{near[0]}` a misspelling of it?" if near else ""


def dotted(path: KeyPath) -> str:
    """`("model_list", 0, "model_name")` -> `model_list[0].model_name`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")
