"""Budgets are exact for any interleaving of requests, crashes, retries and ends of windows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fanout.errors import BudgetExceeded, BudgetHeld, FanoutError, RequestError
from fanout.keys.account import Need, account_key, new_account
from fanout.keys.groups import valid_shared_account
from fanout.keys.late_settlements import Settlement
from fanout.keys.ledger import KeyLedger
from fanout.keys.windows import NEVER, window_end
from tests.support.memory_store import MemoryStore, Pause, Steps, finish, rows_of

DIGEST = "d" * 64
BUDGET, NEED = 30, 10
DAY = 86_400
LEASE = 200.0 * DAY  # no request of a test takes longer
START = 1_795_953_600.0  # a Monday, 0:00 UTC


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Bank:
    """One account of a budget for three requests, its clock and its store."""

    def __init__(self, **limits: Any) -> None:
        self.clock, self.store = Clock(), MemoryStore()
        self.ledger = KeyLedger(self.store, lease=LEASE, now=self.clock)
        account = new_account(DIGEST, START, UTC, {"max_budget": BUDGET, **limits})
        self.store.stored[account_key(DIGEST)] = {**account, "until": NEVER}
        self.refused: list[FanoutError] = []

    @property
    def account(self) -> Mapping[str, Any]:
        return self.store.stored[account_key(DIGEST)]

    async def request(self, cost: int, need: int = NEED) -> bool:
        """A whole request: whether it was accepted. Its settlement is tried twice."""
        item = await self.ledger.find(DIGEST)
        assert item is not None
        try:
            held, _ = await self.ledger.reserve(item, Need(need, need), {}, lambda _: None)
        except (BudgetExceeded, BudgetHeld) as error:
            self.refused.append(error)
            return False
        await Pause()
        first = await self.ledger.settle(held, cost, cost, {}, "settled")
        again = await self.ledger.settle(held, cost, cost, {}, "settled")
        assert not (first and again)
        return True

    def sweep(self) -> None:
        """What a sweep finds when no request can be in flight any more."""
        self.clock.now += LEASE + 2
        item = finish(self.ledger.find(DIGEST))
        finish(self.ledger.sweep(item))
        finish(self.ledger.sweep(finish(self.ledger.find(DIGEST))))

    def spent(self, window: int) -> int:
        rows = rows_of(self.store, lambda row: row["window"] == window)
        return sum(row.get("cost", 0) for row in rows)


COSTS = st.lists(st.integers(0, NEED + 2), min_size=1, max_size=16)
ACTIONS = st.lists(
    st.tuples(st.sampled_from(["step"] * 20 + ["crash", "wait", "next window"]), st.integers(0)),
    min_size=80,
    max_size=160,
)


@given(COSTS, ACTIONS, st.sampled_from(["", "1d"]))
@settings(max_examples=60, derandomize=True, deadline=None, database=None, phases=[Phase.generate])
def test_a_budget_is_never_overspent_and_a_sweep_leaves_what_is_true(
    costs: list[int], actions: list[tuple[str, int]], duration: str
) -> None:
    bank = Bank(budget_duration=duration, parallel_limit=5)
    requests = [Steps(bank.request(cost)) for cost in costs]
    has_crashed = False
    for action, number in actions:
        running = [one for one in requests if not one.ended]
        if not running:
            break
        chosen = running[number % len(running)]
        if action == "step":
            chosen.step()
        elif action == "crash":
            chosen.crash()
            has_crashed = True
        else:
            bank.clock.now += 7 if action == "wait" else DAY
        account = bank.account
        assert account["available"] == BUDGET - account["spent"] - account["reserved"]
        assert account["reserved"] >= 0
        over = sum(max(0, cost - NEED) for cost in costs)
        assert account["available"] >= -over
        assert bank.spent(account["window"]) <= BUDGET + over
    for left in requests:
        while not left.ended:
            left.step()
    if not has_crashed:
        assert bank.account["parallel_left"] == 5
        spent = bank.spent(bank.account["window"])
        assert (bank.account["reserved"], bank.account["spent"]) == (0, spent)
    window = bank.account["window"]
    bank.sweep()
    is_open = rows_of(bank.store, lambda row: row["status"] == "open")
    assert [row for row in is_open if row["window"] == window] == []
    if bank.account["window_end"] > bank.clock.now:
        assert (bank.account["reserved"], bank.account["spent"]) == (0, bank.spent(window))
        assert bank.account["parallel_left"] == 5
        left_over = BUDGET - bank.spent(window)
        accepted = finish(bank.request(0, need=min(NEED, max(0, left_over))))
        assert accepted, "money is left, and nothing is in flight"


TEAM_ID = "team:t"
OTHER = "e" * 64


class TeamBank(Bank):
    """A team with a budget for three requests, and two keys, of which one has its own for two."""

    def __init__(self) -> None:
        super().__init__(max_budget=2 * NEED)
        for name, limits in ((OTHER, {}), (TEAM_ID, {"max_budget": BUDGET, "parallel_limit": 5})):
            made = new_account(name, START, UTC, limits)
            self.store.stored[account_key(name)] = {**made, "until": NEVER}

    def named(self, name: str) -> Mapping[str, Any]:
        return self.store.stored[account_key(name)]

    async def request_of(self, key: str, cost: int) -> bool:
        """A whole request of a key, as an endpoint makes it."""
        ledger, store = self.ledger, self.store
        item, team = [await store.get(account_key(name)) for name in (key, TEAM_ID)]
        assert item is not None
        assert team is not None
        need = Need(NEED, NEED)
        try:
            held, _ = await ledger.claim(item, need, lambda _: None)
        except (BudgetExceeded, BudgetHeld):
            return False
        await ledger.join(item, team)
        try:
            shared, _ = await ledger.claim(team, need, lambda _: None)
        except (BudgetExceeded, BudgetHeld):
            await ledger.count(held, 0, 0)
            return False
        settlement = Settlement(ledger, replace(held, shared=shared), {"model": "a"})
        await settlement.open()
        await Pause()
        settlement.set(cost, cost, {})
        for _ in range(2):
            await settlement.run()
        return True

    def check(self) -> None:
        """What is available is never more than is left."""
        for name in (DIGEST, OTHER, TEAM_ID):
            item = self.named(name)
            assert item["available"] == item["max_budget"] - item["spent"] - item["reserved"]
            assert item["reserved"] >= 0
        costs = sum(row.get("cost", 0) for row in rows_of(self.store, lambda _: True))
        assert costs <= BUDGET + 2 * len(rows_of(self.store, lambda _: True))


@given(COSTS, ACTIONS)
@settings(max_examples=12, derandomize=True, deadline=None, database=None, phases=[Phase.generate])
def test_a_team_is_as_exact_as_its_keys_with_one_row_for_both(
    costs: list[int], actions: list[tuple[str, int]]
) -> None:
    bank = TeamBank()
    keys = [DIGEST, OTHER]
    requests = [Steps(bank.request_of(keys[n % 2], cost)) for n, cost in enumerate(costs)]
    for action, number in actions:
        if not (running := [one for one in requests if not one.ended]):
            break
        chosen = running[number % len(running)]
        chosen.crash() if action == "crash" else chosen.step()
        bank.check()
    for left in requests:
        while not left.ended:
            left.step()
    bank.check()
    bank.clock.now += LEASE + 2
    for name in (TEAM_ID, *keys) * 2:
        finish(bank.ledger.sweep(bank.named(name)))
    rows = rows_of(bank.store, lambda _: True)
    assert [row for row in rows if row["status"] == "open"] == []
    assert bank.named(TEAM_ID)["parallel_left"] == 5
    for name in (TEAM_ID, *keys):
        item = bank.named(name)
        where = f"spend#{name}#"
        own = [row for at, row in bank.store.stored.items() if at.partition.startswith(where)]
        charged = sum(row["cost"] for row in (rows if name == TEAM_ID else own))
        assert (item["spent"], item["reserved"]) == (charged, 0)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
@settings(max_examples=20, derandomize=True, deadline=None, database=None)
def test_parallel_requests_spend_the_whole_budget_and_not_more(order: list[int]) -> None:
    bank = Bank()
    requests = [Steps(bank.request(NEED)) for _ in range(12)]
    for number in count():
        if not (running := [one for one in requests if not one.ended]):
            break
        running[(order[number % len(order)] + number) % len(running)].step()
    assert sum(one.result for one in requests) == 3
    assert bank.account["spent"] == BUDGET
    assert bank.account["available"] == 0
    rest = finish(bank.request(1))
    assert rest is False
    assert isinstance(bank.refused[-1], BudgetExceeded)
    assert bank.refused[-1].status == 402


def test_a_request_is_four_writes() -> None:
    bank = Bank(rpm_limit=10, tpm_limit=100, parallel_limit=4)
    finish(bank.ledger.settle(_reserved(bank), 3, 4, {}, "settled"))
    assert bank.store.writes == 4
    assert {name: bank.account[name] for name in ("available", "rpm_left", "tpm_left")} == {
        "available": 27,
        "rpm_left": 9,
        "tpm_left": 96,
    }


def test_a_request_of_a_key_in_a_team_is_six_writes() -> None:
    bank = TeamBank()
    assert finish(bank.request_of(DIGEST, 3)) is True
    assert bank.store.writes == 8  # the key's first request notes that it belongs to the team
    assert finish(bank.request_of(DIGEST, 3)) is True
    assert bank.store.writes == 8 + 6
    assert [bank.named(name)["spent"] for name in (DIGEST, OTHER, TEAM_ID)] == [6, 0, 6]


@pytest.mark.parametrize("team", ["", "t", "never made"])
def test_a_request_reads_each_of_its_accounts_once(team: str) -> None:
    bank = TeamBank()
    key = {**bank.account, "team_id": team, "user_id": ""}
    bank.store.stored[account_key(DIGEST)] = key
    item = finish(bank.ledger.authenticate(DIGEST))
    finish(valid_shared_account(bank.ledger, item))
    assert bank.store.reads == (2 if team else 1)


def test_what_running_requests_hold_is_no_spent_budget() -> None:
    bank = Bank(max_budget=NEED)
    held = _reserved(bank)
    assert finish(bank.request(1)) is False
    assert isinstance(bank.refused[-1], BudgetHeld)
    assert (bank.refused[-1].status, bank.refused[-1].retry_after) == (429, 2.0)
    finish(bank.ledger.settle(held, 1, 1, {}, "settled"))
    assert finish(bank.request(1, need=9)) is True


def test_windows_end_with_the_calendar_in_the_configs_time_zone() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    at = datetime(2026, 3, 28, 23, 30, tzinfo=UTC).timestamp()  # the 29th there: its clocks change
    expected = {
        ("1d", UTC): "2026-03-29T00:00:00+00:00",
        ("1d", berlin): "2026-03-30T00:00:00+02:00",
        ("7d", UTC): "2026-03-30T00:00:00+00:00",
        ("1w", UTC): "2026-03-30T00:00:00+00:00",
        ("30d", UTC): "2026-04-01T00:00:00+00:00",
        ("1mo", berlin): "2026-04-01T00:00:00+02:00",
        ("12mo", UTC): "2027-03-01T00:00:00+00:00",
        ("3d", UTC): "2026-03-31T00:00:00+00:00",
        ("2h", UTC): "2026-03-29T00:00:00+00:00",
        ("30s", UTC): "2026-03-28T23:30:30+00:00",
    }
    found = {
        (duration, zone): datetime.fromtimestamp(window_end(duration, at, zone), zone).isoformat()
        for duration, zone in expected
    }
    assert found == expected
    assert window_end("", at, UTC) == NEVER
    for wrong in ("1y", "0d", "d", "1.5h", "-1d"):
        with pytest.raises(RequestError, match="budget_duration"):
            window_end(wrong, at, UTC)


def _reserved(bank: Bank) -> Any:
    item = finish(bank.ledger.find(DIGEST))
    return finish(bank.ledger.reserve(item, Need(NEED, NEED), {}, lambda _: None))[0]
