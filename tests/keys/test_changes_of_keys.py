"""Changes of keys are exact: at the end of a window, after a crash, and at the same time."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, ClassVar, cast

import pytest

from fanout.errors import BudgetExceeded, FanoutError, StorageBusy, Unauthorized
from fanout.keys.account import Need
from fanout.keys.items import Item, ItemKey, Update
from fanout.keys.late_settlements import Settlement
from fanout.keys.ledger import KeyLedger, digest_of
from fanout.keys.management import KeyManager
from fanout.keys.spend import Period, collect
from tests.support.memory_store import MemoryStore, Steps, finish, rows_of

START, LEASE, BUDGET = 1_795_953_600.0, 60.0, 100


class Office:
    """A manager of keys with a clock."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.now, self.store = START, store or MemoryStore()
        self.ledger = KeyLedger(self.store, lease=LEASE, now=lambda: self.now)
        self.manager = KeyManager(self.ledger, "me")

    def key(self, key: str | None = None, **fields: Any) -> str:
        made: str = finish(self.manager.create({"max_budget": BUDGET, **fields}, key))[0]
        return made

    def claim(self, key: str, need: int) -> Any:
        item = finish(self.ledger.authenticate(digest_of(key)))
        return finish(self.ledger.claim(item, Need(need), lambda _: None))[0]

    def spend(self, key: str, cost: int, need: int | None = None) -> None:
        held = self.claim(key, cost if need is None else need)
        finish(self.ledger.open(held, {}))
        finish(self.ledger.settle(held, cost, 0, {}, "settled"))

    def find(self, key: str) -> Any:
        return finish(self.manager.find(key))

    def works(self, key: str) -> bool:
        try:
            finish(self.ledger.authenticate(digest_of(key)))
        except Unauthorized:
            return False
        return True


@pytest.mark.parametrize("change", ["duration", "budget", "reset"])
def test_a_change_after_the_end_of_a_window_is_of_the_new_one(change: str) -> None:
    office = Office()
    key = office.key(budget_duration="4s")
    office.spend(key, 90)
    office.now += 4.2
    item = office.find(key)
    if change == "reset":
        item = finish(office.manager.reset_spend(item, 50))
        expected = (50, 50)
    else:
        fields = {"budget_duration": "4s"} if change == "duration" else {"max_budget": BUDGET + 20}
        item = finish(office.manager.update(item, fields))
        expected = (0, BUDGET + 20 * (change == "budget"))
    assert (item["spent"], item["available"]) == expected
    office.spend(key, 40)
    item = office.find(key)
    assert (item["spent"], item["available"]) == (expected[0] + 40, expected[1] - 40)


def test_a_repair_knows_what_a_reset_or_an_import_has_set() -> None:
    office = Office()
    digest = "a" * 64
    finish(office.manager.import_key(digest, "sk-...", {"max_budget": BUDGET}, 70))
    keys = {digest: 70 + 5, office.key(): 80 + 5}
    other = list(keys)[1]
    office.spend(other, 60)
    finish(office.manager.reset_spend(office.find(other), 80))
    for key in keys:
        item = office.find(key)
        held, _ = finish(office.ledger.claim(item, Need(5), lambda _: None))
        finish(office.ledger.open(held, {}))
        finish(office.ledger.settle(held, 5, 0, {}, "settled"))
        finish(office.ledger.claim(item, Need(9), lambda _: None))  # it crashes before its row
    office.now += LEASE + 2
    for key, spent in keys.items():
        assert finish(office.ledger.sweep(office.find(key)))
        item = office.find(key)
        found = (item["spent"], item["available"], item["reserved"])
        assert found == (spent, BUDGET - spent, 0)


def test_a_crashed_request_costs_what_it_had_reserved() -> None:
    office = Office()
    key = office.key(parallel_limit=1)
    finish(office.ledger.open(office.claim(key, BUDGET), {"model": "a"}))
    office.now += LEASE + 2
    with pytest.raises(BudgetExceeded):
        office.claim(key, 1)
    (row,) = rows_of(office.store, lambda row: row["status"] == "lost")
    assert (row["cost"], row["by_model"]) == (BUDGET, {"a": [BUDGET, 0, 0]})
    item = office.find(key)
    assert (item["spent"], item["reserved"], item["parallel_left"]) == (BUDGET, 0, 1)


