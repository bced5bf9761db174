from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from fanout.config.deployment import Balancing, Deployment, make_deployment
from fanout.config.model import ModelParams
from fanout.errors import (
    Broken,
    ErrorDetail,
    Overloaded,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
)
from fanout.routing.load_balancing import DeploymentGroup
from tests.support.virtual_clock import now, run


def deployment(number: int, **params: Any) -> Deployment:
    given = ModelParams(model="openai/m", api_key="k", **params)
    return make_deployment("m", given, {}, {}, str(number))


class Clock:
    """The time and the random number that a test sets."""

    now = 100.0
    rng = 0.0


def group(
    deployments: Sequence[Deployment], clock: Clock, allowed_fails: int = 3, cooldown: float = 5.0
) -> DeploymentGroup:
    return DeploymentGroup(
        deployments,
        now=lambda: clock.now,
        rng=lambda: clock.rng,
        settings=Balancing(allowed_fails=allowed_fails, cooldown_time=cooldown),
    )


def pair(clock: Clock, **settings: Any) -> tuple[DeploymentGroup, Deployment, Deployment]:
    """Two equal deployments; with the random number 0 the first of equals is picked."""
    first, second = deployment(0), deployment(1)
    return group([first, second], clock, **settings), first, second


def failure(kind: type[ProviderError], to: Deployment, after: float | None = None) -> ProviderError:
    return kind(to, ErrorDetail("no"), retry_after=after)


# ---- which one is next ----


def test_among_equals_one_is_picked_at_random_by_weight() -> None:
    clock = Clock()
    heavy, light = deployment(0, weight=3), deployment(1, weight=1)
    both = group([heavy, light], clock)
    picked: Counter[str] = Counter()
    for step in range(1000):
        clock.rng = step / 1000
        if chosen := both.pick():
            picked[chosen.id] += 1
    assert picked == {heavy.id: 750, light.id: 250}


def test_the_least_busy_is_picked_whatever_the_random_number() -> None:
    async def main() -> None:
        both, first, second = pair(Clock())
        assert both.pick() == first
        async with both.slot() as called:
            assert (called, both.pick()) == (first, second)
            async with both.slot() as other:
                assert (other, both.pick()) == (second, first)
        assert both.pick() == first

    run(main())


def test_calls_in_flight_are_divided_by_the_weight() -> None:
    async def main() -> None:
        heavy, light = deployment(0, weight=4), deployment(1, weight=1)
        both = group([light, heavy], Clock())
        on_heavy = {light.id}
        async with (
            both.slot({heavy.id}),
            both.slot(on_heavy),
            both.slot(on_heavy),
            both.slot(on_heavy),
        ):
            assert both.pick() == heavy
            async with both.slot(
                on_heavy
            ):  # equally busy for their weight: the random number decides
                assert both.pick() == light

    run(main())


def test_a_deployment_without_a_free_slot_is_not_picked_while_another_has_one() -> None:
    async def main() -> None:
        narrow, wide = deployment(0, max_parallel_requests=1), deployment(1)
        both = group([narrow, wide], Clock())
        async with both.slot({wide.id}), both.slot({narrow.id}), both.slot({narrow.id}):
            assert both.pick() == wide
            assert both.pick({wide.id}) == narrow

    run(main())


def test_deployments_to_avoid_are_not_picked() -> None:
    both, first, second = pair(Clock())
    assert both.pick({first.id}) == second
    assert both.pick({first.id, second.id}) is None


# ---- slots ----


def test_no_more_calls_than_slots_are_in_flight() -> None:
    async def main() -> None:
        narrow = deployment(0, max_parallel_requests=2)
        only = group([narrow], Clock())
        ended = []

        async def call() -> None:
            async with only.slot():
                await asyncio.sleep(1.0)
            ended.append(now())

        async with asyncio.TaskGroup() as calls:
            for _ in range(5):
                calls.create_task(call())
        assert ended == [1.0, 1.0, 2.0, 2.0, 3.0]

    run(main())


