"""
Writes the results of a job as a table: the input's rows in their order, with the responses.

The results are not in order. They are put into a temporary SQLite file by the name of their line,
so memory does not grow with the job.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Self, cast

from msgspec import Struct

from ...disk.threads import in_thread
from ...errors import NotFound, RequestError
from ...wire import json
from ..input.blanks import is_blank
from ..input.job_source import JobSource
from ..input.line_parser import Line, parse_line
from ..input.splitter import LineSplitter
from ..service.batches import JobService
from ..service.files import FileService
from ..service.records import Job
from ..tables.formats import OutputFormat, separator_of
from ..tables.responses import ADDED_TYPES, RowResponse, added_columns, responses_of, row_values
from ..tables.writers import CsvWriter, JsonWriter, TableWriter
from ..totals import LineCost
from ..work.result_lines import read_result
from .input_files import CHUNK, InputFile
from .sqlite import open_temporary
from .table_files import JsonTable, Table, open_csv
from .table_prompts import opened_table, row_id

SCHEMA = "CREATE TABLE results (name TEXT PRIMARY KEY, responses BLOB NOT NULL)"
STEP = 1_000
"""Results of one transaction."""

REQUEST_COLUMNS = ("custom_id", "prompt")
"""The columns of an input that is no table."""

NO_PROMPT = RowResponse(None, "the row has no prompt")


class TableOptions(Struct, frozen=True):
    """The form of a table's output; with `escape`, no cell begins like a spreadsheet's formula."""

    form: OutputFormat
    escape: bool = False


class WrittenTable(Struct):
    """What was written: rows, those with an error, and those with a value like a formula."""

    rows: int = 0
    failed: int = 0
    formulas: int = 0


async def write_table(
    job: Job,
    files: FileService,
    jobs: JobService,
    results: AsyncIterator[tuple[bool, bytes]],
    cost: Callable[[object], LineCost],
    options: TableOptions,
    write: Callable[[bytes], object],
) -> WrittenTable:
    """
    Write the rows of a job's input with their `results`, through `write`.

    While the job is not over, rows without a result are left out.
    """
    source = await _source(job, jobs)
    with _Results() as found:
        await _collect(results, found, job, cost)
        async with _local_copy(files, source.key or job.input_key) as file:
            return await in_thread(_write, job, source, file, found, options, write)


async def _source(job: Job, jobs: JobService) -> JobSource:
    """The job's source; that of a retry has the rows of the job that it retries."""
    first = job
    while first.source is None and first.retry_of is not None:
        try:
            first = await jobs.find(first.retry_of, None)
        except NotFound:
            break
    return first.source or JobSource("", key=first.input_key)


async def _collect(
    results: AsyncIterator[tuple[bool, bytes]],
    found: _Results,
    job: Job,
    cost: Callable[[object], LineCost],
) -> None:
    model = next(iter(job.models)) if len(job.models) == 1 else job.model
    rows: list[tuple[str, bytes]] = []
    async for failed, line in results:
        if (result := read_result(line, failed=failed)) is not None:
            rows.append((result.custom_id, json.encode(responses_of(result, model, cost))))
        if len(rows) >= STEP:
            await in_thread(found.add, rows)
            rows = []
    await in_thread(found.add, rows)


@asynccontextmanager
async def _local_copy(files: FileService, key: str) -> AsyncIterator[IO[bytes]]:
    """A temporary file of the blob's bytes."""
    if await files.blobs.size(key) is None:
        raise RequestError("the job's input was deleted, so it has no table", "job")
    with tempfile.TemporaryFile() as file:
        async for chunk in files.blobs.read(key):
            await in_thread(file.write, chunk)
        await in_thread(file.seek, 0)
        yield file


