"""The planner: shards of whole lines, errors with line numbers, and bounded memory."""

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


async def chunks(data: bytes, size: int) -> AsyncIterator[bytes]:
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
            lambda: chunks(data, chunk), shards.append, default_model=model, check=check, size=size
        )
    )
    return found, shards


def errors(found: Plan) -> list[tuple[str, int | None]]:
    return [(error.code, error.line) for error in found.errors]


def lines_of(data: bytes, shard: Shard) -> list[tuple[int, bytes]]:
    """The lines that a worker reads of a shard: it reads only the shard's bytes."""

    async def read() -> list[tuple[int, bytes]]:
        source = chunks(data[shard.start : shard.end], 7)
        return [(n, line) async for n, _, _, line in iter_lines(source, shard.start, shard.first)]

    return asyncio.run(read())


@pytest.mark.parametrize("chunk", [1, 2, 7, 64, 1 << 20])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["bare", "bom"])
@pytest.mark.parametrize("line_break", [b"\n", b"\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("last", [b"", b"break", b"blank"], ids=["open", "closed", "blank"])
def test_shards_have_each_line_once_whatever_the_line_breaks(
    chunk: int, bom: bytes, line_break: bytes, last: bytes
) -> None:
    texts = [line(f"n{i}") for i in range(7)]
    texts.insert(3, b"")  # a blank line has a number, but is in no shard's count
    end = {b"": b"", b"break": line_break, b"blank": line_break + line_break}[last]
    data = bom + line_break.join(texts) + end
    found, shards = planned(data, chunk=chunk, size=ShardSize(3, 1 << 20))
    assert (found.total, found.errors, found.models) == (7, [], {"a": 7})
    assert [shard.lines for shard in shards] == [3, 3, 1]
    read = [(n, text) for shard in shards for n, text in lines_of(data, shard) if text]
    assert read == [(n, text) for n, text in enumerate(texts, 1) if text]


def test_a_shard_is_limited_by_its_bytes_but_may_have_one_longer_line() -> None:
    data = b"\n".join([line("small"), line("big", text="x" * 5_000_000), line("last")])
    _, shards = planned(data, size=ShardSize(100, 1000))
    assert [shard.lines for shard in shards] == [1, 1, 1]
    assert [lines_of(data, shard)[0][0] for shard in shards] == [1, 2, 3]


def test_each_error_has_the_number_of_its_line() -> None:
    bad = [b"{", line("x").replace(b"POST", b"PUT"), line("y").replace(b"/chat", b"/cat")]
    data = b"\n".join([line("ok"), *bad, b"", line("\xff").replace(b"\\u00ff", b"\xff")])
    found, _ = planned(data)
    assert errors(found) == [
        ("invalid_json_line", 2),
        ("invalid_method", 3),
        ("url_mismatch", 4),
        ("invalid_json_line", 6),
    ]


def test_a_duplicate_custom_id_is_reported_at_the_later_line() -> None:
    names = ["a", "b", "a", "c", "a", "b"]
    found, _ = planned(b"\n".join(map(line, names)))
    assert errors(found) == [("duplicate_custom_id", n) for n in (3, 5, 6)]
    assert found.errors[0].message == "The custom_id of this line is that of line 1."


def test_errors_are_in_the_order_of_their_lines() -> None:
    found, _ = planned(b"\n".join([line("x"), line("x"), b"{", line("x")]))
    assert [number for _, number in errors(found)] == [2, 3, 4]


def test_a_custom_id_can_collide_with_one_made_from_a_line_number() -> None:
    data = b'{"messages":[{}],"custom_id":"line-2"}\n[{"role":"user","content":"Hi"}]'
    found, _ = planned(data, model="a")
    assert errors(found) == [("duplicate_custom_id", 2)]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b" \r\n"])
def test_a_file_without_lines_is_empty(data: bytes) -> None:
    found, shards = planned(data)
    assert (errors(found), shards) == ([("empty_file", None)], [])


def test_a_model_is_checked_once_and_reported_for_each_line() -> None:
    checked: list[str] = []

    def check(model: str) -> None:
        checked.append(model)
        if model == "b":
            raise BadLine("model_not_found", "no such model", "body.model")

    found, _ = planned(b"\n".join(line(f"{i}", "ab"[i % 2]) for i in range(6)), check=check)
    assert checked == ["a", "b"]
    assert errors(found) == [("model_not_found", n) for n in (2, 4, 6)]


def test_after_a_hundred_errors_the_rest_are_only_counted() -> None:
    found, _ = planned(b"{\n" * 250)
    assert (len(found.errors), found.more_errors) == (MAX_ERRORS, 150)


def test_a_line_over_the_limit_is_an_error_and_the_next_one_is_read() -> None:
    data = b"\n".join([line("long", text="x" * MAX_LINE), line("short")])
    found, _ = planned(data)
    assert (errors(found), found.total) == ([("line_too_long", 1)], 2)
    assert found.size == len(data)


def test_memory_does_not_grow_with_the_file_or_with_its_longest_line() -> None:
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


def test_the_filter_remembers_every_name_and_is_rarely_wrong() -> None:
    seen = BloomFilter(64)
    names = [f"request-{i}" for i in range(5_000)]  # five tables
    wrong = sum(map(seen.add, names))
    assert wrong == 0
    assert all(map(seen.add, names))


def test_lines_have_the_same_numbers_for_chunks_of_any_size() -> None:
    data: Any = b"a\n\nb\r\nc"

    async def read(sizes: Iterable[int]) -> list[list[tuple[int, int, int, bytes]]]:
        return [[found async for found in iter_lines(chunks(data, size))] for size in sizes]

    whole = [(1, 0, 2, b"a"), (2, 2, 3, b""), (3, 3, 6, b"b"), (4, 6, 7, b"c")]
    assert asyncio.run(read([1, 2, 3, 100])) == [whole] * 4


def test_a_file_of_countless_models_fails_and_is_not_read_to_its_end() -> None:
    line_count, taken = 200_000, 0

    async def read() -> AsyncIterator[bytes]:
        nonlocal taken
        for start in range(0, line_count, 1_000):
            taken += 1_000
            yield b"".join(line(f"n{i}", f"m{i}") + b"\n" for i in range(start, start + 1_000))

    def refuse(model: str) -> None:
        raise BadLine("model_not_found", f"there is no model {model}", "body.model")

    tracemalloc.start()
    try:
        found = asyncio.run(plan(read, lambda _: None, default_model=None, check=refuse))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.errors[-1].code == "too_many_models"
    assert len(found.errors) == 100
    assert taken < line_count / 10
    assert peak < (16 << 20) + 10_000_000  # the filter, and what 10,000 names take
