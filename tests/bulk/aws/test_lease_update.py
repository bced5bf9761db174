"""An update that DynamoDB computes moves a model's times exactly as `advance` does."""

from __future__ import annotations

from functools import cache
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.lease_update import burst_attribute, lease_update, settle_update
from fanout.bulk.aws.number_update import Condition, NumberUpdate, Sum
from fanout.bulk.pacing.rate_limit_state import Reservation, advance
from tests.support.virtual_clock import run, run_threads_at_once

from .memory_table import MemoryTable

NOW = 1_000.0
BURSTS = {"requests": 24.0, "tokens": 600.0}
RATES = {"requests": 10.0, "tokens": 300.0}

times = st.one_of(
    st.none(), st.floats(NOW - 9, NOW + 30), st.sampled_from([0.0, NOW - 2.4, NOW - 2.0, NOW])
)
amounts = st.fixed_dictionaries(
    {}, optional={"requests": st.floats(0.1, 50), "tokens": st.floats(1, 9_000)}
).filter(bool)


def reservations_of(wanted: dict[str, float]) -> list[Reservation]:
    return [Reservation(kind, wanted[kind], RATES[kind], BURSTS[kind]) for kind in wanted]


def stored(marks: dict[str, float | None], pause: float | None) -> dict[str, float]:
    """The numbers of an item whose times are `marks`."""
    numbers = {} if pause is None else {"pause": pause}
    for kind, mark in marks.items():
        if mark is not None:
            numbers |= {kind: mark, burst_attribute(kind): mark + BURSTS[kind] / RATES[kind]}
    return numbers


async def write(table: Any, numbers: dict[str, float], key: str) -> None:
    sets = {name: Sum(None, value) for name, value in numbers.items()}
    await table.update_numbers("k", key, NumberUpdate(sets), ttl=1)


async def lease(table: Any, key: str, wanted: dict[str, float]) -> tuple[dict[str, float], int]:
    """Take a lease from no knowledge of the item, as a worker does; the writes that it took."""
    state: dict[str, float] = {}
    for attempt in range(1, 4):
        update = lease_update(state, reservations_of(wanted), {}, NOW)
        done, state = await table.update_numbers("k", key, update, ttl=1)
        if done:
            return state, attempt
    raise AssertionError("the update does not fit the state that it was made for")


@given(times, times, times, amounts)
@settings(max_examples=200)
def test_a_lease_moves_the_times_as_advance_does(
    requests: float | None, tokens: float | None, pause: float | None, wanted: dict[str, float]
) -> None:
    before = stored({"requests": requests, "tokens": tokens}, pause)
    plain = {name: value for name, value in before.items() if not name.endswith(" burst")}
    relevant = {name: value for name, value in plain.items() if name in {*wanted, "pause"}}
    expected, _ = advance(relevant, reservations_of(wanted), NOW)

    async def main() -> None:
        table = MemoryTable()
        await write(table, before, "m")
        after, attempts = await lease(table, "m", wanted)
        for kind in wanted:
            assert after[kind] == pytest.approx(expected[kind], abs=1e-6)
            burst = BURSTS[kind] / RATES[kind]
            assert after[burst_attribute(kind)] == pytest.approx(after[kind] + burst, abs=1e-6)
        assert attempts <= 2, "the second attempt knows the state"

    run(main())


@cache
def numbers_of_keys() -> count[int]:
    return count()


@given(times, times, times, amounts)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_dynamodb_computes_what_the_table_in_memory_computes(
    table: DynamoTable,
    requests: float | None,
    tokens: float | None,
    pause: float | None,
    wanted: dict[str, float],
) -> None:
    before = stored({"requests": requests, "tokens": tokens}, pause)
    key = str(next(numbers_of_keys()))

    async def both() -> list[dict[str, float]]:
        found = []
        for one in (MemoryTable(), table):
            await write(one, before, key)
            await one.update_numbers("k", key, settle_update({"requests": 0.5}), ttl=1)
            found.append((await lease(one, key, wanted))[0])
        return found

    memory, dynamo = run_threads_at_once(both(), 0.004)
    assert dynamo.pop("ttl") == 1
    assert dynamo == pytest.approx(memory, abs=1e-6)


def test_a_condition_that_does_not_hold_changes_nothing(table: DynamoTable) -> None:
    async def main() -> None:
        for condition in (
            Condition("a", "<", 1.0),
            Condition("a", ">=", "b"),
            Condition("a", "missing"),
        ):
            await write(table, {"a": 1.0, "b": 2.0}, "m")
            update = NumberUpdate({"a": Sum("b", 5.0)}, {"c": 1.0}, (condition,))
            done, there = await table.update_numbers("k", "m", update, ttl=2)
            assert not done
            assert there == {"a": 1.0, "b": 2.0, "ttl": 1.0}

    run_threads_at_once(main(), 0.004)
