"""A shard's results in S3: nothing lost, nothing double, whoever dies or works beside another."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fanout.bulk.aws.result_store import SUFFIXES, S3ResultStore, S3ShardResults
from fanout.bulk.aws.s3 import S3BlobStore
from fanout.bulk.store import ResultKeys


def line(name: str, size: int = 1, response: str = "a") -> bytes:
    return json.dumps({"custom_id": name, "response": response * size}).encode() + b"\n"


async def stored(results: S3ResultStore, index: int = 0) -> list[tuple[bool, str]]:
    shard = await results.open(index)
    return [(failed, json.loads(data)["custom_id"]) async for failed, data in shard.stored()]


async def content(blobs: S3BlobStore, parts: ResultKeys) -> tuple[bytes, bytes]:
    async def joined(keys: list[str]) -> bytes:
        return b"".join([chunk for key in keys async for chunk in blobs.read(key)])

    return await joined(parts.responses), await joined(parts.failures)


@pytest.fixture
def results(blobs: S3BlobStore) -> S3ResultStore:
    return S3ResultStore(blobs, "jobs/j", flush_size=1_000)


def test_what_was_flushed_is_found_by_the_next_worker(results: S3ResultStore) -> None:
    async def main() -> None:
        shard = await results.open(0)
        await shard.put(line("a"), failed=False)
        await shard.put(line("b"), failed=True)
        assert await stored(results) == []
        await shard.flush()
        await shard.put(line("never flushed"), failed=False)
        assert await stored(results) == [(False, "a"), (True, "b")]
        assert await stored(results, 1) == []

    asyncio.run(main())


def test_a_flush_without_lines_writes_nothing(results: S3ResultStore, calls: list[str]) -> None:
    async def main() -> None:
        shard = await results.open(0)
        calls.clear()
        await shard.flush()
        assert calls == []

    asyncio.run(main())


def test_enough_for_an_object_does_not_wait_for_the_flush(results: S3ResultStore) -> None:
    async def main() -> None:
        shard = await results.open(0)
        await shard.put(line("short"), failed=False)
        assert await stored(results) == []
        await shard.put(line("long", 1_000), failed=False)
        assert await stored(results) == [(False, "short"), (False, "long")]

    asyncio.run(main())


def test_a_closed_shelf_is_one_object_of_each_kind(
    results: S3ResultStore, blobs: S3BlobStore
) -> None:
    async def main() -> None:
        shard = await results.open(0)
        for name in ("a", "b", "c"):
            await shard.put(line(name), failed=name == "b")
            await shard.flush()
        await shard.close()
        parts = await results.keys(0)
        assert await content(blobs, parts) == (line("a") + line("c"), line("b"))
        assert len(parts.responses) == len(parts.failures) == 1
        assert sorted(await blobs.keys("jobs/j/")) == sorted(parts.responses + parts.failures)

    asyncio.run(main())


def test_a_shard_that_was_never_begun_has_no_parts(results: S3ResultStore) -> None:
    async def main() -> None:
        await (await results.open(3)).close()
        assert await results.keys(3) == ResultKeys([], [])

    asyncio.run(main())


def test_two_workers_of_one_shard_lose_nothing_and_double_nothing(
    results: S3ResultStore, blobs: S3BlobStore
) -> None:
    async def main() -> None:
        first, second = await results.open(0), await results.open(0)
        await first.put(line("a", response="1"), failed=False)
        await first.put(line("b", response="1"), failed=True)
        await first.flush()
        await second.put(line("a", response="2"), failed=False)
        await second.put(line("b", response="2"), failed=False)
        await second.put(line("c", response="2"), failed=True)
        await second.close()
        await first.put(line("d", response="1"), failed=False)
        await first.close()
        answers, failures = await content(blobs, await results.keys(0))
        names = [json.loads(one)["custom_id"] for one in answers.splitlines()]
        assert sorted(names) == ["a", "b", "d"]
        assert failures == line("c", response="2")

    asyncio.run(main())


def test_a_worker_that_died_while_it_joined_leaves_nothing_to_mend(
    results: S3ResultStore, blobs: S3BlobStore, s3: Any
) -> None:
    def die(**_: object) -> None:
        raise ConnectionError("dead")

    async def main() -> None:
        shard = await results.open(0)
        for name in ("a", "b", "c"):
            await shard.put(line(name), failed=False)
            await shard.flush()
        s3.meta.events.register("before-call.s3.DeleteObjects", die, unique_id="die")
        with pytest.raises(ConnectionError):
            await shard.close()
        s3.meta.events.unregister("before-call.s3.DeleteObjects", unique_id="die")
        assert len(await blobs.keys("jobs/j/")) == 4
        assert [name for _, name in await stored(results)] == ["a", "b", "c"]
        answers, _ = await content(blobs, await results.keys(0))
        assert sorted(answers.splitlines(keepends=True)) == [line("a"), line("b"), line("c")]
        assert len(await blobs.keys("jobs/j/")) == 1

    asyncio.run(main())


def test_what_s3_did_not_take_is_held_and_written_by_the_next_flush(
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


def test_a_torn_last_line_is_no_line(results: S3ResultStore, s3: Any) -> None:
    torn = line("a") + line("b")[:-5]
    s3.put_object(Bucket="jobs", Key=f"p/jobs/j/shards/000000/x-1{SUFFIXES[0]}", Body=torn)

    async def main() -> None:
        assert await stored(results) == [(False, "a")]
        shard = await results.open(0)
        await shard.put(line("b"), failed=False)
        await shard.close()
        assert sorted(await stored(results)) == [(False, "a"), (False, "b")]

    asyncio.run(main())


def test_lines_longer_than_any_that_is_asked_are_kept(
    results: S3ResultStore, blobs: S3BlobStore
) -> None:
    async def main() -> None:
        long = line("long", 9 * 1024 * 1024)
        shard = await results.open(0)
        await shard.put(line("a"), failed=False)
        await shard.flush()
        await shard.put(long, failed=False)
        await shard.close()
        answers, _ = await content(blobs, await results.keys(0))
        assert sorted(answers.splitlines(keepends=True)) == [line("a"), long]

    asyncio.run(main())


def test_flushes_at_the_same_time_write_each_line_once(results: S3ResultStore) -> None:
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


def test_a_reader_goes_on_where_its_objects_were_joined_meanwhile(results: S3ResultStore) -> None:
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


def test_a_finisher_lists_all_settled_shards_at_once_and_mends_the_others(
    results: S3ResultStore, blobs: S3BlobStore, calls: list[str]
) -> None:
    async def main() -> None:
        for index in range(4):
            shard = await results.open(index)
            await shard.put(line(f"n{index}"), failed=False)
            await shard.close()
        again = await results.open(3)  # a second worker of a shard, which has died
        await again.put(line("later"), failed=False)
        await again.flush()
        finisher = S3ResultStore(blobs, "jobs/j")
        calls.clear()
        parts = [await finisher.keys(index) for index in range(3)]
        assert calls == ["ListObjectsV2"]
        assert [len(part.responses) for part in parts] == [1, 1, 1]
        assert await content(blobs, parts[1]) == (line("n1"), b"")
        mended = await finisher.keys(3)
        answers, failures = await content(blobs, mended)
        assert sorted(answers.splitlines(keepends=True)) == [line("later"), line("n3")]
        assert failures == b""
        assert await finisher.keys(4) == ResultKeys([], [])

    asyncio.run(main())
