"""
A prompt for each row of a table: a template such as `Classify: {review}` over the columns.

Other braces stay as they are, as on the page (`fillTemplate` in `page/jobs/csv.js`). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches

from msgspec import UNSET, Struct

from ...errors import RequestError
from ...wire import json
from ..input.blanks import is_blank, stripped
from ..input.csv_reader import short

PLACEHOLDER = re.compile(r"\{([^{}\n]+)\}")
WORD = re.compile(r"\w[\w .-]*")
"""What may be meant as a column's name; `"label": 1` of a JSON example is not."""

MAX_LISTED = 20
"""Columns that a message names."""


class Template(Struct, frozen=True):
    """Texts, and between them the places of columns in the row."""

    parts: tuple[str | int, ...]

    def fill(self, cells: Sequence[object]) -> str:
        """The prompt of a row; empty if all its columns are."""
        places = (part for part in self.parts if not isinstance(part, str))
        is_empty = all(is_blank(text_of(cells[place])) for place in places)
        return "" if is_empty else self.text(cells)

    def text(self, cells: Sequence[object]) -> str:
        """The text of a row, also if all its columns are empty."""
        texts = (part if isinstance(part, str) else text_of(cells[part]) for part in self.parts)
        return "".join(texts)


def of_column(name: str, columns: Sequence[str]) -> Template:
    """The template that is one column; raises `RequestError` with those that there are."""
    return Template((index_of(name, columns),))


def parse(text: str, columns: Sequence[str], report: Callable[[str], object]) -> Template:
    """
    The template of `--prompt`; raises `RequestError` for one without columns or with a wrong one.

    `report` gets the words in braces that are no columns and stay.
    """
    check_not_empty(columns)
    found = _parse(text, columns, "prompt")
    if len(found.parts) == 1:
        raise RequestError(f"--prompt names no column; write {braced(columns)}", "prompt")
    _report_others(text, columns, "prompt", report)
    return found


def parse_system(text: str, columns: Sequence[str], report: Callable[[str], object]) -> Template:
    """The template of `--system`, as `parse` has that of `--prompt`; it may name no column."""
    found = _parse(text, columns, "system")
    _report_others(text, columns, "system", report)
    return found


def _parse(text: str, columns: Sequence[str], option: str) -> Template:
    """The template; a word in braces that is almost a column's name is an error."""
    parts: list[str | int] = []
    end = 0
    for found in PLACEHOLDER.finditer(text):
        name = stripped(found[1])
        if name in columns:
            parts += [text[end : found.start()], columns.index(name)]
            end = found.end()
        elif near := WORD.fullmatch(name) and _near(name, columns):
            raise RequestError(f"{missing(name, columns)}; did you mean {near}?", option)
    return Template((*parts, text[end:]))


def _report_others(
    text: str, columns: Sequence[str], option: str, report: Callable[[str], object]
) -> None:
    for found in PLACEHOLDER.finditer(text):
        if stripped(found[1]) not in columns and WORD.fullmatch(found[1]):
            report(f"`{found[0]}` in --{option} is no column, and stays as it is")


def index_of(name: str, columns: Sequence[str], option: str = "column") -> int:
    """The place of a column; raises `RequestError` with those that there are."""
    check_not_empty(columns)
    wanted = stripped(name)
    if wanted and wanted in columns:
        return columns.index(wanted)
    hint = f"did you mean {near}?" if (near := _near(wanted, columns)) else ""
    have = f"there is {listed(columns)}"
    raise RequestError(f"{missing(name, columns)}; {hint or have}", option)


def check_not_empty(columns: Sequence[str]) -> None:
    """Raise `RequestError` if there are no columns."""
    if not columns:
        raise RequestError("the file is empty", "file")


def missing(name: str, _columns: Sequence[str]) -> str:
    """What is wrong."""
    return f"there is no column `{name}`"


def listed(columns: Sequence[str]) -> str:
    """The columns that have a name, for a message."""
    names = [short(name) for name in columns if name]
    more = [f"and {len(names) - MAX_LISTED} others"] if len(names) > MAX_LISTED else []
    return ", ".join([*names[:MAX_LISTED], *more])


def braced(columns: Sequence[str]) -> str:
    """The columns as a template names them."""
    names = [f"{{{name}}}" for name in columns if name][:MAX_LISTED]
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _near(name: str, columns: Sequence[str]) -> str | None:
    lower = {one.lower(): one for one in columns if one}
    near = get_close_matches(name.lower(), lower, 1)
    return short(lower[near[0]]) if near else None


def text_of(value: object) -> str:
    """A cell as text: a string as it is, nothing for `None`, other values as JSON has them."""
    if isinstance(value, str):
        return value
    if value is None or value is UNSET:
        return ""
    encoded = json.encode(value)
    if encoded.startswith(b'"'):  # a date, a decimal number, bytes
        return json.decode(encoded, type=str)
    return encoded.decode()
