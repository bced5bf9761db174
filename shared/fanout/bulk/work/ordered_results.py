"""Puts the results of a job in the order of the lines of its input."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

import msgspec
from msgspec import Struct

from ..input.lines import BadLine, read_head
from ..input.planner import Shard
from ..input.splitter import iter_lines
from ..store import BlobStore, ResultKeys
from .manifest import stream_of
from .partial_results import whole_lines


class _Named(Struct, frozen=True):
    """The part of a result line that names its request."""

    custom_id: str


_NAMED = msgspec.json.Decoder(_Named)
_NAME = msgspec.json.Decoder(str)


async def order_results(
    keys: ResultKeys,
    shard: Shard,
    blobs: BlobStore,
    input_key: str,
    default_model: str | None,
    folder: str,
) -> ResultKeys:
    """
    The keys of the same results in order, below `folder`; one shard's are in memory at a time.

    If the input is gone, the order is unknown, and the results stay as they are.
    """
    if await blobs.size(input_key) is None:
        return keys
    places: dict[str, int] = {}
    source = blobs.read(input_key, shard.start, shard.end)
    async for number, _, _, data in iter_lines(source, shard.start, shard.first):
        if data:
            try:
                places[read_head(data, number, default_model).custom_id] = number
            except BadLine:
                continue  # the planner has accepted it: the input was changed
    prefix = f"{folder}/{shard.index:06d}"
    return ResultKeys(
        await _ordered(keys.responses, places, blobs, f"{prefix}.responses.jsonl"),
        await _ordered(keys.failures, places, blobs, f"{prefix}.failures.jsonl"),
    )


async def merge_results(
    earlier: Sequence[str], new: Sequence[str], names: str, blobs: BlobStore
) -> AsyncIterator[bytes]:
    """
    The lines of earlier results and of new ones, in the order of `names`, a blob of all names.

    Either is in this order already, so a line of each is in memory. What has no place comes last.
    """
    async with (
        aclosing(_lines_of(earlier, blobs)) as old_lines,
        aclosing(_lines_of(new, blobs)) as new_lines,
    ):
        heads = [await _next(old_lines), await _next(new_lines)]
        async for name in whole_lines(blobs.read(names)):
            wanted = _NAME.decode(name)
            for index, lines in enumerate((old_lines, new_lines)):
                while (head := heads[index]) is not None and _name_of(head) == wanted:
                    yield head
                    heads[index] = await _next(lines)
        for index, lines in enumerate((old_lines, new_lines)):
            while (head := heads[index]) is not None:
                yield head
                heads[index] = await _next(lines)


async def _next(lines: AsyncIterator[bytes]) -> bytes | None:
    return await anext(lines, None)


async def _ordered(
    keys: Sequence[str], places: dict[str, int], blobs: BlobStore, key: str
) -> list[str]:
    """The key of the ordered lines of these blobs, if there are any."""
    lines = [line async for line in _lines_of(keys, blobs)]
    if not lines:
        return []
    lines.sort(key=lambda line: places.get(_name_of(line), sys.maxsize))
    await blobs.write(key, stream_of(lines))
    return [key]


async def _lines_of(keys: Sequence[str], blobs: BlobStore) -> AsyncGenerator[bytes, None]:
    for key in keys:
        async for line in whole_lines(blobs.read(key)):
            yield line


def _name_of(line: bytes) -> str:
    try:
        return _NAMED.decode(line).custom_id
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
