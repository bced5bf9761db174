"""The planner: whole lines, their numbers, their mistakes, and no more memory than it needs."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest

from fanout.bulk.input.bloom_filter import BloomFilter
from fanout.bulk.input.lines import MAX_LINE, BadLine
from fanout.bulk.input.planner import (
    LARGE_SHARDS,
    MAX_ERRORS,
    Plan,
    Shard,
    ShardSize,
    plan,
)
from fanout.bulk.input.splitter import iter_lines


def line(name: str, model: str = "a", text: str = "Hi") -> bytes:
    messages = [{"role": "user", "content": text}]
    body = {"model": model, "messages": messages}
    batch = {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(batch).encode()


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def allow_all(model: str) -> None:
    pass


def planned(
    data: bytes,
    *,
    chunk: int = 1 << 16,
    model: str | None = None,
    check: Callable[[str], None] = allow_all,
    size: ShardSize = LARGE_SHARDS,
) -> tuple[Plan, list[Shard]]:
    shards: list[Shard] = []
    found = asyncio.run(
        plan(
            lambda: pieces(data, chunk), shards.append, default_model=model, check=check, size=size
        )
    )
    return found, shards


def errors(found: Plan) -> list[tuple[str, int | None]]:
    return [(error.code, error.line) for error in found.errors]


def lines_of(data: bytes, shard: Shard) -> list[tuple[int, bytes]]:
    """What a worker reads of a shard: its bytes only."""

    async def read() -> list[tuple[int, bytes]]:
        source = pieces(data[shard.start : shard.end], 7)
        return [(n, line) async for n, _, _, line in iter_lines(source, shard.start, shard.first)]

    return asyncio.run(read())


@pytest.mark.parametrize("chunk", [1, 2, 7, 64, 1 << 20])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["bare", "bom"])
@pytest.mark.parametrize("brk", [b"\n", b"\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("last", [b"", b"break", b"blank"], ids=["open", "closed", "blank"])
def test_shards_hold_every_line_once_however_the_file_is_written(
    chunk: int, mark: bytes, brk: bytes, last: bytes
) -> None:
    texts = [line(f"n{i}") for i in range(7)]
    texts.insert(3, b"")  # a blank line counts in the numbers, and nowhere else
    end = {b"": b"", b"break": brk, b"blank": brk + brk}[last]
    data = mark + brk.join(texts) + end
    found, shards = planned(data, chunk=chunk, size=ShardSize(3, 1 << 20))
    assert (found.total, found.errors, found.models) == (7, [], {"a": 7})
    assert [shard.lines for shard in shards] == [3, 3, 1]
    read = [(n, text) for shard in shards for n, text in lines_of(data, shard) if text]
    assert read == [(n, text) for n, text in enumerate(texts, 1) if text]


def test_a_shard_is_closed_by_its_bytes_too_but_holds_one_line_of_any_length() -> None:
    data = b"\n".join([line("small"), line("big", text="x" * 5_000_000), line("last")])
    _, shards = planned(data, size=ShardSize(100, 1000))
    assert [shard.lines for shard in shards] == [1, 1, 1]
    assert [lines_of(data, shard)[0][0] for shard in shards] == [1, 2, 3]


def test_every_mistake_has_the_number_of_its_line() -> None:
    bad = [b"{", line("x").replace(b"POST", b"PUT"), line("y").replace(b"/chat", b"/cat")]
    data = b"\n".join([line("ok"), *bad, b"", line("\xff").replace(b"\\u00ff", b"\xff")])
    found, _ = planned(data)
    assert errors(found) == [
        ("invalid_json_line", 2),
        ("invalid_method", 3),
        ("url_mismatch", 4),
        ("invalid_json_line", 6),
    ]


def test_a_name_that_comes_twice_is_reported_where_it_comes_again() -> None:
    names = ["a", "b", "a", "c", "a", "b"]
    found, _ = planned(b"\n".join(map(line, names)))
    assert errors(found) == [("duplicate_custom_id", n) for n in (3, 5, 6)]
    assert found.errors[0].message == "The custom_id of this line is that of line 1."


def test_mistakes_are_told_in_the_order_of_their_lines() -> None:
    found, _ = planned(b"\n".join([line("x"), line("x"), b"{", line("x")]))
    assert [number for _, number in errors(found)] == [2, 3, 4]


def test_a_given_name_may_collide_with_one_that_a_line_number_makes() -> None:
    data = b'{"messages":[{}],"custom_id":"line-2"}\n[{"role":"user","content":"Hi"}]'
    found, _ = planned(data, model="a")
    assert errors(found) == [("duplicate_custom_id", 2)]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b" \r\n"])
def test_a_file_without_lines_is_empty(data: bytes) -> None:
    found, shards = planned(data)
    assert (errors(found), shards) == ([("empty_file", None)], [])


def test_a_model_is_checked_once_and_refused_on_every_line() -> None:
    asked: list[str] = []

    def check(model: str) -> None:
        asked.append(model)
        if model == "b":
            raise BadLine("model_not_found", "no such model", "body.model")

    found, _ = planned(b"\n".join(line(f"{i}", "ab"[i % 2]) for i in range(6)), check=check)
    assert asked == ["a", "b"]
    assert errors(found) == [("model_not_found", n) for n in (2, 4, 6)]


def test_after_a_hundred_mistakes_only_their_number_grows() -> None:
    found, _ = planned(b"{\n" * 250)
    assert (len(found.errors), found.more_errors) == (MAX_ERRORS, 150)


def test_a_line_past_the_limit_is_refused_and_the_next_one_is_read() -> None:
    data = b"\n".join([line("long", text="x" * MAX_LINE), line("short")])
    found, _ = planned(data)
    assert (errors(found), found.total) == ([("line_too_long", 1)], 2)
    assert found.size == len(data)


def test_memory_does_not_grow_with_the_file_nor_with_a_file_that_is_one_line() -> None:
    async def long_line() -> AsyncIterator[bytes]:
        for _ in range(600):
            yield b"x" * 100_000

    async def many_lines() -> AsyncIterator[bytes]:
        for i in range(50):
            yield b"\n".join(line(f"{i}-{j}") for j in range(100)) + b"\n"

    def peak(read: Callable[[], AsyncIterator[bytes]]) -> int:
        tracemalloc.start()
        asyncio.run(plan(read, lambda _: None, default_model=None, check=allow_all))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    filter_size = 16 << 20
    assert peak(long_line) < filter_size + 3 * MAX_LINE
    assert peak(many_lines) < filter_size + (1 << 20)


def test_a_table_of_names_forgets_none_and_is_hardly_ever_wrong() -> None:
    seen = BloomFilter(64)
    names = [f"request-{i}" for i in range(5_000)]  # four layers
    wrong = sum(map(seen.add, names))
    assert wrong == 0
    assert all(map(seen.add, names))


def test_lines_are_numbered_by_any_reading_of_any_pieces() -> None:
    data: Any = b"a\n\nb\r\nc"

    async def read(sizes: Iterable[int]) -> list[list[tuple[int, int, int, bytes]]]:
        return [[found async for found in iter_lines(pieces(data, size))] for size in sizes]

    whole = [(1, 0, 2, b"a"), (2, 2, 3, b""), (3, 3, 6, b"b"), (4, 6, 7, b"c")]
    assert asyncio.run(read([1, 2, 3, 100])) == [whole] * 4
