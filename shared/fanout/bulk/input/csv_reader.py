"""
Reads CSV as RFC 4180 has it, with any separator; each error names the row, the column and the line.

Python's `csv` reads the rows. It does not say where an error is, so a row with one is looked at
again. The page has the same rules, `page/jobs/csv.js`; `tests/support/csv_cases.json` judges both.
Pure. https://www.rfc-editor.org/rfc/rfc4180 (2026-11-29).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ...errors import RequestError
from .blanks import is_blank, stripped
from .lines import MAX_LINE
from .text_encodings import BAD, shown

SEPARATORS = ",;\t|"
SEPARATOR_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
SAMPLE_ROWS = 20
"""Rows that are looked at to find the separator."""

MAX_NAME = 60
"""Characters of a column's name in a message."""

LINE_END = re.compile(r"\r\n|\r|\n")
FIRST_LINE = re.compile(r"sep=(.)(?:\r\n|\r|\n|$)", re.IGNORECASE)
"""Excel's own way to name the separator: https://superuser.com/q/773644 (2026-11-29)."""
_QUOTED = re.compile(r'"(?:[^"]++|"")*+("?)')
_WRONG = re.compile(f"[\0{BAD}]")

OPEN_QUOTE = "a quoted cell is never closed"
AFTER_QUOTE = "text after a closing quote"
TOO_LONG = f"the cell is over {MAX_LINE >> 20} MiB, or its quote is never closed"


class TableRow(NamedTuple):
    """A row: its number from 1, the line of a text file where it begins, its cells."""

    number: int
    line: int | None
    cells: Sequence[object]


class CsvReader:
    """
    Reads the header, then the rows. Raises `RequestError`.

    `lines` have their line breaks. `blank_rows` counts the rows that have no cell and no number.
    """

    def __init__(self, lines: Iterable[str], separator: str, encoding: str, *, line: int = 1):
        csv.field_size_limit(MAX_LINE)
        self._source = iter(lines)
        self._separator, self._encoding = separator, encoding
        self._raw: list[str] = []
        self._reader = csv.reader(self._kept(), delimiter=separator, strict=True)
        self._line, self._number = line, 0
        self.blank_rows = 0
        self.header: list[str] = []
        self.header = [stripped(name) for name in self._next() or []]
        self._check_header()

    def rows(self) -> Iterator[TableRow]:
        """Yield the rows with as many cells as the header has names."""
        while True:
            self._number += 1
            cells = self._next()
            if cells is None:
                return
            if len(cells) != len(self.header):
                raise self._ragged(len(cells))
            yield TableRow(self._number, self._line, cells)

    def _kept(self) -> Iterator[str]:
        for line in self._source:
            self._raw.append(line)
            yield line

    def _next(self) -> list[str] | None:
        while True:
            self._line += len(self._raw)
            self._raw.clear()
            try:
                cells = next(self._reader, None)
            except csv.Error:
                raise self._error() from None
            raw = "".join(self._raw)
            if "\0" in raw or BAD in raw:
                raise self._error()
            if cells is None or len(cells) > 1 or not is_blank(raw):
                return cells
            self.blank_rows += 1

    def _check_header(self) -> None:
        """No two columns have the same name; one without a name, such as an index, is skipped."""
        first: dict[str, int] = {}
        if self.header and not any(self.header):
            raise RequestError(f"no column of the header has a name (line {self._line})", "file")
        for column, name in enumerate(self.header, 1):
            if name and name in first:
                both = f"columns {first[name]} and {column}"
                message = f"the header has {short(name)} twice: {both}; rename one of them"
                message += f" (line {self._line})"
                raise RequestError(message, "file")
            first[name] = column

    def _ragged(self, count: int) -> RequestError:
        cells = f"{count} cell{'' if count == 1 else 's'}"
        found = f"row {self._number} has {cells}, the header {len(self.header)}"
        column = min(count, len(self.header))
        if count > len(self.header):
            reason = f'column {column + 1} has no name; cells with "{self._separator}" need quotes'
        else:
            reason = f"column {column + 1}{self._name(column)} is missing"
        return RequestError(f"{found}: {reason} (line {self._line})", "file")

    def _error(self) -> RequestError:
        """The first error of the row that was read last."""
        raw = "".join(self._raw)
        column, start, reason = first_error(raw, self._separator, self._encoding)
        line = self._line + len(LINE_END.findall(raw, 0, start))
        row = f"row {self._number}" if self.header else "the header"
        place = f"{row}, column {column + 1}{self._name(column)}, line {line}"
        return RequestError(f"{place}: {reason}", "file")

    def _name(self, column: int) -> str:
        """The column's name in brackets, if it has one."""
        name = self.header[column] if column < len(self.header) else ""
        return f" ({short(name)})" if name else ""