class Failing(MemoryStore):
    """Fails at these calls: `busy` before the write, `lost` after it."""

    def __init__(self) -> None:
        super().__init__()
        self.plan: list[str] = []

    async def create(self, key: ItemKey, item: Item) -> bool:
        return bool(await self._failing(super().create(key, item)))

    async def update(self, update: Update) -> Item:
        return cast(Item, await self._failing(super().update(update)))

    async def _failing(self, call: Coroutine[Any, Any, object]) -> object:
        step = self.plan.pop(0) if self.plan else ""
        if step == "busy":
            call.close()
            raise StorageBusy("keys", "another process is writing to it")
        done = await call
        if step == "lost":
            raise FanoutError("no answer")
        return done


def test_a_settlement_is_tried_again_and_never_counts_twice() -> None:
    wrong = []
    for plan in itertools.product(["", "busy", "lost"], repeat=4):
        store = Failing()
        office = Office(store)
        key = office.key()
        settlement = Settlement(office.ledger, office.claim(key, 50), {"model": "a"})
        settlement.set(20, 0, {"by_model": {}})
        store.plan = [*plan]
        for _ in range(6):
            with suppress(FanoutError):
                finish(settlement.run())
        item = office.find(key)
        if "lost" not in plan and (item["spent"], item["reserved"]) != (20, 0):
            wrong.append((plan, item))
        assert item["available"] <= BUDGET - 20
        office.now += LEASE + 2
        finish(office.ledger.sweep(item))
        item = office.find(key)
        if (item["spent"], item["available"]) != (20, BUDGET - 20):
            wrong.append((plan, item))
    assert wrong == []


def test_a_deleted_key_and_those_that_it_replaced_do_not_come_back() -> None:
    office = Office()
    keys = [office.key("sk-my-own-key-of-old")]
    for name in ("sk-the-second-key-1", "sk-the-third-key-12"):
        finish(office.manager.regenerate(office.find(keys[-1]), name, overlap=30 * 86_400))
        keys.append(name)
    assert [office.works(key) for key in keys] == [True] * 3
    finish(office.manager.delete(office.find(keys[-1])))
    assert [office.works(key) for key in keys] == [False] * 3
    office.key(keys[0])
    assert [office.works(key) for key in keys] == [True, False, False]
    office.key(keys[1])  # it may be made again, as a key of its own
    assert [office.works(key) for key in keys] == [True, True, False]


def test_of_parallel_regenerations_one_succeeds() -> None:
    office = Office()
    old = office.key()
    item = office.find(old)
    made = [f"sk-a-new-key-number-{number}" for number in range(8)]
    calls = [
        Steps(_tried(office, item, key, {"max_budget": number}))
        for number, key in enumerate(made, 1)
    ]
    while running := [call for call in calls if not call.ended]:
        for call in running:
            call.step()
    working = [number for number, key in enumerate(made, 1) if office.works(key)]
    assert sum(call.result for call in calls) == len(working) == 1
    assert office.find(old)["max_budget"] == working[0]
    office.now += 61
    assert not office.works(old)
    again = finish(_tried(office, office.find(made[working[0] - 1]), old, {"max_budget": 99}))
    assert again is False  # the key is in use, so nothing changes
    assert office.find(made[working[0] - 1])["max_budget"] == working[0]


async def _tried(office: Office, item: Any, key: str, fields: Any) -> bool:
    try:
        await office.manager.regenerate(item, key, 60, fields)
    except FanoutError:
        return False
    return True


class Row(dict[str, Any]):
    """A spend row that notes which fields the main thread reads."""

    read: ClassVar[set[str]] = set()

    def __getitem__(self, name: str) -> Any:
        if threading.current_thread() is threading.main_thread():
            self.read.add(name)
        return super().__getitem__(name)


class RowStore(MemoryStore):
    """Its rows are of one key, the newest first."""

    async def get(self, key: ItemKey) -> Item | None:
        return {"at": START}

    async def items(
        self, partition: str, *, after: str = "", before: str = "", limit: int = 1_000
    ) -> Sequence[tuple[str, Item]]:
        found = [Row(status="settled", by_model={}, at=START - age) for age in range(3)]
        return [] if after >= "f" else [("f", row) for row in found]


def test_spend_is_put_in_order_beside_the_event_loop() -> None:
    ledger = KeyLedger(RowStore(), lease=LEASE, now=lambda: START + 1)
    rows = asyncio.run(collect(ledger, Period(START - 5, START + 1), "a" * 64))
    assert [row["at"] for row in [dict(row) for row in rows]] == [START - 2, START - 1, START]
    assert "at" not in Row.read
