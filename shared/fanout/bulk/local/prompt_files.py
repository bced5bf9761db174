"""Turns a file into a job's lines: requests, texts with a prompt a line, or the rows of a table."""

from __future__ import annotations

import codecs
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from msgspec import UNSET, Struct
from msgspec.structs import replace

from ...errors import RequestError
from ...wire import json
from ..input.blanks import is_blank
from ..input.csv_reader import TableRow
from ..input.job_source import JobSource, TableKind
from ..input.line_parser import batch_line, parse_line
from ..input.lines import BadLine, read_head
from ..input.splitter import LineSplitter
from ..input.text_encodings import BAD, ERRORS, shown
from ..tables.formats import suffix_of
from .input_files import CHUNK, InputFile, reading_errors
from .json_form import check_is_lines, is_request
from .table_files import JsonTable, Table, bounded_lines, kind_of_table, open_csv
from .table_prompts import (
    NAME_ENCODING,
    OpenedTable,
    column_error,
    counted,
    encoding_named,
    opened_table,
    row_lines,
)

JSON_LINES = (".jsonl", ".ndjson", ".json")
"""How the names of files end that have a request on each line."""

SAMPLE = 1 << 16


def _ignore(_note: str) -> None:
    """Report nothing."""


class PromptFile(Struct, frozen=True):
    """
    A file of prompts and its form.

    `column` or `prompt`, a template over the columns, say that it is a table; `id_column` names its
    rows. `system` is a system message, of a table also a template. `params` are fields of each
    request that does not have its own, also of its `fanout`. After `limit` prompts, the rest is not
    read. `copy` are the bytes if the path can be read only once. `report` gets what the user should
    know of how the file was read.
    """

    path: Path
    is_text: bool = False
    column: str | None = None
    system: str | None = None
    encoding: str | None = None
    separator: str | None = None
    copy: BinaryIO | None = None
    report: Callable[[str], None] = _ignore
    prompt: str | None = None
    id_column: str | None = None
    params: Mapping[str, Any] = {}
    limit: int | None = None
    fields: Mapping[str, str] = {}

    @property
    def input(self) -> InputFile:
        """The file."""
        return InputFile(self.path, self.copy)

    @property
    def name(self) -> str:
        """The file's name, as text; a pipe that a shell has opened has none of its own."""
        is_number = self.copy is not None and self.path.name.isdecimal()  # as in `/dev/fd/63`
        return "pipe" if is_number else os.fsencode(self.path.name).decode(errors="replace")

    @property
    def is_table(self) -> bool:
        """Whether each row of the file is a prompt."""
        return self.column is not None or self.prompt is not None

    def chunks(self) -> Iterator[bytes]:
        """The job's input as JSONL; raises `RequestError` for a file that cannot be read."""
        if self.is_table:
            with self.open_table() as opened:
                yield from (line for _, line in self.lines(opened))
            return
        file = self.input
        if kind_of_table(file) == "parquet" and not self.is_text:
            raise self._parquet_needs_column(file)
        encoding = self._encoding(file)
        if self.is_text:
            with file.text(encoding) as text:
                yield from self._texts(text, encoding)
            return
        self._check_form(file, encoding)
        chunks = _json_lines(file, encoding)
        yield from self._requests(chunks) if self.params or self.limit is not None else chunks

    def fingerprint(self, model: str) -> str:
        """A hash of the prompts, of a table's other cells, and of the model."""
        digest = hashlib.blake2b(json.encode([model]), digest_size=16)
        if self.is_table:
            with self.open_table() as opened:
                digest.update(json.encode(opened.source))
                for row, line in self.lines(opened):
                    digest.update(line)
                    cells = [[] if cell is UNSET else [cell] for cell in row.cells]
                    digest.update(json.encode(cells))
        else:
            for chunk in self.chunks():
                digest.update(chunk)
        return digest.hexdigest()

    # ---- tables ----

    @contextmanager
    def open_table(self) -> Iterator[OpenedTable]:
        """The table, for the block."""
        file = self.input
        kind = kind_of_table(file)
        with ExitStack() as stack:
            stack.enter_context(encoding_named())
            table, source = self._open(file, kind, stack)
            source = replace(
                source,
                columns=table.header,
                column=self.column,
                prompt=self.prompt,
                id_column=self.id_column,
                fields=dict(self.fields),
            )
            yield opened_table(table, source, self.report, self.system)

    def _open(self, file: InputFile, kind: TableKind, stack: ExitStack) -> tuple[Table, JobSource]:
        source = JobSource(self.name, kind)
        if kind == "parquet":
            from ..tables.parquet import ParquetTable

            stack.enter_context(reading_errors(file.shown))
            return ParquetTable(stack.enter_context(file.open()), file.shown), source
        encoding = self._encoding(file)
        if kind == "jsonl":
            check_is_lines(file, encoding)
            table = JsonTable(file, encoding)
            return table, replace(source, types=table.types)
        has_mark = encoding != "utf-8" or file.has_mark()
        opened = open_csv(file, encoding, self.separator, self.report)
        reader, separator = stack.enter_context(opened)
        return reader, replace(source, separator=separator, has_mark=has_mark)

    def lines(self, opened: OpenedTable) -> Iterator[tuple[TableRow, bytes]]:
        """Each row of the table, and its line."""
        return row_lines(opened, self._chat, self.limit, self.report)

    # ---- requests and texts ----

    def _encoding(self, file: InputFile) -> str:
        encoding = file.encoding(self.encoding)
        if self.encoding is None and encoding != "utf-8":
            self.report(f"{file.shown} is read as {shown(encoding)}; --encoding names another")
        return encoding

    def _check_form(self, file: InputFile, encoding: str) -> None:
        """Raise `RequestError` for a table without a column, and for text that is no JSON."""
        suffix = suffix_of(self.path.name)
        columns = check_is_lines(file, encoding)
        if columns and not is_request(columns):
            raise column_error(file, "a table in JSONL", columns)
        if suffix in JSON_LINES:
            return  # a wrong line is an error of its own
        with file.text(encoding) as text:
            sample = text.read(SAMPLE).lstrip()
        if not sample or sample.startswith(("{", "[")):
            return
        if suffix:
            raise self._needs_column(file, encoding)
        message = f"{file.shown} is not JSON Lines: add --text if each of its lines is a prompt"
        raise RequestError(message, "text")

    def _needs_column(self, file: InputFile, encoding: str) -> RequestError:
        with open_csv(file, encoding, self.separator, _ignore) as (reader, _):
            return column_error(file, "a CSV", reader.header)

    def _parquet_needs_column(self, file: InputFile) -> RequestError:
        from ..tables.parquet import ParquetTable

        with file.open() as source:
            return column_error(file, "a Parquet file", ParquetTable(source, file.shown).header)

    def _requests(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The requests up to the limit, each with the params that it does not have itself."""
        found = 0
        for number, data in _split(chunks):
            if data and found == self.limit:
                return
            found += bool(data)
            yield (self._with_params(data, number) if data else b"") + b"\n"

    def _with_params(self, data: bytes, number: int) -> bytes:
        """A line that cannot be read stays: the planner says what is wrong with it."""
        try:
            read_head(data, number, "any")
            line = parse_line(data, number, None)
        except BadLine:
            return data
        if line.parse_error is not None:
            return data
        return batch_line(replace(line, body=_with_params(line.body, self.params)))[:-1]

    def _texts(self, text: TextIO, encoding: str) -> Iterator[bytes]:
        blank = found = 0
        for number, line in enumerate(bounded_lines(text), 1):
            if found == self.limit:
                break
            prompt = line.rstrip("\r\n")
            if BAD in prompt:
                reason = f"line {number} is not valid {shown(encoding)}{NAME_ENCODING}"
                raise RequestError(reason, "file")
            if "\0" in prompt:
                raise RequestError(f"line {number} has a NUL byte", "file")
            skips = is_blank(prompt)
            blank, found = blank + skips, found + (not skips)
            yield (b"" if skips else self._text_line(prompt)) + b"\n"
        if blank:
            self.report(f"{counted(blank, 'blank line')} skipped")

    def _text_line(self, prompt: str) -> bytes:
        chat = self._chat(prompt, self.system)
        return json.encode(chat if self.params else chat["messages"])

    def _chat(self, text: str, system: str | None) -> dict[str, Any]:
        first = [{"role": "system", "content": system}] if system and not is_blank(system) else []
        return {"messages": [*first, {"role": "user", "content": text}], **self.params}


def _with_params(given: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """
    A request with the params that it does not have itself, also those of its `fanout`.

    Its own `fanout.schema` is its format. If it has `fanout.check: false`, it stays unchecked.
    """
    own = {name: value for name, value in given.items() if value is not None}
    both = {**params, **own}
    fanout = own.get("fanout")
    if not isinstance(fanout, dict):
        return both
    fanout = {name: value for name, value in fanout.items() if value is not None}
    if "schema" in fanout and "response_format" not in own:
        both.pop("response_format", None)
    is_unchecked = fanout.get("check") is False
    both["fanout"] = fanout if is_unchecked else {**params.get("fanout", {}), **fanout}
    return both


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


def _split(chunks: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """The number and the bytes of each line."""
    splitter = LineSplitter()
    for chunk in chunks:
        for number, _, _, line in splitter.feed(chunk):
            yield number, line
    for number, _, _, line in splitter.end():
        yield number, line
