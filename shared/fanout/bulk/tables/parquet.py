"""
Reads and writes Parquet, a batch of rows at a time. The only importer of `pyarrow`, an extra.

Values keep their types: a column of the input is the same column in the output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from ...errors import ConfigError, RequestError
from ...settings import install_command
from ..input.csv_reader import TableRow
from .template import text_of

BATCH = 1_000
"""Rows that are in memory at a time."""

MAX_NAME = 200


def load() -> tuple[Any, Any]:
    """`pyarrow` and `pyarrow.parquet`; raises `ConfigError` with the command that installs them."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ConfigError(f"Parquet needs pyarrow: {install_command('parquet')}") from None
    return pa, pq


class ParquetTable:
    """
    A Parquet file's columns and rows. Raises `RequestError` for a damaged file.

    A row's cells are Python's values; `batch` and `index` are where its own values are.
    """

    blank_rows = 0

    def __init__(self, file: IO[bytes], shown: str) -> None:
        self._shown = shown
        self._arrow, parquet = load()
        with self._errors():
            self._file = parquet.ParquetFile(file)
        self.schema = self._file.schema_arrow
        self.header: list[str] = list(self.schema.names)
        for name in self.header:
            if self.header.count(name) > 1:
                twice = f"{shown} has the column `{name[:MAX_NAME]}` twice; rename one of them"
                raise RequestError(twice, "file")

    def rows(self) -> Iterator[TableRow]:
        """The rows, in order."""
        for batch, cells in self.batches():
            start = self._number
            self._number += batch.num_rows
            for index, row in enumerate(cells):
                self.place = (batch, index)
                yield TableRow(start + index + 1, None, row)

    def batches(self) -> Iterator[tuple[Any, list[tuple[Any, ...]]]]:
        """Batches of rows, each with its rows' cells."""
        self._number = 0
        source = self._file.iter_batches(batch_size=BATCH)
        while True:
            with self._errors():
                batch = next(source, None)
            if batch is None:
                return
            yield batch, list(zip(*map(self._values, batch.columns), strict=True))

    def _values(self, column: Any) -> list[Any]:
        """The values as Python's; times are cut to a microsecond, which Python has."""
        arrow = self._arrow
        if arrow.types.is_timestamp(column.type) and column.type.unit == "ns":
            column = column.cast(arrow.timestamp("us", tz=column.type.tz), safe=False)
        values: list[Any] = column.to_pylist()
        return values

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (self._arrow.ArrowException, OSError, ValueError) as error:
            reason = str(error).splitlines()[0][:MAX_NAME] if str(error) else "it is damaged"
            raise RequestError(
                f"{self._shown} cannot be read as Parquet: {reason}", "file"
            ) from None


def copy(table: ParquetTable, rows: Iterator[TableRow]) -> Iterator[bytes]:
    """The bytes of a Parquet file of these rows of the table."""
    sink = _Sink()
    arrow, parquet = load()
    with parquet.ParquetWriter(sink, table.schema) as writer:
        for batch, indexes in _by_batch(table, rows):
            writer.write_batch(batch.take(arrow.array(indexes)))
            yield sink.taken()
    yield sink.taken()


def _by_batch(table: ParquetTable, rows: Iterator[TableRow]) -> Iterator[tuple[Any, list[int]]]:
    """The places of the rows: each batch, and the indexes in it."""
    batch: Any = None
    indexes: list[int] = []
    for _ in rows:
        found, index = table.place
        if batch is not None and found is not batch:
            yield batch, indexes
            indexes = []
        batch = found
        indexes.append(index)
    if batch is not None:
        yield batch, indexes


class ParquetWriter:
    """
    Writes rows to a Parquet file, through `write`.

    `columns` are the names and JSON types of the input's columns, and `added` those of the columns
    after them. `schema` is the input's, if that is Parquet.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        columns: Sequence[tuple[str, str]],
        added: Sequence[tuple[str, str]],
        schema: Any = None,
    ) -> None:
        arrow, parquet = load()
        self._arrow = arrow
        self._write = write
        own = [arrow.field(name, _type(arrow, kind)) for name, kind in columns]
        more = [arrow.field(name, _type(arrow, kind)) for name, kind in added]
        self._kinds = [kind for _, kind in (*columns, *added)]
        self._width = len(columns)
        fields = [*(list(schema) if schema is not None else own), *more]
        self._schema = arrow.schema(fields, schema.metadata if schema is not None else None)
        self._sink = _Sink()
        self._writer = parquet.ParquetWriter(self._sink, self._schema)
        self._rows: list[Sequence[object]] = []
        self._places: list[tuple[Any, int]] = []

    def write(self, cells: Sequence[object], added: Sequence[object], place: Any = None) -> None:
        """Add a row; `place` is where the input's own values are, if the input is Parquet."""
        self._rows.append([*cells, *added])
        self._places.append(place)
        if len(self._rows) >= BATCH:
            self._flush()

    def end(self) -> None:
        """Write what is left, and the file's end."""
        self._flush()
        self._writer.close()
        self._write(self._sink.taken())

    def _flush(self) -> None:
        if not self._rows:
            return
        arrow = self._arrow
        columns = list(zip(*self._rows, strict=True))
        arrays = []
        for index, (field, values) in enumerate(zip(self._schema, columns, strict=True)):
            if index < self._width and self._places[0] is not None:
                parts = [batch.column(index).slice(row, 1) for batch, row in self._places]
                arrays.append(arrow.concat_arrays(parts))
            else:
                kind = self._kinds[index]
                fitted = [_fitted(value, kind) for value in values]
                arrays.append(arrow.array(fitted, type=field.type))
        self._writer.write_batch(arrow.record_batch(arrays, schema=self._schema))
        self._rows.clear()
        self._places.clear()
        self._write(self._sink.taken())


def _type(arrow: Any, kind: str) -> Any:
    types = {"integer": arrow.int64(), "number": arrow.float64(), "boolean": arrow.bool_()}
    return types.get(kind, arrow.string())


def _fitted(value: object, kind: str) -> object:
    """The value as one of the column's type; `None` if it is another."""
    if value is None:
        return None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if kind == "integer":
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return value if is_whole and -(2**63) <= value < 2**63 else None  # type: ignore[operator]
    if kind == "number":
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(value) if is_number else None  # type: ignore[arg-type]
    return text_of(value)


class _Sink:
    """A file that is only written; what was written is taken out again and again."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: what was written is taken out afterwards."""

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def taken(self) -> bytes:
        """What was written since the last time."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data
