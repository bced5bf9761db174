"""Records in DynamoDB and in SQLite: compare and set, and pages in the order of creation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fanout.bulk.local.sqlite import Database
from fanout.bulk.store import Change, RecordStore


@pytest.fixture(params=["dynamodb", "sqlite"])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordStore]:
    if request.param == "dynamodb":
        yield request.getfixturevalue("table")
    else:
        with closing(Database(tmp_path / "jobs.sqlite")) as database:
            yield database


def test_a_record_is_replaced_only_if_it_is_still_the_one_that_was_read(
    records: RecordStore,
) -> None:
    async def main() -> None:
        assert await records.get("file", "a") is None
        assert await records.put("file", "a", b"1", None)
        assert not await records.put("file", "a", b"2", None)
        assert not await records.put("file", "a", b"2", b"0")
        assert not await records.put("file", "b", b"2", b"1")
        assert await records.get("file", "a") == b"1"
        assert await records.put("file", "a", b"2", b"1")
        assert await records.get("file", "a") == b"2"
        assert await records.get("batch", "a") is None

    asyncio.run(main())


def test_several_records_are_written_together_or_not_at_all(records: RecordStore) -> None:
    async def main() -> None:
        await records.put("run", "a", b"1", None)
        new = Change("batch", "j", b"job")
        assert not await records.put_all([new, Change("run", "a", b"2")])
        assert not await records.put_all([new, Change("run", "a", b"2", b"0")])
        assert (await records.get("batch", "j"), await records.get("run", "a")) == (None, b"1")
        assert await records.put_all([new, Change("run", "a", b"2", b"1")])
        assert (await records.get("batch", "j"), await records.get("run", "a")) == (b"job", b"2")
        assert not await records.put_all([Change("run", "b", b"3"), new])
        assert await records.get("run", "b") is None

    asyncio.run(main())


def test_a_deleted_record_is_missing_and_can_be_created_again(records: RecordStore) -> None:
    async def main() -> None:
        await records.put("file", "a", b"1", None)
        assert await records.delete("file", "a")
        assert not await records.delete("file", "a")
        assert await records.get("file", "a") is None
        assert await records.put("file", "a", b"3", None)

    asyncio.run(main())


def test_pages_are_in_the_order_of_ids_or_reversed_and_of_one_kind(records: RecordStore) -> None:
    async def main() -> None:
        for number in range(5):
            await records.put("file", f"f{number}", str(number).encode(), None)
        await records.put("batch", "f9", b"9", None)
        f = [(f"f{number}", str(number).encode()) for number in range(5)]
        assert await records.list("file", after=None, limit=2) == [f[4], f[3]]
        assert await records.list("file", after="f3", limit=9) == [f[2], f[1], f[0]]
        assert await records.list("file", after=None, limit=2, newest_first=False) == f[:2]
        assert await records.list("file", after="f3", limit=9, newest_first=False) == [f[4]]
        assert await records.list("file", after="f0", limit=9) == []

    asyncio.run(main())


def test_a_list_is_complete_if_it_is_longer_than_a_page_of_dynamodb(records: RecordStore) -> None:
    async def main() -> None:
        for number in range(12):
            await records.put("file", f"f{number:02d}", bytes([number]) * 200_000, None)
        found = await records.list("file", after=None, limit=12, newest_first=False)
        assert [value[0] for _, value in found] == list(range(12))

    asyncio.run(main())


def test_only_one_of_two_writers_that_have_read_the_same_record_changes_it(
    records: RecordStore,
) -> None:
    """One after the other: unlike the real DynamoDB, the one of the tests has no lock."""

    async def main() -> None:
        await records.put("file", "a", b"0", None)
        outcomes = [await records.put("file", "a", to, b"0") for to in (b"1", b"2")]
        assert outcomes == [True, False]

    asyncio.run(main())
