"""Opens tables: CSV with any separator, JSON objects a line, and Parquet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

from msgspec import UNSET

from ...errors import RequestError
from ...wire import json
from ..input import csv_reader
from ..input.csv_reader import CsvReader, TableRow
from ..input.file_kinds import PARQUET, kind_of
from ..input.job_source import TableKind
from ..input.lines import MAX_LINE
from ..input.text_encodings import BAD, shown
from ..tables.formats import suffix_of
from .input_files import InputFile

SAMPLE = 1 << 16
"""Characters from which the separator is found."""

MAX_TEXT_LINE = 4 * MAX_LINE
"""Characters of a line of a CSV or a text file, which may have several long cells."""

MAX_COLUMNS = 10_000
"""Different keys of the objects of a JSONL file."""

SIZE = 1 << 16

_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\{\s*\"|\[\s*[\[{\"])")
"""How a JSON object or array begins."""


class Table(Protocol):
    """A table's columns, and its rows in order. `blank_rows` have no cell and no number."""

    header: list[str]
    blank_rows: int

    def rows(self) -> Iterator[TableRow]:
        """The rows."""
        ...


def kind_of_table(file: InputFile) -> TableKind:
    """The form of a table: by its first bytes, else by its name; CSV if neither shows it."""
    head = file.first_bytes()
    if kind_of(head, file.path.name) is PARQUET:
        return "parquet"
    suffix = suffix_of(file.path.name)
    if suffix in {".jsonl", ".ndjson", ".json"}:
        return "jsonl"
    return "jsonl" if not suffix and _JSON.match(head) else "csv"


@contextmanager
def open_csv(
    file: InputFile,
    encoding: str,
    separator: str | None,
    report: Callable[[str], object],
) -> Iterator[tuple[CsvReader, str]]:
    """The rows and the separator: the one that is named, or that the file shows."""
    with file.text(encoding) as start:  # not beside the next: a pipe's copy has one position
        sample = start.read(SAMPLE)
    with file.text(encoding) as text:
        lines = bounded_lines(text)
        first = csv_reader.FIRST_LINE.match(sample)
        if first:
            next(lines)
        separator = separator or (first and first[1])
        if not separator:
            is_whole = len(sample) < SAMPLE
            separator = csv_reader.detect_separator(sample, is_whole=is_whole)
            if separator != ",":
                name = "a tab" if separator == "\t" else f"`{separator}`"
                report(f"the separator is {name}; --separator names another")
        yield CsvReader(lines, separator, encoding, line=2 if first else 1), separator


def bounded_lines(text: TextIO) -> Iterator[str]:
    """The lines with their line breaks."""
    number = 0
    while line := text.readline(MAX_TEXT_LINE + 1):
        number += 1
        if len(line) > MAX_TEXT_LINE:
            raise RequestError(f"line {number} is over {MAX_TEXT_LINE >> 20} MiB", "file")
        yield line


class JsonTable:
    """
    A JSON object a line; the columns are all their keys, in the order of their first use.

    A cell is `UNSET` if the object does not have the key. The file is read twice.
    """

    def __init__(self, file: InputFile, encoding: str) -> None:
        self._file, self._encoding = file, encoding
        self.blank_rows = 0
        types: dict[str, set[str]] = {}
        for _, value in self._objects():
            for name, cell in value.items():
                if (known := types.get(name)) is None:
                    known = types[name] = set()
                    if len(types) > MAX_COLUMNS:
                        raise RequestError(f"the file has over {MAX_COLUMNS} keys", "file")
                known.add(_type_of(cell))
        self.header = list(types)
        self.types = [_common_type(found) for found in types.values()]

    def rows(self) -> Iterator[TableRow]:
        """The rows, in order."""
        header = self.header
        for number, (line, value) in enumerate(self._objects(), 1):
            yield TableRow(number, line, [value.get(name, UNSET) for name in header])

    def _objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        self.blank_rows = 0
        with self._file.text(self._encoding) as text:
            for number, line in enumerate(bounded_lines(text), 1):
                if not line.strip():
                    self.blank_rows += 1
                    continue
                if BAD in line:
                    reason = f"line {number} is not valid {shown(self._encoding)}"
                    raise RequestError(reason, "file")
                try:
                    value = json.decode(line)
                except (*json.NOT_JSON, RecursionError):
                    value = None
                if not isinstance(value, dict):
                    raise RequestError(f"line {number} is not a JSON object", "file")
                yield number, value


def _type_of(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    return "number" if isinstance(value, float) else "string"


def _common_type(types: set[str]) -> str:
    found = types - {""}
    if found == {"integer", "number"}:
        return "number"
    return found.pop() if len(found) == 1 else "string"


def csv_copy(header: list[str], rows: Iterator[TableRow]) -> Iterator[bytes]:
    """The rows as CSV in UTF-8 with commas."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(header)
    for row in rows:
        writer.writerow(row.cells)
        if text.tell() >= SIZE:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def json_copy(header: list[str], rows: Iterator[TableRow]) -> Iterator[bytes]:
    """The rows as a JSON object a line."""
    for row in rows:
        found = zip(header, row.cells, strict=True)
        value = {name: cell for name, cell in found if cell is not UNSET}
        yield json.encode(value) + b"\n"
