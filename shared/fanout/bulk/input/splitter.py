"""Splits a stream of bytes into numbered lines. Pure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from .lines import MAX_LINE

BOM = b"\xef\xbb\xbf"


class LineSplitter:
    """
    Splits chunks of bytes into lines, each with its number and place, without line break and BOM.

    If a line is longer than `MAX_LINE`, it keeps just enough of it for the check to fail.
    """

    def __init__(self, start: int = 0, first: int = 1) -> None:
        self._tail: list[bytes] = []
        self._tail_size = 0
        self.offset = start
        self.number = first

    def feed(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield `(number, start, end, line)` of each line that `data` completes."""
        if b"\n" not in data:
            self._hold(data)
            return
        first, *rest = data.split(b"\n")
        tail = rest.pop()
        self._hold(first)
        yield self._flush(1)
        number, start = self.number, self.offset
        for line in rest:
            end = start + len(line) + 1
            yield number, start, end, line.strip(b"\r \t")
            number, start = number + 1, end
        self.number, self.offset = number, start
        if tail:
            self._hold(tail)

    def end(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield the last line, if no line break follows it."""
        if self._tail:
            yield self._flush(0)

    def _hold(self, data: bytes) -> None:
        if self._tail_size <= MAX_LINE:
            self._tail.append(data)
        self._tail_size += len(data)

    def _flush(self, breaks: int) -> tuple[int, int, int, bytes]:
        """The line that is held; the first line of a file always is, and may have a BOM."""
        number, start, line = self.number, self.offset, b"".join(self._tail)
        self.offset = end = start + self._tail_size + breaks
        self.number += 1
        self._tail, self._tail_size = [], 0
        if start == 0:
            line = line.removeprefix(BOM)
        return number, start, end, line.strip(b"\r \t")


async def iter_lines(
    chunks: AsyncIterator[bytes], start: int = 0, first: int = 1
) -> AsyncIterator[tuple[int, int, int, bytes]]:
    """Yield `(number, start, end, line)` of every line of a stream of bytes."""
    splitter = LineSplitter(start, first)
    async for chunk in chunks:
        for line in splitter.feed(chunk):
            yield line
    for line in splitter.end():
        yield line
