"""How many requests a second one key serves on DynamoDB, whose items take 1,000 writes a second."""

from __future__ import annotations

import asyncio
from datetime import UTC

from fanout.errors import FanoutError
from fanout.keys.account import Need, account_key, new_account
from fanout.keys.dynamodb_store import DynamoDBStore
from fanout.keys.late_settlements import Settlement
from fanout.keys.ledger import Ledger
from fanout.keys.windows import NEVER
from tests.support.virtual_clock import now, run

from .item_limits import MemoryDynamoDB

DIGEST = "d" * 64
START = 1_795_953_600
CALL = 0.5
"""Seconds that a provider takes."""


async def load(a_second: int, seconds: int) -> tuple[list[float], int, MemoryDynamoDB]:
    """What the reservations of requests that come evenly take, and how many get a 503."""
    database = MemoryDynamoDB()
    store = DynamoDBStore("keys", database)  # type: ignore[arg-type]
    ledger = Ledger(store, lease=600, now=lambda: START + now())
    account = new_account(DIGEST, START, UTC, {"max_budget": 10**12, "rpm_limit": 10**6})
    assert await store.create(account_key(DIGEST), {**account, "until": NEVER})
    waits: list[float] = []
    failed = 0

    async def request() -> None:
        nonlocal failed
        began = now()
        try:
            item = await ledger.find(DIGEST)
            assert item is not None
            held, _ = await ledger.claim(item, Need(10, 10), lambda _: None)
        except FanoutError:
            failed += 1
            return
        waits.append(now() - began)
        settlement = Settlement(ledger, held, {"model": "a"})
        await settlement.open()
        await asyncio.sleep(CALL)
        settlement.set(4, 8, {})
        try:
            await settlement.run()
        except FanoutError:
            ledger.late.add(settlement)

    async with asyncio.TaskGroup() as group:
        for _ in range(a_second * seconds):
            group.create_task(request())
            await asyncio.sleep(1 / a_second)
    await asyncio.sleep(60)  # for settlements that DynamoDB did not accept at once
    item = await ledger.find(DIGEST)
    assert item is not None
    assert (item["spent"], item["reserved"]) == (4 * len(waits), 0)
    return sorted(waits), failed, database


def test_one_key_serves_450_requests_a_second_on_dynamodb() -> None:
    waits, failed, database = run(load(450, 1))
    assert (failed, database.throttled) == (0, 0)
    assert len(waits) == 450
    assert waits[-1] < 0.02  # a read and a write
    assert database.calls["UpdateItem"] == 3 * len(waits)
    assert database.calls["PutItem"] == len(waits) + 1


def test_beyond_the_limit_of_an_item_requests_get_a_503_and_what_is_spent_is_exact() -> None:
    waits, failed, database = run(load(900, 1))  # `load` compares what is spent
    assert database.throttled > 500
    assert 0 < failed < 900
    assert waits[-1] < 2.0
