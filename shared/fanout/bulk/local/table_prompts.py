"""The rows of a table as the lines of a job, and the copy of them that a job keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from msgspec import Struct

from ...errors import RequestError
from ...wire import json
from ..input.blanks import is_blank
from ..input.csv_reader import TableRow
from ..input.job_source import JobSource
from ..input.lines import MAX_CUSTOM_ID, MAX_LINE
from ..tables import template
from ..tables.template import Template
from .input_files import InputFile
from .table_files import Table, csv_copy, json_copy

MakeRequest: TypeAlias = Callable[[str, str | None], dict[str, Any]]
"""Makes the body of a request."""

NAME_ENCODING = "; name the file's encoding with --encoding"


@contextmanager
def encoding_named() -> Iterator[None]:
    """An error about bytes that are no text says how to name the encoding."""
    try:
        yield
    except RequestError as error:
        if "not valid " in str(error) and not str(error).endswith("not valid CSV"):
            raise RequestError(f"{error}{NAME_ENCODING}", error.param) from None
        raise


class OpenedTable(Struct, frozen=True):
    """A table, and what its output needs to know of it. `system` is of the system message."""

    table: Table
    template: Template
    source: JobSource
    id_index: int | None
    system: Template | None = None


def opened_table(
    table: Table,
    source: JobSource,
    report: Callable[[str], object] = lambda _: None,
    system: str | None = None,
) -> OpenedTable:
    """The table with the template of its source; raises `RequestError` for a wrong column."""
    columns = table.header
    if source.prompt is not None:
        form = template.parse(source.prompt, columns, report)
    else:
        form = template.of_column(source.column or "", columns)
    index = None
    if source.id_column is not None:
        index = template.index_of(source.id_column, columns, "id")
    message = template.parse_system(system, columns, report) if system else None
    return OpenedTable(table, form, source, index, message)


def column_error(file: InputFile, kind: str, columns: Sequence[str]) -> RequestError:
    use = f"use --column with one of {template.listed(columns)}, or --prompt with columns in braces"
    return RequestError(f"{file.shown} is {kind}: {use}", "column")


def row_id(row: TableRow, id_index: int | None) -> str:
    """The name of a row's request: `row-N`, or the cell of `--id`."""
    if id_index is None:
        return f"row-{row.number}"
    found = template.text_of(row.cells[id_index])
    if is_blank(found):
        raise RequestError(f"{place_of(row)}: the cell of --id is empty", "id")
    if len(found) > MAX_CUSTOM_ID:
        message = f"{place_of(row)}: the cell of --id is over {MAX_CUSTOM_ID} characters"
        raise RequestError(message, "id")
    return found


def place_of(row: TableRow) -> str:
    """Where a row is, for a message."""
    return f"row {row.number}" if row.line is None else f"row {row.number}, line {row.line}"


def row_lines(
    opened: OpenedTable,
    request: MakeRequest,
    limit: int | None,
    report: Callable[[str], object],
) -> Iterator[tuple[TableRow, bytes]]:
    """
    Each row, and its line with a line break; the line is empty without a prompt.

    `request` makes the body of a prompt and a system message. After `limit` prompts, the rest is
    not read. `report` gets how many rows have none.
    """
    found, last, skipped, first_skipped = 0, 0, 0, 0
    for row in opened.table.rows():
        last = row.number
        line = _line(row, opened, request)
        if line:
            found += 1
        else:
            skipped, first_skipped = skipped + 1, first_skipped or row.number
        yield row, line + b"\n"
        if found == limit:
            break
    if not found:
        raise RequestError("no row has a prompt" if last else "the file has no rows", "file")
    parts = [counted(blank, "blank row")] if (blank := opened.table.blank_rows) else []
    if skipped:
        rows = counted(skipped, "row")
        parts.append(f"{rows} without a prompt (the first is row {first_skipped})")
    if parts:
        report(f"{' and '.join(parts)} skipped")


def _line(row: TableRow, opened: OpenedTable, request: MakeRequest) -> bytes:
    """The row as a line; empty without a prompt."""
    prompt = opened.template.fill(row.cells)
    if is_blank(prompt):
        return b""
    system = opened.system.text(row.cells) if opened.system else None
    line = json.encode({"custom_id": row_id(row, opened.id_index), **request(prompt, system)})
    if len(line) > MAX_LINE:
        raise RequestError(f"{place_of(row)}: over {MAX_LINE >> 20} MiB", "file")
    return line


def table_copy(opened: OpenedTable, rows: Iterator[TableRow]) -> Iterator[bytes]:
    """These rows of the table, in a form that is read again without any option."""
    match opened.source.kind:
        case "parquet":
            from ..tables.parquet import ParquetTable, copy

            assert isinstance(opened.table, ParquetTable)  # noqa: S101 -- by its kind
            return copy(opened.table, rows)
        case "jsonl":
            return json_copy(opened.table.header, rows)
        case _:
            return csv_copy(opened.table.header, rows)


def counted(number: int, what: str) -> str:
    """A number with its word: `1 row`, `2 rows`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
