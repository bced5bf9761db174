"""
The planner: an input file, read once as a stream, to shards of whole lines.

Its memory is the same for ten lines and for two million, and grows by 8 bytes a line from there:
lines are checked one by one, and names that come twice are looked for among hashes; who is
suspected is cleared or convicted by a second reading. Pure but for the reading, which is the
caller's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from msgspec import Struct, field

from .bloom_filter import BloomFilter
from .lines import MAX_LINE, BadLine, Head, read_head

MAX_ERRORS = 100
"""Errors that a failed validation lists; the rest are counted."""

MAX_SUSPECTS = 100_000
"""Names that are read for again; a file that repeats more of them has failed by then."""

BOM = b"\xef\xbb\xbf"


class Shard(Struct, frozen=True):
    """Whole lines of the input: the bytes `[start, end)`, the first of them line `first`."""

    index: int
    start: int
    end: int
    first: int
    lines: int


class ShardSize(Struct, frozen=True):
    """The most that a shard may hold; one line may be longer than that."""

    lines: int
    bytes: int


SMALL_SHARDS = ShardSize(200, 4 * 1024 * 1024)
"""For workers with minutes to live."""

LARGE_SHARDS = ShardSize(2_000, 16 * 1024 * 1024)
"""For workers that live as long as the job."""


class LineError(Struct, frozen=True):
    """What is wrong with a line, as `errors.data[]` of a batch has it."""

    code: str
    message: str
    param: str | None
    line: int | None


class Plan(Struct):
    """What the planner found."""

    total: int = 0
    size: int = 0
    shards: int = 0
    models: Counter[str] = field(default_factory=Counter)
    errors: list[LineError] = field(default_factory=list)
    more_errors: int = 0

    def refuse(self, code: str, message: str, param: str | None, line: int | None) -> None:
        """Note one error; after the first hundred only their number grows."""
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(LineError(code, message, param, line))
        else:
            self.more_errors += 1


class Lines:
    """
    Cuts a stream of bytes into lines, each with its number and place; CRLF and BOM fall away.

    Of a line that is longer than any may be, only enough is kept to see that it is.
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
        """The last line, where no line break follows it."""
        if self._tail:
            yield self._flush(0)

    def _hold(self, data: bytes) -> None:
        if self._tail_size <= MAX_LINE:
            self._tail.append(data)
        self._tail_size += len(data)

    def _flush(self, breaks: int) -> tuple[int, int, int, bytes]:
        """The line that is held; the first of a file always is."""
        number, start, line = self.number, self.offset, b"".join(self._tail)
        self.offset = end = start + self._tail_size + breaks
        self.number += 1
        self._tail, self._tail_size = [], 0
        if start == 0:
            line = line.removeprefix(BOM)
        return number, start, end, line.strip(b"\r \t")


async def plan(
    read: Callable[[], AsyncIterator[bytes]],
    write: Callable[[Shard], object],
    *,
    default_model: str | None,
    check: Callable[[str], None],
    size: ShardSize = SMALL_SHARDS,
) -> Plan:
    """
    Check every line of `read()` and `write` the shards.

    `check` raises `BadLine` for a model that may not be used; it is asked once for each name.
    `read` is called again only to settle whether suspected names really come twice.
    """
    reader = _Reader(_Cutter(write, size), check, default_model)
    lines = Lines()
    async for chunk in read():
        reader.take(lines.feed(chunk))
    reader.take(lines.end())
    found = reader.close()
    if not found.total:
        found.refuse("empty_file", "The input file has no lines.", None, None)
    if reader.suspects:
        await _convict(read, found, reader.suspects, default_model)
        found.errors.sort(key=lambda error: error.line or 0)
    return found


class _Named(Struct):
    """The lines that name these models, and why they may not."""

    lines: int = 0
    refusal: BadLine | None = None