def test_a_call_cancelled_while_it_waits_for_a_slot_is_not_counted() -> None:
    async def main() -> None:
        narrow, other = deployment(0, max_parallel_requests=1), deployment(1)
        both = group([narrow, other], Clock())
        async with both.slot({other.id}):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.0), both.slot({other.id}):
                    pytest.fail("there was no slot")
        assert both.pick() == narrow

    run(main())


# ---- cooldown ----


@pytest.mark.parametrize("kind", [Overloaded, TimedOut, Broken])
def test_more_failures_in_a_row_than_allowed_start_a_cooldown(
    kind: type[ProviderError],
) -> None:
    clock = Clock()
    both, first, second = pair(clock, allowed_fails=2, cooldown=5.0)
    for _ in range(2):
        both.failed(first, failure(kind, first))
        assert both.pick() == first
    both.failed(first, failure(kind, first))
    assert both.pick() == second
    clock.now += 4.9
    assert both.pick() == second
    clock.now += 0.1
    assert both.pick() == first


def test_a_success_resets_the_count_of_failures() -> None:
    both, first, _ = pair(Clock(), allowed_fails=1)
    for _ in range(5):
        both.failed(first, failure(Overloaded, first))
        both.succeeded(first)
    assert both.pick() == first


def test_a_cooldown_resets_the_count_of_failures() -> None:
    clock = Clock()
    both, first, _ = pair(clock, allowed_fails=1, cooldown=5.0)
    for _ in range(2):
        both.failed(first, failure(Overloaded, first))
    clock.now += 5.0
    both.failed(first, failure(Overloaded, first))
    assert both.pick() == first


@pytest.mark.parametrize("kind", [RateLimited, QuotaExceeded, Refused])
def test_a_rate_limit_or_a_rejected_key_starts_a_cooldown_at_once(
    kind: type[ProviderError],
) -> None:
    clock = Clock()
    both, first, second = pair(clock, allowed_fails=3, cooldown=5.0)
    both.failed(first, failure(kind, first))
    assert both.pick() == second
    clock.now += 5.0
    assert both.pick() == first


@pytest.mark.parametrize("after", [0.5, 30.0])
def test_the_cooldown_of_a_rate_limit_lasts_as_long_as_retry_after(after: float) -> None:
    clock = Clock()
    both, first, second = pair(clock, cooldown=5.0)
    both.failed(first, failure(RateLimited, first, after))
    clock.now += after - 0.1
    assert both.pick() == second
    clock.now += 0.1
    assert both.pick() == first


def test_a_shorter_cooldown_does_not_shorten_a_longer_one() -> None:
    clock = Clock()
    both, first, second = pair(clock)
    both.failed(first, failure(RateLimited, first, 30.0))
    both.failed(first, failure(RateLimited, first, 1.0))
    clock.now += 20.0
    assert both.pick() == second


def test_errors_caused_by_the_request_never_start_a_cooldown() -> None:
    both, first, _ = pair(Clock(), allowed_fails=0)
    for _ in range(10):
        both.failed(first, failure(Rejected, first))
    assert both.pick() == first


def test_if_all_are_cooling_down_the_one_that_is_ready_first_is_picked() -> None:
    both, first, second = pair(Clock())
    both.failed(first, failure(RateLimited, first, 30.0))
    both.failed(second, failure(RateLimited, second, 10.0))
    assert both.pick() == second
    assert both.pick({second.id}) == first


def test_a_deployment_that_cools_down_is_not_picked_however_busy_the_other_is() -> None:
    async def main() -> None:
        both, first, second = pair(Clock())
        both.failed(first, failure(RateLimited, first))
        async with both.slot(), both.slot():
            assert both.pick() == second

    run(main())


@pytest.mark.parametrize("kind", [RateLimited, Refused, Overloaded])
def test_the_only_deployment_of_a_name_never_cools_down(kind: type[ProviderError]) -> None:
    only = deployment(0)
    alone = group([only], Clock(), allowed_fails=0)
    for _ in range(10):
        alone.failed(only, failure(kind, only, 99.0))
    assert alone.pick() == only
    assert len(alone) == 1
