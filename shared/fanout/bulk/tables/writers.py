"""
Writes the rows of a table with their responses: as CSV, TSV or JSONL. Parquet is in `parquet.py`.

Pure: the bytes go to a function.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from msgspec import UNSET

from ...wire import json
from .template import text_of

SIZE = 1 << 16
"""Characters that are written at a time."""

MARK = "\ufeff"

FORMULA = re.compile(r"[=+\-@\x00-\x1f\x7f＝＋－＠]")  # noqa: RUF001 -- the wide forms
"""
How a value begins that a spreadsheet may run as a formula; controls may come before its sign.

https://owasp.org/www-community/attacks/CSV_Injection (2026-11-29).
"""
SIGN = re.compile(r"[\x00-\x1f\x7f]*[=+\-@＝＋－＠]")  # noqa: RUF001
"""How a value begins that looks like a formula to people."""
NUMBER = re.compile(r"[+-]?(\d+([.,]\d+)*|[.,]\d+)([eE][+-]?\d+)?%?\s*")
LIST_ITEM = re.compile(r"[-+]\s")
"""A line of a list in Markdown, which does not look like a formula to people."""


class TableWriter(Protocol):
    """Writes rows; `write` gets the input's cells and the added values."""

    def write(self, cells: Sequence[object], added: Sequence[object], place: Any = None) -> None:
        """Add a row."""
        ...

    def end(self) -> None:
        """Write what is left."""
        ...


class CsvWriter:
    """
    Writes CSV with a header. With `escape`, no cell begins like a formula of a spreadsheet.

    Without, `formulas` counts the added values that do.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        header: Sequence[str],
        separator: str,
        *,
        has_mark: bool = False,
        escape: bool = False,
    ) -> None:
        self._write, self._escape = write, escape
        self._text = io.StringIO()
        self._rows = csv.writer(self._text, delimiter=separator, lineterminator="\n")
        self.formulas = 0
        if has_mark:
            self._text.write(MARK)
        self._rows.writerow(header)

    def write(self, cells: Sequence[object], added: Sequence[object], _place: Any = None) -> None:
        """Add a row."""
        own, more = [csv_text(cell) for cell in cells], [csv_text(value) for value in added]
        if self._escape:
            own, more = [escaped(cell) for cell in own], [escaped(value) for value in more]
        else:
            self.formulas += any(_looks_like_formula(value) for value in more)
        row = [*own, *more]
        self._rows.writerow(row)
        if self._text.tell() >= SIZE:
            self._flush()

    def end(self) -> None:
        """Write what is left."""
        self._flush()

    def _flush(self) -> None:
        self._write(self._text.getvalue().encode(errors="replace"))
        self._text.seek(0)
        self._text.truncate()


def csv_text(value: object) -> str:
    """A value as a cell: a number without an exponent, so that every program reads it."""
    if isinstance(value, float) and not isinstance(value, bool):
        text = repr(value)
        return f"{value:.12f}".rstrip("0").rstrip(".") if "e-" in text else text
    return text_of(value)


def escaped(cell: str) -> str:
    """The cell with an apostrophe before what a spreadsheet would run; numbers stay."""
    is_formula = FORMULA.match(cell) and not NUMBER.fullmatch(cell)
    return f"'{cell}" if is_formula else cell


def _looks_like_formula(cell: str) -> bool:
    return bool(SIGN.match(cell) and not NUMBER.fullmatch(cell) and not LIST_ITEM.match(cell))


class JsonWriter:
    """Writes a JSON object a row, without the columns that the input's row does not have."""

    def __init__(self, write: Callable[[bytes], object], header: Sequence[str]) -> None:
        self._write, self._header = write, header
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, cells: Sequence[object], added: Sequence[object], _place: Any = None) -> None:
        """Add a row."""
        row = zip(self._header, [*cells, *added], strict=True)
        line = json.encode({name: value for name, value in row if value is not UNSET}) + b"\n"
        self._parts.append(line)
        self._size += len(line)
        if self._size >= SIZE:
            self.end()

    def end(self) -> None:
        """Write what is left."""
        self._write(b"".join(self._parts))
        self._parts.clear()
        self._size = 0