class _Results:
    """The responses to each line, by its name."""

    def __init__(self) -> None:
        self._db = open_temporary(SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._db.close()

    def add(self, rows: Sequence[tuple[str, bytes]]) -> None:
        """Add responses; those that are there already stay."""
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR IGNORE INTO results VALUES (?, ?)", rows)
        self._db.execute("COMMIT")

    def get(self, name: str) -> list[RowResponse]:
        """The responses to a line; none if it has no result."""
        query = "SELECT responses FROM results WHERE name = ?"
        found = self._db.execute(query, (name,)).fetchone()
        return [] if found is None else json.decode(found[0], type=list[RowResponse])


class _InputRow(Struct, frozen=True):
    """A row of the input: its name and cells, and where its values are in a Parquet file."""

    name: str
    cells: Sequence[object]
    place: Any = None


def _write(
    job: Job,
    source: JobSource,
    file: IO[bytes],
    found: _Results,
    options: TableOptions,
    write: Callable[[bytes], object],
) -> WrittenTable:
    """Write the rows; it blocks."""
    result = WrittenTable()
    with _open_rows(job, source, file) as rows:
        writer = _make_writer(source, rows, options, write)
        for row in rows:
            responses = found.get(row.name) or ([NO_PROMPT] if job.is_over else [])
            for response in responses:
                added = row_values(response, source.fields)
                writer.write(row.cells, added, row.place)
                result.rows += 1
                result.failed += added[-4] is not None and response is not NO_PROMPT
        writer.end()
    result.formulas = writer.formulas if isinstance(writer, CsvWriter) else 0
    return result


class _InputRows:
    """The rows of a job's input; `schema` is that of a Parquet file."""

    def __init__(
        self, columns: Sequence[str], rows: Iterator[_InputRow], schema: Any = None
    ) -> None:
        self.columns, self.schema = list(columns), schema
        self._rows = rows

    def __iter__(self) -> Iterator[_InputRow]:
        return self._rows


@contextmanager
def _open_rows(job: Job, source: JobSource, file: IO[bytes]) -> Iterator[_InputRows]:
    given = InputFile(Path(source.name), cast("BinaryIO", file))
    if source.kind == "parquet":
        from ..tables.parquet import ParquetTable

        table = ParquetTable(file, given.shown)
        rows = (_InputRow(name, cells, table.place) for name, cells in _named(table, source))
        yield _InputRows(table.header, rows, table.schema)
    elif source.kind == "jsonl":
        yield _plain_rows(JsonTable(given, "utf-8"), source)
    elif source.kind == "csv":
        with open_csv(given, "utf-8", ",", lambda _: None) as (reader, _):
            yield _plain_rows(reader, source)
    else:
        yield _InputRows(REQUEST_COLUMNS, _request_rows(file, job.model))


def _plain_rows(table: Table, source: JobSource) -> _InputRows:
    rows = (_InputRow(name, cells) for name, cells in _named(table, source))
    return _InputRows(table.header, rows)


def _named(table: Table, source: JobSource) -> Iterator[tuple[str, Sequence[object]]]:
    """The name and the cells of each row; a row without a prompt has no name."""
    opened = opened_table(table, source)
    for row in table.rows():
        has_prompt = not is_blank(opened.template.fill(row.cells))
        yield row_id(row, opened.id_index) if has_prompt else "", row.cells


def _request_rows(file: IO[bytes], model: str | None) -> Iterator[_InputRow]:
    """The requests of an input that is no table: their names, and what their last message asks."""
    splitter = LineSplitter()
    while data := file.read(CHUNK):
        for number, _, _, line in splitter.feed(data):
            if line:
                yield _request_row(parse_line(line, number, model))
    for number, _, _, line in splitter.end():
        if line:
            yield _request_row(parse_line(line, number, model))


def _request_row(line: Line) -> _InputRow:
    messages = line.body.get("messages") or []
    last = messages[-1] if isinstance(messages, list) and messages else {}
    content = last.get("content") if isinstance(last, dict) else last
    return _InputRow(line.custom_id, (line.custom_id, content))


def _with_names(columns: Sequence[str]) -> list[str]:
    """The columns; one without a name gets its number, as Parquet's names are all different."""
    found = list(columns)
    for index, name in enumerate(columns):
        number = f"column_{index + 1}"
        while not name and number in found:
            number += "_"
        found[index] = name or number
    return found


def _make_writer(
    source: JobSource,
    rows: _InputRows,
    options: TableOptions,
    write: Callable[[bytes], object],
) -> TableWriter:
    columns = rows.columns
    added = added_columns(columns, source.fields)
    if options.form == "parquet":
        from ..tables.parquet import ParquetWriter

        types = [*(source.fields.values() or ("string",)), *ADDED_TYPES]
        kinds = source.types or ["string"] * len(columns)
        return ParquetWriter(
            write,
            list(zip(_with_names(columns), kinds, strict=True)),
            list(zip(added, types, strict=True)),
            rows.schema,
        )
    if options.form == "jsonl":
        return JsonWriter(write, [*columns, *added])
    return CsvWriter(
        write,
        [*columns, *added],
        separator_of(options.form, source),
        has_mark=source.has_mark,
        escape=options.escape,
    )
