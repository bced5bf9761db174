"""
Sorts the lines of a job by their beginnings, and writes their order.

It is an external merge sort: sorted runs are written to temporary files and merged. What it holds
in memory does not depend on the number of lines.
"""

from __future__ import annotations

import heapq
import struct
import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from typing import IO, NamedTuple, Self

from msgspec import Struct, field

from .line_order import GROUP, PLACE, RANGE, OrderHead, head_line
from .prefixes import Part, Prefix

RECORD = struct.Struct(">I8s8sQQQIIIII")
"""A line: model, hashes of the short and the long beginning, place, their sizes and blocks."""

RUN = 1 << 15
"""Records that are sorted in memory."""

BUFFERS = 1 << 22
"""Bytes that are read ahead, for all runs together."""

SPOOL = 1 << 20
"""Bytes of a temporary file that stay in memory."""

COPY = 1 << 18

MAX_RANGES = 4_096
"""Ranges that are packed at a time."""


class Shared(Struct):
    """
    A model's lines that share a beginning: groups, lines, bytes that another line has first.

    `size` is that of all of the model's lines.
    """

    groups: int = 0
    lines: int = 0
    repeated: int = 0
    size: int = 0


class _Line(NamedTuple):
    """An unpacked `RECORD`."""

    model: int
    short: bytes
    long: bytes
    number: int
    start: int
    end: int
    shard: int
    short_size: int
    long_size: int
    short_blocks: int
    long_blocks: int