class _Reader:
    """Takes lines, many at a time: this is where a planner spends its time."""

    def __init__(
        self, cutter: _Cutter, check: Callable[[str], None], default_model: str | None
    ) -> None:
        self._cutter = cutter
        self._check = check
        self._default_model = default_model
        self._found = Plan()
        self._seen = BloomFilter()
        self._named: dict[tuple[str, ...], _Named] = {}
        self._checked: dict[str, BadLine | None] = {}
        self.suspects: set[str] = set()

    def take(self, lines: Iterator[tuple[int, int, int, bytes]]) -> None:
        """Check each line, and put it in a shard."""
        found, cut, seen = self._found, self._cutter.add, self._seen.add
        default_model, all_named = self._default_model, self._named
        end = found.size
        for number, start, end, line in lines:
            if not line:
                continue
            cut(number, start, end)
            try:
                head = read_head(line, number, default_model)
                named = all_named.get(head.models) or self._meet(head.models)
                named.lines += 1
                if named.refusal is not None:
                    raise named.refusal
            except BadLine as error:
                found.refuse(error.code, str(error), error.param, number)
                continue
            if seen(head.custom_id) and len(self.suspects) < MAX_SUSPECTS:
                self.suspects.add(head.custom_id)
        found.size = end

    def _meet(self, models: tuple[str, ...]) -> _Named:
        """Models that no line has named together."""
        named = self._named[models] = _Named()
        for model in models:
            try:
                _allow(model, self._check, self._checked)
            except BadLine as error:
                named.refusal = named.refusal or error
        return named

    def close(self) -> Plan:
        """What was found."""
        self._cutter.close()
        self._found.shards = self._cutter.count
        self._found.total = self._cutter.total
        for models, named in self._named.items():
            for model in models:
                self._found.models[model] += named.lines
        return self._found


def _allow(model: str, check: Callable[[str], None], checked: dict[str, BadLine | None]) -> None:
    if model not in checked:
        try:
            check(model)
            checked[model] = None
        except BadLine as error:
            checked[model] = error
    if (refusal := checked[model]) is not None:
        raise refusal


async def _convict(
    read: Callable[[], AsyncIterator[bytes]],
    found: Plan,
    suspects: set[str],
    default_model: str | None,
) -> None:
    """Read again, and name each line whose `custom_id` an earlier one has."""
    first: dict[str, int] = {}
    async for number, _, _, line in iter_lines(read()):
        head = _head(line, number, default_model)
        if head is None or head.custom_id not in suspects:
            continue
        if head.custom_id in first:
            said = f"The custom_id of this line is that of line {first[head.custom_id]}."
            found.refuse("duplicate_custom_id", said, "custom_id", number)
        else:
            first[head.custom_id] = number


def _head(line: bytes, number: int, default_model: str | None) -> Head | None:
    try:
        return read_head(line, number, default_model) if line else None
    except BadLine:
        return None


async def iter_lines(
    chunks: AsyncIterator[bytes], start: int = 0, first: int = 1
) -> AsyncIterator[tuple[int, int, int, bytes]]:
    """`(number, start, end, line)` of every line of a stream of bytes."""
    lines = Lines(start, first)
    async for chunk in chunks:
        for line in lines.feed(chunk):
            yield line
    for line in lines.end():
        yield line


class _Cutter:
    """Gathers lines to shards of bounded size."""

    def __init__(self, write: Callable[[Shard], Any], size: ShardSize) -> None:
        self._write = write
        self._most, self._bytes = size.lines, size.bytes
        self._start = self._end = self._first = self._lines = 0
        self.count = self.total = 0

    def add(self, number: int, start: int, end: int) -> None:
        """The next line."""
        if self._lines and (self._lines >= self._most or end - self._start > self._bytes):
            self.close()
        if not self._lines:
            self._start, self._first = start, number
        self._end = end
        self._lines += 1

    def close(self) -> None:
        """Write what has been gathered."""
        if self._lines:
            shard = Shard(self.count, self._start, self._end, self._first, self._lines)
            self._write(shard)
            self.count += 1
            self.total += self._lines
            self._lines = 0
