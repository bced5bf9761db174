"""Reads a job's lines in the order of `input/line_order.py`, instead of that of the file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import NamedTuple, TypeAlias

from ..input.line_order import LineOrder, LinePosition, LineRange, order_in_memory
from ..input.lines import BadLine, read_head
from ..input.order_writer import OrderWriter
from ..input.prefixes import prefix_of
from ..input.splitter import LineSplitter, iter_lines
from ..pacing.prefix_groups import NextLine, PrefixCall, PrefixGroups
from .open_shards import OpenShard

Read: TypeAlias = Callable[[int, int], AsyncIterator[bytes]]
"""The bytes `[start, end)` of the job's input."""


class FoundLine(NamedTuple):
    """A line of an open shard; `position` is how many lines come before it in the order."""

    opened: OpenShard
    number: int
    data: bytes
    position: int
    call: PrefixCall | None


class OrderedLines:
    """
    The lines of the open shards, each when it may be sent; `first` is the position before them.

    `wait` waits until another line may be sent, and returns whether to go on.
    """

    def __init__(
        self,
        groups: PrefixGroups,
        read: Read,
        opened: Mapping[int, OpenShard],
        wait: Callable[[], Awaitable[bool]],
        first: int = 0,
    ) -> None:
        self._groups = groups
        self._read = read
        self._opened = opened
        self._wait = wait
        self._position = first

    async def lines(self, may_send: Callable[[], bool]) -> AsyncIterator[FoundLine]:
        """Each line, as long as `may_send` says that there is room for one; else it waits."""
        while True:
            found = await self._groups.next() if may_send() else None
            if found is None:
                if self._groups.is_done or not await self._wait():
                    return
            elif found.range is not None:
                async for line in self._of_range(found.range):
                    yield line
            else:
                async for line in self._one(found):
                    yield line

    async def _one(self, found: NextLine) -> AsyncIterator[FoundLine]:
        place, call = found.place, found.call
        if place is None or call is None:
            raise AssertionError("what is no range is a line")
        self._position += 1
        opened = self._opened.get(place.shard)
        if opened is None:
            call.skipped()
            return
        data = await self._data(place)
        yield FoundLine(opened, place.number, data, self._position, call)

    async def _data(self, place: LinePosition) -> bytes:
        splitter = LineSplitter(place.start, place.number)
        data = b"".join([chunk async for chunk in self._read(place.start, place.end)])
        lines = [line for _, _, _, line in (*splitter.feed(data), *splitter.end())]
        return lines[0] if lines else b""

    async def _of_range(self, found: LineRange) -> AsyncIterator[FoundLine]:
        opened = self._opened.get(found.shard)
        if opened is None:
            self._position += found.lines
            return
        source = self._read(found.start, found.end)
        async for number, _, _, data in iter_lines(source, found.start, found.number):
            self._position += 1
            yield FoundLine(opened, number, data, self._position, None)


def order_of_shard(data: bytes, shard: OpenShard, default_model: str | None) -> LineOrder | None:
    """The order of one shard's lines, which are these bytes; `None` if they share nothing."""
    place = shard.shard
    splitter = LineSplitter(place.start, place.first)
    with OrderWriter() as order:
        for number, start, end, line in (*splitter.feed(data), *splitter.end()):
            if not line:
                continue
            try:
                head = read_head(line, number, default_model)
            except BadLine:
                return None  # the planner has accepted it: the input was changed
            where = (number, start, end, place.index)
            order.add(head.models[0], where, prefix_of(head, len(line)))
        return order_in_memory(b"".join(order.chunks())) if order.finish() else None


def read_from(data: bytes, offset: int) -> Read:
    """Reads these bytes, which begin at the input's `offset`."""
    return partial(_slice, data, offset)


async def _slice(data: bytes, offset: int, start: int, end: int) -> AsyncIterator[bytes]:
    yield data[start - offset : end - offset]