class OrderWriter:
    """
    Collects lines with `add`, in the order of the file; `finish` sorts them.

    So many as a `run` are sorted in memory.

    A `with` block, which deletes the temporary files.
    """

    def __init__(self, run: int = RUN) -> None:
        self._most = run
        self._models: dict[str, int] = {}
        self._run: list[bytes] = []
        self._runs: list[tuple[int, int]] = []
        self._spilled: IO[bytes] | None = None
        self._ranges = _Ranges()
        self._groups = _Records()
        self._places = _Records()
        self._counts: list[int] = []
        self._lines = 0
        self._sizes: dict[str, int] = {}
        self.shared: dict[str, Shared] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self._spilled, self._ranges.file, self._groups.file, self._places.file):
            if file is not None:
                file.close()

    def add(self, model: str, place: tuple[int, int, int, int], prefix: Prefix | None) -> None:
        """Add a line: its number, start, end and shard."""
        number, start, end, shard = place
        self._lines += 1
        self._sizes[model] = self._sizes.get(model, 0) + end - start
        if prefix is None:
            self._ranges.add(shard, number, start, end)
            return
        index = self._models.setdefault(model, len(self._models))
        short, long = prefix
        sizes = (short.size, long.size, short.blocks, long.blocks)
        self._run.append(RECORD.pack(index, short.hash, long.hash, *place, *sizes))
        if len(self._run) >= self._most:
            self._spill()

    def _spill(self) -> None:
        if self._spilled is None:
            self._spilled = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by the block
        self._run.sort()
        self._runs.append((self._spilled.seek(0, 2), len(self._run)))
        self._spilled.write(b"".join(self._run))
        self._run = []

    def _sorted(self) -> Iterator[_Line]:
        self._run.sort()
        size = max(16, BUFFERS // RECORD.size // (len(self._runs) or 1))
        runs = [self._read_run(start, count, size) for start, count in self._runs]
        merged = heapq.merge(*runs, self._run)
        return map(_Line._make, map(RECORD.unpack, merged))

    def _read_run(self, start: int, count: int, size: int) -> Iterator[bytes]:
        file = self._spilled
        if file is None:
            raise AssertionError("runs are in the file")
        step = RECORD.size
        while count:
            file.seek(start)
            data = file.read(min(size, count) * step)
            yield from (data[at : at + step] for at in range(0, len(data), step))
            start, count = start + len(data), count - len(data) // step

    def finish(self) -> bool:
        """Sort the lines, which blocks; returns whether any share a beginning."""
        names = list(self._models)
        self._counts = [0] * len(names)
        for model, lines in groupby(self._sorted(), key=lambda line: line.model):
            shared = self.shared[names[model]] = Shared(size=self._sizes[names[model]])
            for _, same in groupby(lines, key=lambda line: line.short):
                self._add_family(model, same, shared)
            self._counts[model] = shared.groups
        self.shared = {name: found for name, found in self.shared.items() if found.groups}
        return bool(self.shared)

    def _add_family(self, model: int, lines: Iterator[_Line], shared: Shared) -> None:
        """
        Add the lines with the same first blocks.

        Those with more in common are groups of their own, the others are one group together.
        """
        with _Records() as rest:
            for _, same in groupby(lines, key=lambda line: line.long):
                found = iter(same)
                first, second = next(found), next(found, None)
                if second is None:
                    rest.add(RECORD.pack(*first))
                    continue
                count = 2
                self._add_places(first, second)
                for line in found:
                    self._add_places(line)
                    count += 1
                part = Part(first.long, first.long_size, first.long_blocks)
                self._add_group(model, part, count, shared)
            self._add_rest(model, rest, shared)

    def _add_rest(self, model: int, rest: _Records, shared: Shared) -> None:
        if rest.count == 1:
            only = next(rest.lines())
            self._ranges.add(only.shard, only.number, only.start, only.end)
        elif rest.count:
            part = None
            for line in rest.lines():
                self._add_places(line)
                part = part or Part(line.short, line.short_size, line.short_blocks)
            if part is not None:
                self._add_group(model, part, rest.count, shared)

    def _add_places(self, *lines: _Line) -> None:
        for line in lines:
            self._places.add(PLACE.pack(line.number, line.start, line.end, line.shard))

    def _add_group(self, model: int, part: Part, lines: int, shared: Shared) -> None:
        first = self._places.count - lines
        self._groups.add(GROUP.pack(model, part.hash, lines, first, part.blocks, part.size))
        shared.groups += 1
        shared.lines += lines
        shared.repeated += (lines - 1) * part.size

    def chunks(self) -> Iterator[bytes]:
        """The blob of the order, after `finish`."""
        yield head_line(
            OrderHead(
                list(self._models),
                self._counts,
                self._ranges.count,
                self._places.count,
                self._lines,
            )
        )
        for records in (self._groups, self._ranges.closed(), self._places):
            yield from records.chunks()


class _Records(Struct):
    """Records of the same size in a temporary file."""

    file: IO[bytes] = field(default_factory=partial(tempfile.SpooledTemporaryFile, SPOOL))
    count: int = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def add(self, record: bytes) -> None:
        """Add a record."""
        self.file.write(record)
        self.count += 1

    def chunks(self) -> Iterator[bytes]:
        """All bytes."""
        self.file.seek(0)
        while data := self.file.read(COPY):
            yield data

    def lines(self) -> Iterator[_Line]:
        """The lines, if the records are lines."""
        self.file.seek(0)
        while data := self.file.read(RECORD.size * MAX_RANGES):
            yield from map(_Line._make, RECORD.iter_unpack(data))


class _Ranges:
    """Lines in no group: those that follow each other in a shard are one record."""

    def __init__(self) -> None:
        self._records = _Records()
        self._shard = self._lines = self._number = self._start = self._end = 0

    @property
    def file(self) -> IO[bytes]:
        return self._records.file

    @property
    def count(self) -> int:
        return self.closed().count

    def add(self, shard: int, number: int, start: int, end: int) -> None:
        """Add a line."""
        if self._lines and self._shard == shard and self._end == start:
            self._lines += 1
            self._end = end
            return
        self.closed()
        self._shard, self._lines, self._number = shard, 1, number
        self._start, self._end = start, end

    def closed(self) -> _Records:
        """The records of all ranges."""
        if self._lines:
            found = (self._shard, self._lines, self._number, self._start, self._end)
            self._records.add(RANGE.pack(*found))
            self._lines = 0
        return self._records
