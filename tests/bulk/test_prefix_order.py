"""Lines that share a beginning: their order, the warming call, the marks, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fanout.bulk.input.line_order import LineOrder, LinePosition, order_in_memory
from fanout.bulk.input.lines import read_head
from fanout.bulk.input.order_writer import OrderWriter
from fanout.bulk.input.planner import ShardSize, plan
from fanout.bulk.input.prefixes import prefix_of, with_mark
from fanout.bulk.lanes import CacheChoice, choose_cache
from fanout.bulk.pacing.prefix_groups import PrefixCall, PrefixGroups
from fanout.bulk.pacing.prefix_state import CacheRules
from fanout.bulk.pacing.prompt_caches import without_cache
from fanout.errors import FanoutError
from tests.bench.prefix_order import Case, Run, run_job
from tests.bulk.caching_provider import CachingProvider
from tests.bulk.local_jobs import run
from tests.bulk.work.worker_harness import WorkerHarness
from tests.support.virtual_clock import run_threads_at_once

SMALL = Case(5, 30, tokens=1_200, at_once=10, initial=10)
"""150 lines, 10 at a time: 45 s."""


def job(
    home: Path, case: Case, cache: CacheChoice, provider: CachingProvider | None = None
) -> tuple[Run, CachingProvider]:
    """Run a job; each line has its own response, once."""
    provider = provider or CachingProvider(seconds=case.seconds, marks=case.marks)
    found, output = run_threads_at_once(run_job(case, cache, provider, home), 0.0)
    texts = {
        one["custom_id"]: one["response"]["body"]["choices"][0]["message"]["content"]
        for one in output
    }
    lines = case.prefixes * case.lines
    assert texts == {f"r{n}": f"re: What about {n}?" for n in range(lines)}
    assert len(output) == lines
    return found, provider


def test_one_call_warms_the_cache_for_each_beginning_and_costs_no_time(tmp_path: Path) -> None:
    plain, _ = job(tmp_path / "off", SMALL, "off")
    wrong: list[Any] = []
    for marks in (False, True):
        case = replace(SMALL, marks=marks)
        found, provider = job(tmp_path / str(marks), case, "auto")
        if found.cached < 0.95 * case.ideal or found.seconds > 1.05 * plain.seconds:
            wrong.append((marks, found))
        bodies = [call.body for call in provider.calls]
        keys = Counter(body.get("prompt_cache_key") for body in bodies)
        if marks != (keys == {None: 150}) or (not marks and len(keys) != 5):
            wrong.append((marks, keys))
        if found.streamed != 5:
            wrong.append((marks, found.streamed))
    assert plain.cached < SMALL.ideal - 4
    assert wrong == []


def test_groups_are_sent_one_after_the_other_while_their_entries_live(tmp_path: Path) -> None:
    case = Case(20, 10, tokens=1_100, at_once=3, initial=3, seconds=30.0)
    plain, _ = job(tmp_path / "off", case, "off")
    found, provider = job(tmp_path / "order", case, "order")
    assert not any("prompt_cache_key" in call.body for call in provider.calls)
    assert plain.cached < 0.85 * case.ideal
    assert found.cached >= 0.95 * case.ideal
    assert found.seconds <= 1.05 * plain.seconds


def test_a_group_does_not_wait_longer_than_it_helps(tmp_path: Path) -> None:
    """The warming calls are slow, fail, or fill no cache: the job takes hardly longer."""

    def slow() -> CachingProvider:
        provider = CachingProvider(seconds=SMALL.seconds)
        provider.first = lambda number: 40.0 if number < 5 else 0.8
        return provider

    def failing() -> CachingProvider:
        provider = CachingProvider(seconds=SMALL.seconds)
        provider.fails = lambda number: 500 if number < 5 else None
        return provider

    def without_cache() -> CachingProvider:
        provider = CachingProvider(seconds=SMALL.seconds)
        provider.has_cache = False
        return provider

    most = {slow: 10.5, failing: 2.25, without_cache: 4.0}
    wrong = []
    for make, seconds in most.items():
        usual, _ = job(tmp_path / make.__name__ / "off", SMALL, "off", make())
        found, _ = job(tmp_path / make.__name__ / "order", SMALL, "order", make())
        if found.seconds > usual.seconds + seconds:
            wrong.append((make.__name__, found, usual))
    assert wrong == []


def test_a_stopped_job_goes_on_in_its_order_and_sends_no_line_twice(tmp_path: Path) -> None:
    provider = CachingProvider(seconds=SMALL.seconds)

    async def stopped() -> None:
        running = asyncio.ensure_future(run_job(SMALL, "order", provider, tmp_path))
        await asyncio.sleep(20)
        running.cancel()
        await asyncio.wait([running])

    run_threads_at_once(stopped(), 0.0)
    before = len(provider.calls)
    assert 0 < before < 150

    async def resumed() -> list[dict[str, Any]]:
        return (await run_job(SMALL, "order", provider, tmp_path, resume=True))[1]

    output = run_threads_at_once(resumed(), 0.0)
    assert len({one["custom_id"] for one in output}) == len(output) == 150
    sent = Counter(call.text for call in provider.calls)
    assert set(sent.values()) == {1}


def long(name: str, system: str, user: str = "x", **more: Any) -> bytes:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return json.dumps({"custom_id": name, "model": "a", "messages": messages, **more}).encode()


def doc(name: str, system: str, text: str, user: str) -> bytes:
    parts = [{"type": "text", "text": text}, {"type": "text", "text": user}]
    messages = [{"role": "system", "content": system}, {"role": "user", "content": parts}]
    return json.dumps({"custom_id": name, "model": "a", "messages": messages}).encode()


A, B, C = ("A" * 4_000, "B" * 4_000, "C" * 4_000)


@pytest.mark.parametrize("size", [1, 2, 1_000])
def test_the_order_has_groups_of_at_least_two_lines_and_ranges_of_all_others(size: int) -> None:
    lines = [
        long("a1", A, "1"),
        long("short1", "s"),
        long("short2", "s"),
        long("b1", B, "1"),
        long("a2", A, "2"),
        long("other", C, "1"),
        long("tools", A, "1", tools=[{"type": "function"}]),
        long("b2", B, "2"),
        long("inside1", "s", A + "1"),
        long("inside2", "s", A + "2"),
        doc("d1", B, C, "1"),
        doc("d2", B, C, "2"),
        json.dumps({"custom_id": "two", "model": "a,b", "messages": [{"content": A}]}).encode(),
    ]
    with OrderWriter(size) as writer:
        at = 0
        for number, line in enumerate(lines, 1):
            head, end = read_head(line, number, None), at + len(line) + 1
            writer.add("m", (number, at, end, number // 4), prefix_of(head, len(line)))
            at = end
        assert writer.finish()
        order = order_in_memory(b"".join(writer.chunks()))
        shared = writer.shared["m"]

    async def read() -> tuple[list[tuple[int, list[LinePosition]]], list[tuple[int, int]]]:
        groups = [
            (group.blocks, await order.places(group.first, group.lines))
            async for group in order.groups(0)
        ]
        return groups, [(found.number, found.lines) async for found in order.ranges()]

    groups, ranges = run(read())
    found = sorted((blocks, [place.number for place in places]) for blocks, places in groups)
    assert found == [(0, [9, 10]), (1, [1, 5]), (1, [4, 8]), (2, [11, 12])]
    assert sorted(ranges) == [(2, 1), (3, 1), (6, 1), (7, 1), (13, 1)] or sorted(ranges) == [
        (2, 2),
        (6, 1),
        (7, 1),
        (13, 1),
    ]
    assert (shared.groups, shared.lines) == (4, 8)


def test_no_group_is_lost_if_another_may_go_on_while_its_lines_are_read() -> None:
    with OrderWriter() as writer:
        for number in range(1, 7):
            line = long(f"r{number}", (A, B, C)[number % 3], str(number))
            writer.add(
                "m", (number, number, number + 1, 0), prefix_of(read_head(line, 1, None), 9_999)
            )
        assert writer.finish()
        data = b"".join(writer.chunks())
    begin, open_calls = data.index(b"\n") + 1, list[PrefixCall]()

    async def read(start: int, end: int) -> bytes:
        for call in open_calls:
            call.failed()
        return data[start:end]

    async def pick() -> list[int]:
        order = LineOrder(order_in_memory(data).head, begin, read)
        groups = PrefixGroups(order, lambda _: CacheRules(), lambda: 0.0, lambda: None)
        numbers = []
        while not groups.is_done:
            found = await groups.next()
            if found is None or found.place is None or found.call is None:
                await read(0, 0)  # all wait
                continue
            numbers.append(found.place.number)
            open_calls.append(found.call)
            assert len(numbers) <= 6
        return numbers

    assert sorted(run(pick())) == [1, 2, 3, 4, 5, 6]


def test_a_mark_ends_the_shared_blocks_and_nothing_else_changes() -> None:
    body = json.loads(doc("d", B, C, "1"))
    marked = with_mark(body, 2)
    assert marked is not None
    mark = {"cache_control": {"type": "ephemeral"}}
    assert marked["messages"][1]["content"] == [
        {"type": "text", "text": C, **mark},
        {"type": "text", "text": "1"},
    ]
    assert marked["messages"][0] == body["messages"][0]
    system = with_mark(body, 1)
    assert system is not None
    assert system["messages"][0]["content"] == [{"type": "text", "text": B, **mark}]
    assert with_mark(body, 0) is None
    plain = json.loads(long("p", B))
    for one, blocks in ((body, 1), (body, 2), (plain, 1)):
        cached = {**(with_mark(one, blocks) or {}), "prompt_cache_key": "fanout-1"}
        assert "cache_control" in json.dumps(cached)
        assert without_cache(cached) == without_cache(one)  # a paid call is known in both forms
    assert without_cache(plain) == plain


def test_a_worker_of_one_shard_orders_its_lines(tmp_path: Path) -> None:
    names = [f"{letter}{n}" for n in range(6) for letter in "abs"]
    random.Random(1).shuffle(names)  # noqa: S311 -- the same order each time
    texts = {"a": A, "b": B, "s": "short"}
    sent: list[str] = []

    async def respond(name: str) -> None:
        sent.append(name)

    lines = [long(name, texts[name[0]], name) for name in names]
    harness = WorkerHarness(tmp_path, lines, respond, size=100)
    run(harness.work(cache="order", max_concurrency=1, initial_concurrency=1))
    changes = sum(a[0] != b[0] for a, b in pairwise(sent))
    assert changes == 2
    assert sorted(sent) == sorted(names)


def test_few_files_are_open_although_the_lines_of_many_shards_are_sent_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fanout.bulk.work.open_shards.MAX_FILES", 2)
    seen: list[int] = []

    def open_files() -> int:
        paths = [os.path.realpath(path) for path in Path("/proc/self/fd").iterdir()]
        return sum(".answers." in path and str(tmp_path) in path for path in paths)

    async def respond(_name: str) -> None:
        seen.append(open_files())
        await asyncio.sleep(0.02)

    lines = [long(f"r{n}", (A, B, C)[n % 3], str(n)) for n in range(90)]
    harness = WorkerHarness(tmp_path, lines, respond)

    async def main() -> None:
        with OrderWriter() as order:
            await plan(
                lambda: harness.blobs.read("in"),
                harness.shards.append,
                default_model=None,
                check=lambda _: None,
                size=ShardSize(3, 1 << 30),
                order=order,
            )
            assert order.finish()
            found = order_in_memory(b"".join(order.chunks()))
        harness.resources = replace(harness.resources, order=found)
        await harness.work(cache="order", max_concurrency=8, initial_concurrency=8)

    run(main())
    assert sorted(harness.stored()) == sorted(f"r{n}" for n in range(90))
    assert max(seen) <= 2 + 8


def test_a_choice_that_there_is_not_is_an_error_that_names_the_field() -> None:
    with pytest.raises(FanoutError, match=r"`fanout.cache` must be one of `order`, `auto`, `off`"):
        choose_cache("maybe")
