"""Turns a file into a job's lines: JSONL, text with a prompt a line, or a column of a CSV."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from msgspec import Struct

from ...errors import RequestError
from ...wire import json
from ..input import csv_reader
from ..input.csv_reader import CsvReader, CsvRow
from ..input.lines import MAX_LINE
from ..input.text_encodings import BAD, ERRORS, shown
from .input_files import CHUNK, InputFile

SAMPLE = 1 << 16

JSON_LINES = (".jsonl", ".ndjson", ".json")
"""How the names of files end that have a request on each line."""
"""Characters from which the separator is found."""

MAX_TEXT_LINE = 4 * MAX_LINE
"""Characters of a line of a CSV or a text file, which may have several long cells."""


def _ignore(_note: str) -> None:
    """Report nothing."""


class PromptFile(Struct, frozen=True):
    """
    A file of prompts and its form.

    `column` is that of a CSV, `system` a system message, `copy` the bytes if the path can be read
    only once. `report` gets what the user should know of how the file was read.
    """

    path: Path
    is_text: bool = False
    column: str | None = None
    system: str | None = None
    encoding: str | None = None
    separator: str | None = None
    copy: BinaryIO | None = None
    report: Callable[[str], None] = _ignore

    @property
    def input(self) -> InputFile:
        """The file."""
        return InputFile(self.path, self.copy)

    def chunks(self) -> Iterator[bytes]:
        """The job's input as JSONL; raises `RequestError` for a file that cannot be read."""
        file = self.input
        encoding = file.encoding(self.encoding)
        if self.encoding is None and encoding != "utf-8":
            self.report(f"{file.shown} is read as {shown(encoding)}; --encoding names another")
        if self.column is None and not self.is_text:
            self._check_form(file, encoding)
            yield from _json_lines(file, encoding)
            return
        with file.text(encoding) as text:
            yield from self._texts(text, encoding) if self.is_text else self._rows(text, encoding)

    def _check_form(self, file: InputFile, encoding: str) -> None:
        """Raise `RequestError` for a CSV without a column, and for text that is no JSON."""
        name = self.path.name.lower().removesuffix(".gz")
        if name.endswith(JSON_LINES):
            return  # a wrong line is an error of its own
        with file.text(encoding) as text:
            sample = text.read(SAMPLE).lstrip()
        if not sample or sample.startswith(("{", "[")):
            return
        if name.endswith((".csv", ".tsv")):
            message = f"{file.shown} is CSV by its name: add --column NAME, the prompts' column"
            raise RequestError(message, "column")
        message = f"{file.shown} is not JSON Lines: add --text if each of its lines is a prompt"
        raise RequestError(message, "text")

    def _texts(self, text: TextIO, encoding: str) -> Iterator[bytes]:
        blank = 0
        for number, line in enumerate(_bounded_lines(text), 1):
            prompt = line.rstrip("\r\n")
            if BAD in prompt:
                raise RequestError(f"line {number} is not valid {shown(encoding)}", "file")
            if "\0" in prompt:
                raise RequestError(f"line {number} has a NUL byte", "file")
            blank += not prompt.strip()
            yield (json.encode(self._chat(prompt)) if prompt.strip() else b"") + b"\n"
        if blank:
            self.report(f"{_count(blank, 'blank line')} skipped")

    def _rows(self, text: TextIO, encoding: str) -> Iterator[bytes]:
        reader = self._reader(text, encoding)
        column = _index(reader.header, self.column or "")
        last, skipped, first_skipped = 0, 0, 0
        for row in reader.rows():
            last = row.number
            line = self._line(row, column)
            if not line:
                skipped, first_skipped = skipped + 1, first_skipped or row.number
            yield line + b"\n"
        if last == skipped:
            raise RequestError("no row has a prompt" if last else "the file has no rows", "file")
        self._report_skipped(reader.blank_rows, skipped, first_skipped)

    def _reader(self, text: TextIO, encoding: str) -> CsvReader:
        """The rows by the separator that is named, or that the file shows."""
        with self.input.text(encoding) as start:
            sample = start.read(SAMPLE)
        lines = _bounded_lines(text)
        first = csv_reader.FIRST_LINE.match(sample)
        if first:
            next(lines)
        separator = self.separator or (first and first[1])
        if not separator:
            is_whole = len(sample) < SAMPLE
            separator = csv_reader.detect_separator(sample, is_whole=is_whole)
            if separator != ",":
                name = "a tab" if separator == "\t" else f"`{separator}`"
                self.report(f"the separator is {name}; --separator names another")
        return CsvReader(lines, separator, encoding, line=2 if first else 1)

    def _line(self, row: CsvRow, column: int) -> bytes:
        """The row as a line; empty without a prompt."""
        prompt = row.cells[column]
        if not prompt.strip():
            return b""
        line = json.encode({"custom_id": f"row-{row.number}", "messages": self._chat(prompt)})
        if len(line) > MAX_LINE:
            message = f"row {row.number}, line {row.line}: over {MAX_LINE >> 20} MiB"
            raise RequestError(message, "file")
        return line

    def _report_skipped(self, blank: int, skipped: int, first: int) -> None:
        parts = [_count(blank, "blank row")] if blank else []
        if skipped:
            parts.append(f"{_count(skipped, 'row')} without a prompt (the first is row {first})")
        if parts:
            self.report(f"{' and '.join(parts)} skipped")

    def _chat(self, text: str) -> list[dict[str, str]]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": text}]


def _json_lines(file: InputFile, encoding: str) -> Iterator[bytes]:
    """The file as UTF-8. Bytes that are no UTF-8 stay: the planner's error names their line."""
    with file.open() as source:
        first = source.read(CHUNK)
        decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)(ERRORS)
        has_only_returns: bool | None = None
        data = first
        while data:
            if decoder is not None:
                data = decoder.decode(data).encode(errors="replace")
            if has_only_returns is None:
                has_only_returns = b"\r" in data and b"\n" not in data
            yield data.replace(b"\r", b"\n") if has_only_returns else data
            data = source.read(CHUNK)


def _bounded_lines(text: TextIO) -> Iterator[str]:
    """The lines with their line breaks."""
    number = 0
    while line := text.readline(MAX_TEXT_LINE + 1):
        number += 1
        if len(line) > MAX_TEXT_LINE:
            raise RequestError(f"line {number} is over {MAX_TEXT_LINE >> 20} MiB", "file")
        yield line


def _index(header: list[str], column: str) -> int:
    """The place of a column; raises `RequestError` with those that there are."""
    if not header:
        raise RequestError("the file is empty", "file")
    if not column.strip() or column.strip() not in header:
        columns = ", ".join(map(csv_reader.short, filter(None, header)))
        raise RequestError(f"there is no column `{column}`; there is {columns}", "column")
    return header.index(column.strip())


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
