"""LiteLLM's `routing_strategy`: which deployment of a group is called next."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from fanout.config.deployment import Balancing, Deployment, make_deployment
from fanout.config.model import LatencyArgs, ModelParams, Strategy
from fanout.errors import Broken, ErrorDetail
from fanout.routing.load_balancing import (
    MAX_WILDCARD_GROUPS,
    DeploymentGroup,
    DeploymentGroups,
)
from tests.unit.config.sections import catalog, entry


def deployment(number: int, **params: Any) -> Deployment:
    given = ModelParams(model="openai/m", api_key="k", **params)
    return make_deployment("m", given, {}, {}, str(number))


class Group:
    """A group whose random numbers run evenly through [0, 1)."""

    def __init__(
        self, strategy: Strategy | None, *deployments: Deployment, **settings: Any
    ) -> None:
        self.rng = self.now = 0.0
        self.group = DeploymentGroup(
            deployments,
            now=lambda: self.now,
            rng=lambda: self.rng,
            settings=Balancing(strategy=strategy, **settings),
        )

    def shares(self, **options: Any) -> dict[str, int]:
        """How many of 100 picks each deployment gets."""
        picked: Counter[str] = Counter()
        for step in range(100):
            self.rng = step / 100
            found = self.group.pick(**options)
            assert found is not None
            picked[found.id] += 1
        return dict(picked)


@pytest.mark.parametrize(
    ("params", "shares"),
    [
        (({"weight": 3}, {"weight": 1}), (75, 25)),
        (({"weight": 3, "rpm": 1}, {"weight": 1, "rpm": 99}), (75, 25)),
        (({"weight": 3}, {}), (100, 0)),
        (({"rpm": 90}, {"rpm": 10}), (90, 10)),
        (({"rpm": 60, "tpm": 1}, {"rpm": 40, "tpm": 9}), (60, 40)),
        (({"tpm": 20}, {"tpm": 80}), (20, 80)),
        (({}, {}), (50, 50)),
    ],
)
def test_simple_shuffle_is_at_random_by_weight_or_else_by_rpm_or_else_by_tpm(
    params: tuple[dict[str, Any], dict[str, Any]], shares: tuple[int, int]
) -> None:
    two = [deployment(number, **given) for number, given in enumerate(params)]
    found = Group("simple-shuffle", *two).shares()
    assert (found.get("m#0", 0), found.get("m#1", 0)) == shares


def test_simple_shuffle_does_not_look_at_the_calls_in_flight() -> None:
    two = deployment(0), deployment(1)
    shuffled, busy = Group("simple-shuffle", *two), Group("least-busy", *two)

    async def shares() -> list[dict[str, int]]:
        async with shuffled.group.slot({"m#1"}), busy.group.slot({"m#1"}):
            return [shuffled.shares(), busy.shares()]

    assert asyncio.run(shares()) == [{"m#0": 50, "m#1": 50}, {"m#1": 100}]


def test_a_deployment_that_failed_is_avoided_also_if_the_others_have_no_weight() -> None:
    found = Group("simple-shuffle", deployment(0, weight=1), deployment(1), deployment(2))
    assert found.shares(avoid={"m#0"}) == {"m#1": 50, "m#2": 50}


def test_latency_based_routing_tries_each_and_then_takes_the_fastest() -> None:
    first, second, third = deployment(0), deployment(1), deployment(2)
    found = Group("latency-based-routing", first, second, third)
    found.group.succeeded(first, 0.4)
    assert set(found.shares()) == {"m#1", "m#2"}
    found.group.succeeded(second, 0.2)
    found.group.succeeded(third, 0.3)
    assert found.shares() == {"m#1": 100}


def test_a_latency_is_the_average_of_the_latest_calls() -> None:
    first, second = deployment(0), deployment(1)
    found = Group("latency-based-routing", first, second)
    found.group.succeeded(first, 100.0)
    for _ in range(10):
        found.group.succeeded(first, 0.1)
    found.group.succeeded(second, 0.2)
    assert found.shares() == {"m#0": 100}


def test_a_failure_is_no_latency_and_a_cooldown_counts_before_it() -> None:
    first, second = deployment(0), deployment(1)
    found = Group("latency-based-routing", first, second)
    found.group.succeeded(first, 0.1)
    found.group.succeeded(second, 0.2)
    for _ in range(4):
        found.group.failed(first, Broken(first, ErrorDetail("no")))
    assert found.shares() == {"m#1": 100}


def timed(
    **args: Any,
) -> tuple[Group, list[Deployment]]:
    """Five deployments, the latencies of which are LiteLLM's example for its buffer."""
    five = [deployment(number) for number in range(5)]
    found = Group("latency-based-routing", *five, latency=LatencyArgs(**args))
    for one, seconds in zip(five, (0.07, 0.1, 0.1, 0.1, 4.66), strict=True):
        found.group.succeeded(one, seconds)
    return found, five


def test_deployments_within_the_buffer_are_equals() -> None:
    found, _ = timed(lowest_latency_buffer=0.5)
    assert found.shares() == {"m#0": 25, "m#1": 25, "m#2": 25, "m#3": 25}
    found, _ = timed()
    assert found.shares() == {"m#0": 100}


def test_a_call_counts_for_the_ttl() -> None:
    found, five = timed(ttl=10)
    found.now = 10.0
    assert found.shares() == {"m#0": 100}
    found.group.succeeded(five[4], 0.01)
    found.now = 10.1
    assert set(found.shares()) == {"m#0", "m#1", "m#2", "m#3"}


def test_a_latency_is_the_average_of_so_many_calls() -> None:
    found, five = timed(max_latency_list_size=1)
    found.group.succeeded(five[4], 0.01)
    assert found.shares() == {"m#4": 100}


STRATEGIES: list[Strategy | None] = [
    None,
    "simple-shuffle",
    "least-busy",
    "latency-based-routing",
]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_lowest_order_is_called_first_and_then_the_next(strategy: Strategy | None) -> None:
    last = deployment(0)
    second, first, equal = deployment(1, order=2), deployment(2, order=1), deployment(3, order=1)
    found = Group(strategy, last, second, first, equal)
    assert found.shares() == {"m#2": 50, "m#3": 50}
    assert found.shares(avoid={"m#2"}) == {"m#3": 100}
    assert found.shares(avoid={"m#2", "m#3"}) == {"m#1": 100}
    assert found.shares(avoid={"m#1", "m#2", "m#3"}) == {"m#0": 100}


def test_a_deployment_that_cools_down_or_is_full_leaves_its_place_to_the_next_order() -> None:
    second, first = deployment(0, order=2), deployment(1, order=1, max_parallel_requests=1)
    found = Group("simple-shuffle", second, first, allowed_fails=0)

    async def main() -> None:
        async with found.group.slot({second.id}):
            assert found.shares() == {"m#0": 100}
        assert found.shares() == {"m#1": 100}
        found.group.failed(first, Broken(first, ErrorDetail("no")))
        assert found.shares() == {"m#0": 100}

    asyncio.run(main())


def test_the_group_of_a_wildcards_name_is_kept_and_only_so_many_are() -> None:
    found = catalog(model_list=[entry("openai/*", "any/*"), entry("openai/x", "x")])
    groups = DeploymentGroups(found, now=lambda: 0.0, rng=lambda: 0.0)
    assert groups.find("any/a") is groups.find("any/a")
    assert groups.find("x") is groups.find("x")
    for number in range(MAX_WILDCARD_GROUPS):
        groups.find(f"any/{number}")
    assert len(groups) == MAX_WILDCARD_GROUPS + 1
    assert groups.find("x") is groups.find("x")
