"""Requests of one virtual key over DynamoDB in memory, in virtual time."""

from __future__ import annotations

import asyncio
from datetime import UTC

from msgspec import Struct, field
from msgspec.structs import replace

from fanout.errors import FanoutError
from fanout.keys.account import TEAM, Need, account_key, new_account
from fanout.keys.dynamodb_store import DynamoDBStore
from fanout.keys.late_settlements import Settlement
from fanout.keys.ledger import KeyLedger
from fanout.keys.windows import NEVER

from .memory_dynamodb import MemoryDynamoDB
from .virtual_clock import now

DIGEST = "d" * 64
NAMES = (DIGEST, f"{TEAM}t")
START = 1_795_953_600
LIMITS = {"max_budget": 10**12, "rpm_limit": 10**6}
NEED, COST = Need(10, 10), 4

CALL = 0.5
"""Seconds that a provider takes."""


class KeyLoad(Struct):
    """
    What the requests have seen.

    `waits` are the seconds before each call to the provider, `failed` the requests that got a 503.
    """

    database: MemoryDynamoDB = field(default_factory=MemoryDynamoDB)
    waits: list[float] = field(default_factory=list)
    failed: int = 0


async def load(a_second: int, seconds: float, *, team: bool = False) -> KeyLoad:
    """Send requests of one key evenly, in a team or not; what is spent must be exact."""
    seen = KeyLoad()
    store = DynamoDBStore("keys", seen.database)  # type: ignore[arg-type]
    ledger = KeyLedger(store, lease=600, now=lambda: START + now())
    payers = NAMES if team else NAMES[:1]
    for name in payers:
        account = {**new_account(name, START, UTC, LIMITS), "until": NEVER, "joined": NAMES[1]}
        assert await store.create(account_key(name), account)
    seen.database.calls.clear()
    async with asyncio.TaskGroup() as group:
        for _ in range(int(a_second * seconds)):
            group.create_task(_request(ledger, payers, seen))
            await asyncio.sleep(1 / a_second)
    await asyncio.sleep(60)  # for settlements that DynamoDB did not accept at once
    for name in payers:
        item = await store.get(account_key(name))
        assert item is not None
        assert (item["spent"], item["reserved"]) == (COST * len(seen.waits), 0)
    return seen


async def _request(ledger: KeyLedger, payers: tuple[str, ...], seen: KeyLoad) -> None:
    began = now()
    try:
        items = [await ledger.store.get(account_key(name)) for name in payers]
        holds = [(await ledger.claim(item, NEED, lambda _: None))[0] for item in items if item]
    except FanoutError:
        seen.failed += 1
        return
    seen.waits.append(now() - began)
    settlement = Settlement(ledger, replace(holds[0], shared=(*holds, None)[1]), {"model": "a"})
    await settlement.open()
    await asyncio.sleep(CALL)
    settlement.set(COST, 8, {})
    try:
        await settlement.run()
    except FanoutError:
        ledger.late.add(settlement)
