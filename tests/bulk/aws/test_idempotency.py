"""The responses to requests with an `Idempotency-Key`: on a laptop and on AWS by the same rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.s3 import S3BlobStore
from fanout.bulk.local.file_store import FolderBlobStore
from fanout.bulk.local.sqlite import Database
from fanout.bulk.service.idempotency import (
    KIND,
    LEASE,
    LIFETIME,
    Claim,
    IdempotencyStore,
    StoredResponse,
)
from fanout.bulk.store import BlobStore, RecordStore
from fanout.errors import KeyInUse, KeyReused
from tests.bulk.local_jobs import run

LARGE = b"x" * 600_000


async def check_rules(table: RecordStore, blobs: BlobStore) -> None:
    """The life of keys; `large` needs a blob, because a record of DynamoDB has at most 400 KB."""
    now = [1_000_000.0]
    store = IdempotencyStore(table, blobs, lambda: now[0])

    async def claim(name: str, request: str = "r") -> Claim:
        found = await store.begin("team", name, request)
        assert isinstance(found, Claim)
        return found

    async def stored(name: str) -> bytes:
        found = await store.begin("team", name, "r")
        assert isinstance(found, StoredResponse)
        assert (found.status, found.headers) == (200, {"a": "b"})
        return b"".join([piece async for piece in store.body(found)])

    for name, body in (("small", b"{}"), ("large", LARGE)):
        mine = await claim(name)
        with pytest.raises(KeyInUse):
            await store.begin("team", name, "r")
        with pytest.raises(KeyReused):
            await store.begin("team", name, "other")
        assert isinstance(await store.begin("other", name, "r"), Claim)
        await store.finish(mine, 200, {"a": "b"}, body)
        assert await stored(name) == body
        with pytest.raises(KeyReused):
            await store.begin("team", name, "other")

    await store.release(await claim("failed"))
    await store.finish(await claim("failed", "other"), 200, {}, b"")

    killed = await claim("killed")
    now[0] += LEASE - 1
    await store.renew(killed)
    now[0] += LEASE - 1
    with pytest.raises(KeyInUse):
        await store.begin("team", "killed", "r")
    now[0] += 2
    second = await claim("killed")
    await store.finish(killed, 500, {}, b"late")  # its lease is over: the second one counts
    await store.finish(second, 200, {"a": "b"}, b"second")
    assert await stored("killed") == b"second"

    now[0] += LIFETIME - 200
    assert await stored("large") == LARGE
    now[0] += 201
    await claim("large", "another request")


def test_the_rules_are_the_same_on_a_laptop_and_on_aws(
    tmp_path: Path, table: DynamoTable, blobs: S3BlobStore
) -> None:
    async def main() -> None:
        database = Database(tmp_path / "jobs.sqlite")
        await check_rules(database, FolderBlobStore(tmp_path))
        database.close()
        await check_rules(table, blobs)

    run(main())


def test_a_laptop_deletes_what_counts_no_more_and_dynamodb_does_so_itself(
    tmp_path: Path, table: DynamoTable, blobs: S3BlobStore
) -> None:
    async def main() -> None:
        now = [1_000_000.0]
        database = Database(tmp_path / "jobs.sqlite")
        store = IdempotencyStore(database, FolderBlobStore(tmp_path), lambda: now[0])
        for name, size in (("old", 600_000), ("new", 600_000), ("small", 2)):
            now[0] += 0 if name == "old" else 60
            claim = await store.begin("team", name, "r")
            assert isinstance(claim, Claim)
            await store.finish(claim, 200, {}, b"x" * size)
        now[0] += LIFETIME - 60
        await store.delete_expired()
        assert len(await database.list(KIND, after=None, limit=9)) == 1
        assert [path.stat().st_size for path in (tmp_path / "idempotency").iterdir()] == []
        database.close()
        claim = await IdempotencyStore(table, blobs, lambda: 5.0).begin("team", "k", "r")
        assert isinstance(claim, Claim)
        item = await table.item(KIND, claim.key)
        assert item is not None
        assert item["ttl"] == {"N": str(5 + LIFETIME)}

    run(main())
