"""A shard's results in S3: no line is lost or repeated, even if workers are killed or overlap."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fanout.bulk.aws.result_store import SUFFIXES, S3ResultStore, S3ShardResults
from fanout.bulk.aws.s3 import S3BlobStore
from fanout.bulk.store import ResultKeys
from fanout.bulk.work.result_lines import response_line, skipped_line
from tests.bulk.damaged_lines import check_damage_stays_local, shard_lines


def line(name: str, size: int = 1, response: str = "a") -> bytes:
    return response_line(name, "req_1", {"text": response * size})


def failure(name: str, message: str = "a") -> bytes:
    return skipped_line(name, "req_1", "bad", message)


async def stored(results: S3ResultStore, index: int = 0) -> list[tuple[bool, str]]:
    shard = await results.open(index)
    return [(failed, json.loads(data)["custom_id"]) async for failed, data in shard.stored()]


async def content(blobs: S3BlobStore, keys: ResultKeys) -> tuple[bytes, bytes]:
    async def joined(names: list[str]) -> bytes:
        return b"".join([chunk for name in names async for chunk in blobs.read(name)])

    return await joined(keys.responses), await joined(keys.failures)


@pytest.fixture
def results(blobs: S3BlobStore) -> S3ResultStore:
    return S3ResultStore(blobs, "jobs/j", flush_size=1_000)


def test_the_next_worker_finds_what_was_flushed(results: S3ResultStore) -> None:
    async def main() -> None:
        shard = await results.open(0)
        await shard.put(line("a"), failed=False)
        await shard.put(failure("b"), failed=True)
        assert await stored(results) == []
        await shard.flush()
        await shard.put(line("never flushed"), failed=False)
        assert await stored(results) == [(False, "a"), (True, "b")]
        assert await stored(results, 1) == []

    asyncio.run(main())


def test_paid_calls_stay_apart_from_results(
    results: S3ResultStore, blobs: S3BlobStore, calls: list[str]
) -> None:
    async def main() -> None:
        for name in ("a", "b"):
            shard = await results.open(0)
            await shard.put(line(name), failed=False)
            await shard.put_paid(name.encode() + b"\n")
            await shard.close()
        again = await results.open(0)
        calls.clear()
        assert [one async for one in again.stored()]
        assert sorted([one async for one in again.paid()]) == [b"a\n", b"b\n"]
        assert calls.count("ListObjectsV2") == 1
        keys = await S3ResultStore(blobs, "jobs/j").keys(0)
        responses, failures = await content(blobs, keys)
        assert (sorted(responses.splitlines(keepends=True)), failures) == (
            [line("a"), line("b")],
            b"",
        )
        assert [one async for one in (await results.open(1)).paid()] == []

    asyncio.run(main())


def test_a_flush_without_lines_writes_nothing(results: S3ResultStore, calls: list[str]) -> None:
    async def main() -> None:
        shard = await results.open(0)
        calls.clear()
        await shard.flush()
        assert calls == []

    asyncio.run(main())


def test_lines_enough_for_an_object_are_written_before_the_flush(results: S3ResultStore) -> None:
    async def main() -> None:
        shard = await results.open(0)
        await shard.put(line("short"), failed=False)
        assert await stored(results) == []
        await shard.put(line("long", 1_000), failed=False)
        assert await stored(results) == [(False, "short"), (False, "long")]

    asyncio.run(main())


def test_a_closed_shard_has_one_object_of_each_kind(
    results: S3ResultStore, blobs: S3BlobStore
) -> None:
    async def main() -> None:
        shard = await results.open(0)
        for name in ("a", "b", "c"):
            is_failure = name == "b"
            data = failure(name) if is_failure else line(name)
            await shard.put(data, failed=is_failure)
            await shard.flush()
        await shard.close()
        keys = await results.keys(0)
        assert await content(blobs, keys) == (line("a") + line("c"), failure("b"))
        assert len(keys.responses) == len(keys.failures) == 1
        assert sorted(await blobs.keys("jobs/j/")) == sorted(keys.responses + keys.failures)

    asyncio.run(main())


def test_a_shard_that_was_not_started_has_no_keys(results: S3ResultStore) -> None:
    async def main() -> None:
        await (await results.open(3)).close()
        assert await results.keys(3) == ResultKeys([], [])

    asyncio.run(main())


def test_two_workers_on_one_shard_lose_and_repeat_no_line(
    results: S3ResultStore, blobs: S3BlobStore
) -> None:
    async def main() -> None:
        first, second = await results.open(0), await results.open(0)
        await first.put(line("a", response="1"), failed=False)
        await first.put(failure("b", "1"), failed=True)
        await first.flush()
        await second.put(line("a", response="2"), failed=False)
        await second.put(line("b", response="2"), failed=False)
        await second.put(failure("c", "2"), failed=True)
        await second.close()
        await first.put(line("d", response="1"), failed=False)
        await first.close()
        responses, failures = await content(blobs, await results.keys(0))
        names = [json.loads(one)["custom_id"] for one in responses.splitlines()]
        assert sorted(names) == ["a", "b", "d"]
        assert failures == failure("c", "2")

    asyncio.run(main())


def test_a_worker_that_is_killed_during_a_merge_loses_nothing(
    results: S3ResultStore, blobs: S3BlobStore, s3: Any
) -> None:
    def refuse(**_: object) -> None:
        raise ConnectionError("killed")

    async def main() -> None:
        shard = await results.open(0)
        for name in ("a", "b", "c"):
            await shard.put(line(name), failed=False)
            await shard.flush()
        s3.meta.events.register("before-call.s3.DeleteObjects", refuse, unique_id="refuse")
        with pytest.raises(ConnectionError):
            await shard.close()
        s3.meta.events.unregister("before-call.s3.DeleteObjects", unique_id="refuse")
        assert len(await blobs.keys("jobs/j/")) == 4
        assert [name for _, name in await stored(results)] == ["a", "b", "c"]
        responses, _ = await content(blobs, await results.keys(0))
        assert sorted(responses.splitlines(keepends=True)) == [line("a"), line("b"), line("c")]
        assert len(await blobs.keys("jobs/j/")) == 1

    asyncio.run(main())


def test_lines_that_could_not_be_written_are_written_by_the_next_flush(
    results: S3ResultStore, s3: Any
) -> None:
    def refuse(**_: object) -> None:
        raise ConnectionError("slow down")

    async def main() -> None:
        shard = await results.open(0)
        await shard.put(line("a"), failed=False)
        s3.meta.events.register("before-call.s3.PutObject", refuse, unique_id="refuse")
        with pytest.raises(ConnectionError):
            await shard.flush()
        s3.meta.events.unregister("before-call.s3.PutObject", unique_id="refuse")
        await shard.put(line("b"), failed=False)
        await shard.close()
        assert await stored(results) == [(False, "a"), (False, "b")]

    asyncio.run(main())


def test_a_last_line_without_a_line_break_is_ignored(results: S3ResultStore, s3: Any) -> None:
    cut = line("a") + line("b")[:-5]
    s3.put_object(Bucket="jobs", Key=f"p/jobs/j/shards/000000/x-1{SUFFIXES[0]}", Body=cut)

    async def main() -> None:
        assert await stored(results) == [(False, "a")]
        shard = await results.open(0)
        await shard.put(line("b"), failed=False)
        await shard.close()
        assert sorted(await stored(results)) == [(False, "a"), (False, "b")]

    asyncio.run(main())


def test_a_result_may_be_longer_than_any_line_of_input(
    results: S3ResultStore, blobs: S3BlobStore
) -> None:
    async def main() -> None:
        long = line("long", 9 * 1024 * 1024)
        shard = await results.open(0)
        await shard.put(line("a"), failed=False)
        await shard.flush()
        await shard.put(long, failed=False)
        await shard.close()
        responses, _ = await content(blobs, await results.keys(0))
        assert sorted(responses.splitlines(keepends=True)) == [line("a"), long]

    asyncio.run(main())


def test_concurrent_flushes_write_each_line_once(results: S3ResultStore) -> None:
    async def main() -> None:
        shard = await results.open(0)

        async def put(number: int) -> None:
            await shard.put(line(f"{number:03d}", 100), failed=False)
            if number % 7 == 0:
                await shard.flush()

        async with asyncio.TaskGroup() as group:
            for number in range(60):
                group.create_task(put(number))
        await shard.close()
        names = [name for _, name in await stored(results)]
        assert sorted(names) == [f"{number:03d}" for number in range(60)]
        assert len(names) == len(set(names))

    asyncio.run(main())


def test_a_reader_goes_on_if_the_objects_are_merged_meanwhile(results: S3ResultStore) -> None:
    async def main() -> None:
        shard = await results.open(0)
        for name in ("a", "b", "c"):
            await shard.put(line(name), failed=False)
            await shard.flush()
        found = []
        async for _, data in S3ShardResults.stored(shard):
            found.append(json.loads(data)["custom_id"])
            if len(found) == 1:
                await shard.close()
        assert sorted(found) == ["a", "b", "c"]

    asyncio.run(main())


def test_a_finisher_lists_all_merged_shards_at_once_and_merges_the_others(
    results: S3ResultStore, blobs: S3BlobStore, calls: list[str]
) -> None:
    async def main() -> None:
        for index in range(4):
            shard = await results.open(index)
            await shard.put(line(f"n{index}"), failed=False)
            await shard.close()
        again = await results.open(3)  # a second worker of the shard, which is killed
        await again.put(line("later"), failed=False)
        await again.flush()
        finisher = S3ResultStore(blobs, "jobs/j")
        calls.clear()
        keys = [await finisher.keys(index) for index in range(3)]
        assert calls == ["ListObjectsV2"]
        assert [len(one.responses) for one in keys] == [1, 1, 1]
        assert await content(blobs, keys[1]) == (line("n1"), b"")
        merged = await finisher.keys(3)
        responses, failures = await content(blobs, merged)
        assert sorted(responses.splitlines(keepends=True)) == [line("later"), line("n3")]
        assert failures == b""
        assert await finisher.keys(4) == ResultKeys([], [])

    asyncio.run(main())


def test_damaged_lines_affect_only_themselves(results: S3ResultStore, s3: Any) -> None:
    for failed, suffix in enumerate(SUFFIXES):
        data = b"".join(shard_lines(failed=bool(failed)))
        s3.put_object(Bucket="jobs", Key=f"p/jobs/j/shards/000000/x-1{suffix}", Body=data)

    async def main() -> None:
        await check_damage_stays_local(await results.open(0))

    asyncio.run(main())
