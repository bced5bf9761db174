"""Reads lines of a job's input by their numbers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence

from msgspec import Struct

from ..input.line_parser import Line, parse_line
from ..input.planner import Shard
from ..input.splitter import iter_lines
from ..store import BlobStore


class InputLine(Struct, frozen=True):
    """A line, its number, its bytes in the input, and the index of its shard."""

    number: int
    shard: int
    line: Line
    size: int


class InputLines:
    """The lines of one job's input; `shards` are all of its shards, in order."""

    def __init__(
        self, blobs: BlobStore, input_key: str, default_model: str | None, shards: Sequence[Shard]
    ) -> None:
        self._blobs = blobs
        self._key = input_key
        self._model = default_model
        self._shards = shards
        self._firsts = [shard.first for shard in shards]

    async def all(self) -> AsyncIterator[InputLine]:
        """Every line."""
        for shard in self._shards:
            async for one in self._in(shard, None):
                yield one

    async def read(self, numbers: Sequence[int]) -> AsyncIterator[InputLine]:
        """The lines with these numbers, which ascend."""
        start = 0
        while start < len(numbers):
            index = bisect_right(self._firsts, numbers[start]) - 1
            if index < 0:
                return
            end = len(numbers)
            if index + 1 < len(self._shards):
                after = self._firsts[index + 1]
                end = next((i for i in range(start, end) if numbers[i] >= after), end)
            async for one in self._in(self._shards[index], frozenset(numbers[start:end])):
                yield one
            start = end

    async def _in(self, shard: Shard, wanted: frozenset[int] | None) -> AsyncIterator[InputLine]:
        source = self._blobs.read(self._key, shard.start, shard.end)
        async for number, _, _, data in iter_lines(source, shard.start, shard.first):
            if data and (wanted is None or number in wanted):
                line = parse_line(data, number, self._model)
                yield InputLine(number, shard.index, line, len(data))
