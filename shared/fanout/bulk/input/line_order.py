"""
The order in which a job's lines are sent: lines with the same beginning follow each other.

The planner collects the place and the beginning of each line, sorts them on the disk, and writes
one blob: groups of at least two lines, and ranges of all others in the order of the file. Memory
does not grow with the number of lines.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from ...wire import json
from ..store import BlobStore


class LinePosition(NamedTuple):
    """Where a line is: its number, its bytes `[start, end)` in the input, its shard."""

    number: int
    start: int
    end: int
    shard: int


class LineRange(NamedTuple):
    """Lines of a shard that follow each other: the bytes `[start, end)` from line `number` on."""

    shard: int
    lines: int
    number: int
    start: int
    end: int


class PrefixGroup(Struct, frozen=True):
    """
    Lines of one model with the same beginning of `size` bytes; `first` is their place in the order.

    The beginning has so many whole `blocks`, or ends inside one.
    """

    model: str
    key: str
    lines: int
    first: int
    blocks: int
    size: int


PLACE = struct.Struct("<QQQI")
RANGE = struct.Struct("<IIQQQ")
GROUP = struct.Struct("<I8sIQII")


class OrderHead(Struct, frozen=True):
    """The first line of the blob: how many records of each kind follow, and the models."""

    models: list[str]
    groups: list[int]
    ranges: int
    places: int
    lines: int


HEAD_SIZE = 1 << 20
CHUNK = 256
"""Records that are read at a time."""


class LineOrder:
    """
    The order of a job's lines, read a few at a time.

    `read` returns the bytes `[start, end)` of the blob.
    """

    def __init__(self, head: OrderHead, begin: int, read: Callable[[int, int], Any]) -> None:
        self.head = head
        self._read = read
        self._groups = begin
        self._ranges = begin + sum(head.groups) * GROUP.size
        self._places = self._ranges + head.ranges * RANGE.size

    async def groups(self, model: int) -> AsyncIterator[PrefixGroup]:
        """The groups of a model, by its index in the head."""
        first = sum(self.head.groups[:model])
        begin, end = first, first + self.head.groups[model]
        for at in range(begin, end, CHUNK):
            count = min(CHUNK, end - at)
            for found in GROUP.iter_unpack(await self._records(self._groups, GROUP, at, count)):
                number, key, lines, start, blocks, size = found
                name = self.head.models[number]
                yield PrefixGroup(name, key.hex(), lines, start, blocks, size)

    async def places(self, first: int, count: int) -> list[LinePosition]:
        """So many lines of groups."""
        data = await self._records(self._places, PLACE, first, count)
        return [LinePosition(*found) for found in PLACE.iter_unpack(data)]

    async def ranges(self) -> AsyncIterator[LineRange]:
        """The lines that are in no group, in the order of the file."""
        for at in range(0, self.head.ranges, CHUNK):
            count = min(CHUNK, self.head.ranges - at)
            for found in RANGE.iter_unpack(await self._records(self._ranges, RANGE, at, count)):
                yield LineRange(*found)

    async def _records(self, begin: int, form: struct.Struct, at: int, count: int) -> bytes:
        start = begin + at * form.size
        data: bytes = await self._read(start, start + count * form.size)
        return data


async def open_order(blobs: BlobStore, key: str, lines: int) -> LineOrder | None:
    """The order of so many lines; `None` if there is none, or it is damaged."""
    size = await blobs.size(key)
    if size is None:
        return None

    async def read(start: int, end: int) -> bytes:
        return b"".join([chunk async for chunk in blobs.read(key, start, end)])

    line, separator, _ = (await read(0, min(size, HEAD_SIZE))).partition(b"\n")
    try:
        head = msgspec.json.decode(line, type=OrderHead)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    records = sum(head.groups) * GROUP.size + head.ranges * RANGE.size + head.places * PLACE.size
    if not separator or head.lines != lines or len(line) + 1 + records != size:
        return None
    return LineOrder(head, len(line) + 1, read)


def order_in_memory(data: bytes) -> LineOrder:
    """The order that these bytes of a blob are."""

    async def read(start: int, end: int) -> bytes:
        return data[start:end]

    line, _, _ = data.partition(b"\n")
    return LineOrder(msgspec.json.decode(line, type=OrderHead), len(line) + 1, read)


def head_line(head: OrderHead) -> bytes:
    """The first line of the blob."""
    return json.encode(head) + b"\n"
