"""The stores of keys are alike: SQLite on a laptop, and DynamoDB on AWS."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from fanout.aws.credentials import AWSSigner
from fanout.aws.dynamodb import DynamoDB
from fanout.errors import BudgetExceeded, BudgetHeld, StorageBusy
from fanout.keys.account import Need, account_key, new_account
from fanout.keys.dynamodb_store import DynamoDBStore
from fanout.keys.items import Condition, Item, ItemKey, Store, Update, UpdateConflict
from fanout.keys.ledger import KeyLedger
from fanout.keys.sqlite_store import SQLiteStore
from fanout.keys.windows import NEVER
from tests.support import virtual_clock
from tests.support.dynamodb_engine import ENV, DynamoDBEngine, keys_table

KEY = ItemKey("p", "n")
DIGEST = "d" * 64


async def conforms(store: Store) -> None:
    """What every store does."""
    item = {"n": 5, "s": "x", "models": ["a", "b"], "metadata": {"team": "é"}, "none": []}
    assert await store.get(KEY) is None
    assert await _rejected(store, Update(KEY, (Condition("n", ">=", 0),), add={"n": 1})) is None
    assert await store.create(KEY, item) is True
    assert await store.create(KEY, {"n": 0}) is False
    assert await store.get(KEY) == item
    conditions = (Condition("s", "=", "x"), Condition("n", ">=", 5), Condition("n", ">", 4))
    changed = await store.update(Update(KEY, conditions, set={"s": "y"}, add={"n": -7, "m": 1}))
    assert changed == {**item, "n": -2, "s": "y", "m": 1}
    for wrong in (Condition("s", "=", "x"), Condition("n", ">=", -1), Condition("n", ">", -2)):
        assert await _rejected(store, Update(KEY, (wrong,), set={"s": "z"})) == changed
    absent = Update(KEY, (Condition("no", "=", "x"),), set={"s": "z"})
    assert await _rejected(store, absent) == changed
    for name in ("c", "a", "d", "b"):
        assert await store.create(ItemKey("many", name), {"v": name})
    assert [name for name, _ in await store.items("many")] == ["a", "b", "c", "d"]
    some = await store.items("many", after="a", before="d", limit=5)
    assert some == [("b", {"v": "b"}), ("c", {"v": "c"})]
    assert [name for name, _ in await store.items("many", limit=3)] == ["a", "b", "c"]
    assert await store.delete(KEY) == changed
    assert await store.delete(KEY) is None


async def _rejected(store: Store, update: Update) -> Item | None:
    try:
        await store.update(update)
    except UpdateConflict as rejected:
        return rejected.item
    raise AssertionError(update)


async def spend(ledger: KeyLedger, requests: int, need: int, cost: int) -> list[str]:
    """
    How so many requests end that are sent at once.

    One that is held is sent again when others have ended: as many as one that ends makes room for.
    """
    waiting: deque[asyncio.Event] = deque()

    def wake(count: int) -> None:
        for _ in range(min(count, len(waiting))):
            waiting.popleft().set()

    async def request() -> str:
        item = await ledger.find(DIGEST)
        assert item is not None
        while True:
            try:
                held, _ = await ledger.reserve(item, Need(need), {}, lambda _: None)
            except BudgetHeld:
                waiting.append(turn := asyncio.Event())
                await turn.wait()
            except BudgetExceeded:
                wake(need)
                return "refused"
            else:
                await asyncio.sleep(0)
                await ledger.settle(held, cost, 0, {}, "settled")
                wake(need)
                return "accepted"

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(request()) for _ in range(requests)]
        while not all(task.done() for task in tasks):
            await asyncio.wait(tasks, timeout=0.1)
            wake(need)  # one may have begun to wait after the last had ended
    return [task.result() for task in tasks]


async def open_account(store: Store, limits: Mapping[str, Any]) -> None:
    account = new_account(DIGEST, 1_795_953_600, UTC, limits)
    assert await store.create(account_key(DIGEST), {**account, "until": NEVER})


def test_reading_from_a_file_that_does_not_exist_makes_none(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "keys.sqlite")
    assert asyncio.run(store.get(KEY)) is None
    assert asyncio.run(store.items("p")) == []
    assert [*tmp_path.iterdir()] == []


def test_a_command_beside_a_gateway_that_has_the_store_twice_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.sqlite"
    command = """
import asyncio, sys
from pathlib import Path
from fanout.keys.sqlite_store import SQLiteStore
async def main():
    store = SQLiteStore(Path(sys.argv[1]))
    print(len(await store.items("many")))
    store.close()
asyncio.run(main())
"""

    async def main() -> None:
        first, second = SQLiteStore(path), SQLiteStore(path)
        for number, store in enumerate((first, second, first)):
            assert await store.create(ItemKey("many", f"{number}"), {})
            done = subprocess.run(  # noqa: ASYNC221,S603 -- nothing else runs; the code is written here
                [sys.executable, "-c", command, path], capture_output=True, text=True, check=False
            )
            assert (done.stdout, done.stderr) == (f"{number + 1}\n", "")
            assert path.with_name("keys.sqlite-wal").exists(), "another process was not the last"
        assert len(await second.items("many")) == 3
        first.close()
        second.close()

    asyncio.run(main())


def test_a_thousand_parallel_requests_of_a_key_with_a_budget_for_500(tmp_path: Path) -> None:
    async def main() -> None:
        await conforms(store)
        await open_account(store, {"max_budget": 500})
        ledger = KeyLedger(store, lease=600)
        # Each reserves three times what it costs: the budget is full while half of it is spent.
        ended = await spend(ledger, 1_000, need=3, cost=1)
        account = await store.get(account_key(DIGEST))
        assert account is not None
        assert (account["reserved"], account["spent"] + account["available"]) == (0, 500)
        assert ended.count("accepted") == account["spent"]
        assert account["available"] < 3  # what no further request can be sure to be paid by

    store = SQLiteStore(tmp_path / "keys.sqlite")
    asyncio.run(main())
    store.close()
    assert (tmp_path / "keys.sqlite").stat().st_mode & 0o077 == 0


def test_dynamodb_is_as_exact_and_its_errors_are_503() -> None:
    async def main(client: Any) -> None:
        engine = DynamoDBEngine(client)
        store = DynamoDBStore("keys", DynamoDB(ENV, engine, AWSSigner(ENV), "table of keys"))
        await conforms(store)
        await open_account(store, {"max_budget": 10, "rpm_limit": 1_000})
        ledger = KeyLedger(store, lease=600, now=lambda: 1_795_953_600 + virtual_clock.now())
        assert (await spend(ledger, 20, need=2, cost=1)).count("accepted") == 9
        account = await store.get(account_key(DIGEST))
        assert account is not None
        assert (account["spent"], account["reserved"], account["available"]) == (9, 0, 1)
        engine.operations.clear()
        held, _ = await ledger.reserve(account, Need(1), {}, lambda _: None)
        await ledger.settle(held, 1, 0, {}, "settled")
        assert [name for _, name in engine.operations] == [
            "UpdateItem", "PutItem", "UpdateItem", "UpdateItem",
        ]  # fmt: skip
        engine.rejection = "ProvisionedThroughputExceededException"
        with pytest.raises(StorageBusy) as raised:  # nothing was written, so it may be repeated
            await ledger.find(DIGEST)
        assert raised.value.status == 503
        assert engine.count("GetItem") == 5  # DynamoDB did not make it, so it is sent again

    with keys_table() as client:
        virtual_clock.run(main(client))