def first_error(raw: str, separator: str, encoding: str) -> tuple[int, int, str]:
    """The column, counted from 0, its start, and what is wrong with the first bad cell of a row."""
    unquoted = re.compile(f"[^{re.escape(separator)}\r\n]*+")
    column = start = 0
    while True:
        quoted = _QUOTED.match(raw, start)
        end = (quoted or unquoted.match(raw, start) or re.match("", raw)).end()  # type: ignore[union-attr]
        reason = _wrong_text(raw[start:end], encoding)
        if quoted and not quoted[1]:
            reason = reason or (TOO_LONG if end - start > MAX_LINE else OPEN_QUOTE)
        elif end - start > MAX_LINE:
            reason = TOO_LONG
        elif quoted and raw[end : end + 1] not in {separator, "\r", "\n", ""}:
            reason = reason or AFTER_QUOTE
        if reason or raw[end : end + 1] != separator:
            return column, start, reason or "not valid CSV"
        column, start = column + 1, end + 1


def _wrong_text(cell: str, encoding: str) -> str:
    found = _WRONG.search(cell)
    if found is None:
        return ""
    return "a NUL byte" if found[0] == "\0" else f"not valid {shown(encoding)}"


def short(name: str) -> str:
    """A column's name in a message."""
    name = re.sub(r"\s+", " ", name)
    return f"`{name[:MAX_NAME]}…`" if len(name) > MAX_NAME else f"`{name}`"


def checked_separator(given: str) -> str:
    """The separator of `--separator`: one character, or a name such as `tab`."""
    separator = SEPARATOR_NAMES.get(given.lower(), given)
    if len(separator) != 1 or separator in '"\r\n\0':
        raise RequestError("`--separator` must be one character, or `tab`", "separator")
    return separator


def detect_separator(sample: str, *, is_whole: bool) -> str:
    """
    The separator of a file that begins with `sample`.

    It is the one that gives the most of the first rows as many cells as the header; if several do,
    the one that gives the header the most.
    """

    def rank(separator: str) -> tuple[float, int]:
        header, rows = _sample_rows(sample, separator, is_whole=is_whole)
        same = sum(len(row) == len(header) for row in rows)
        return (same / len(rows) if rows else 1.0, len(header)) if len(header) > 1 else (-1.0, 0)

    return max(SEPARATORS, key=rank)


def _sample_rows(
    sample: str, separator: str, *, is_whole: bool
) -> tuple[list[str], list[list[str]]]:
    """The header and the first rows; what comes after an error does not count."""
    lines = re.findall(r"[^\r\n]*+(?:\r\n|\r|\n)|[^\r\n]++$", sample)
    rows: list[list[str]] = []
    reader = csv.reader(lines, delimiter=separator, strict=True)
    try:
        while len(rows) <= SAMPLE_ROWS:
            row = next(reader, None)
            if row is None:
                rows = rows if is_whole else rows[:-1]
                break
            if "\0" in "".join(row):
                break
            if len(row) > 1 or not is_blank("".join(row)):
                rows.append(row)
    except csv.Error:
        pass
    return (rows[0], rows[1:]) if rows else ([], [])
