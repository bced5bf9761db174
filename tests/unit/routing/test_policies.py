"""LiteLLM's policies: retries and failures before a cooldown, by kind of error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from fanout.config.deployment import Balancing, Deployment, by_kind, make_deployment
from fanout.config.load import check
from fanout.config.model import ModelParams, RetryCounts
from fanout.config.resolve import resolve
from fanout.errors import (
    Broken,
    ConfigProblems,
    ContentFiltered,
    ContextLengthExceeded,
    ErrorDetail,
    FanoutError,
    Malformed,
    ModelNotFound,
    Overloaded,
    PermissionDenied,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unreachable,
    UnsupportedCountry,
)
from fanout.routing.error_kinds import kinds_of
from fanout.routing.leg import Leg
from fanout.routing.load_balancing import DeploymentGroup
from tests.support.scripted_engine import Script, refuses
from tests.support.virtual_clock import now, run
from tests.unit.config.sections import entry
from tests.unit.routing.router_harness import Harness

INTERNAL = ("InternalServerError",)


@pytest.mark.parametrize(
    ("error", "upstream", "kinds"),
    [
        (Unreachable, None, INTERNAL),
        (TimedOut, None, ("TimeoutError",)),
        (Refused, 401, ("AuthenticationError",)),
        (Rejected, 422, ("BadRequestError",)),
        (Rejected, 404, ("NotFoundError",)),
        (ContentFiltered, 400, ("ContentPolicyViolationError", "BadRequestError")),
        (ContextLengthExceeded, 400, ("BadRequestError",)),
        (ModelNotFound, 404, ("NotFoundError",)),
        (PermissionDenied, 403, ()),
        (UnsupportedCountry, 403, ()),
        (RateLimited, 429, ("RateLimitError",)),
        (QuotaExceeded, 429, ("RateLimitError",)),
        (Overloaded, 500, INTERNAL),
        (Overloaded, 502, ("BadGatewayError", *INTERNAL)),
        (Overloaded, 503, ("ServiceUnavailableError", *INTERNAL)),
        (Malformed, 200, INTERNAL),
        (Broken, 200, INTERNAL),
    ],
)
def test_each_error_has_litellms_name(
    error: type[ProviderError], upstream: int | None, kinds: tuple[str, ...]
) -> None:
    given = error(deployment(0), ErrorDetail("no"), upstream=upstream)
    assert kinds_of(given) == kinds


def test_a_nulls_count_asks_for_nothing() -> None:
    given: RetryCounts = {"TimeoutErrorRetries": 2, "RateLimitErrorRetries": None}
    assert by_kind(given) == {"TimeoutError": 2}


# ---- retries ----


def calls(
    script: Script,
    policy: dict[str, int],
    settings: Mapping[str, Any] = {},
    *,
    stream: bool = False,
) -> int:
    """How often the only deployment is called."""
    found = Harness(router_settings={"retry_policy": policy, **settings}, a=[script] * 20)

    async def main() -> int:
        with pytest.raises(FanoutError):
            await (found.read() if stream else found.ask())
        return len(found.observer.attempts)

    return run(main())


REFUSED_PROMPT = refuses(400, code="content_filter")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("script", "policy", "count"),
    [
        (refuses(500), {}, 3),
        (refuses(500), {"InternalServerErrorRetries": 5}, 6),
        (refuses(500), {"InternalServerErrorRetries": 0}, 1),
        (refuses(500), {"TimeoutErrorRetries": 5}, 3),
        (refuses(503), {"InternalServerErrorRetries": 5}, 6),
        (
            refuses(503),
            {"ServiceUnavailableErrorRetries": 1, "InternalServerErrorRetries": 5},
            2,
        ),
        (refuses(429), {"RateLimitErrorRetries": 4}, 5),
        (refuses(400), {}, 1),
        (refuses(400), {"BadRequestErrorRetries": 2}, 3),
        (refuses(401), {"AuthenticationErrorRetries": 1}, 2),
        (refuses(404), {"NotFoundErrorRetries": 1}, 2),
        (REFUSED_PROMPT, {}, 1),
        (REFUSED_PROMPT, {"ContentPolicyViolationErrorRetries": 2}, 3),
        (REFUSED_PROMPT, {"BadRequestErrorRetries": 2}, 3),
        (REFUSED_PROMPT, {"ContentPolicyViolationErrorRetries": 0, "BadRequestErrorRetries": 2}, 1),
        (refuses(500), {"DefaultRetries": 4}, 5),
        (refuses(400), {"DefaultRetries": 4}, 1),
        (REFUSED_PROMPT, {"DefaultRetries": 4}, 1),
    ],
)
def test_the_retries_are_those_of_the_error(
    script: Script, policy: dict[str, int], count: int, *, stream: bool
) -> None:
    assert calls(script, policy, stream=stream) == count


def test_the_policy_of_a_model_name_replaces_the_other() -> None:
    common = {"InternalServerErrorRetries": 5, "RateLimitErrorRetries": 5}
    own = {"model_group_retry_policy": {"m": {"InternalServerErrorRetries": 1}}}
    assert calls(refuses(500), common, own) == 2
    assert calls(refuses(429), common, own) == 3


def test_a_requests_num_retries_count_before_a_policy() -> None:
    found = Harness(
        router_settings={"retry_policy": {"InternalServerErrorRetries": 5}},
        a=[refuses(500)] * 20,
    )

    async def main() -> None:
        with pytest.raises(FanoutError):
            await found.ask(Leg("m", "r", retries=1))

    run(main())
    assert len(found.observer.attempts) == 2


def test_each_deployment_is_called_once_whatever_the_policy_says() -> None:
    found = Harness(
        router_settings={"retry_policy": {"InternalServerErrorRetries": 0}},
        a=refuses(500),
        b=refuses(500),
    )

    async def main() -> None:
        with pytest.raises(FanoutError):
            await found.ask()

    run(main())
    assert len(found.observer.attempts) == 2


@pytest.mark.parametrize(("after", "seconds"), [(None, 7.0), (2, 2.0)])
def test_retry_after_is_the_shortest_pause_unless_the_provider_names_one(
    after: int | None, seconds: float
) -> None:
    failing = refuses(503) if after is None else refuses(503, retry_after=str(after))
    found = Harness(
        router_settings={"retry_after": 7, "num_retries": 1}, a=[failing, failing], rng=0.5
    )

    async def main() -> float:
        started = now()
        with pytest.raises(FanoutError):
            await found.ask()
        return now() - started

    assert run(main()) == pytest.approx(seconds)


# ---- cooldowns ----


def deployment(number: int, **params: Any) -> Deployment:
    given = ModelParams(model="openai/m", api_key="k", **params)
    return make_deployment("m", given, {}, {}, str(number))


def fails_until_cooldown(error: type[ProviderError], own: dict[str, Any], **settings: Any) -> int:
    """After how many such errors the first of two deployments cools down; 0 if it does not."""
    first, second = deployment(0, order=1, **own), deployment(1, order=2)
    group = DeploymentGroup(
        [first, second], now=lambda: 0.0, rng=lambda: 0.0, settings=Balancing(**settings)
    )
    for count in range(1, 30):
        group.failed(first, error(first, ErrorDetail("no"), upstream=500))
        if group.pick() == second:
            return count
    return 0


@pytest.mark.parametrize(
    ("error", "fails", "count"),
    [
        (Broken, {}, 4),
        (Broken, {"InternalServerError": 0}, 1),
        (Broken, {"InternalServerError": 9}, 10),
        (Broken, {"TimeoutError": 9}, 4),
        (RateLimited, {}, 1),
        (RateLimited, {"RateLimitError": 5}, 6),
        (Refused, {"AuthenticationError": 2}, 3),
        (Rejected, {}, 0),
        (Rejected, {"BadRequestError": 2}, 3),
        (ContentFiltered, {"ContentPolicyViolationError": 3, "BadRequestError": 0}, 4),
    ],
)
def test_the_failures_before_a_cooldown_are_those_of_the_error(
    error: type[ProviderError], fails: dict[str, int], count: int
) -> None:
    assert fails_until_cooldown(error, {}, fails=fails) == count


def test_a_deployments_own_policy_replaces_the_other() -> None:
    own = {"allowed_fails_policy": {"RateLimitErrorAllowedFails": 2}}
    assert fails_until_cooldown(RateLimited, own, fails={"RateLimitError": 9}) == 3
    assert fails_until_cooldown(Broken, own, fails={"InternalServerError": 9}) == 4


def test_errors_of_different_kinds_are_counted_apart() -> None:
    first, second = deployment(0, order=1), deployment(1, order=2)
    settings = Balancing(allowed_fails=1, fails={"RateLimitError": 2})
    group = DeploymentGroup([first, second], now=lambda: 0.0, rng=lambda: 0.0, settings=settings)
    for kind in (RateLimited, RateLimited, Broken):
        group.failed(first, kind(first, ErrorDetail("no")))
    assert group.pick() == first
    group.failed(first, Broken(first, ErrorDetail("no")))
    assert group.pick() == second


@pytest.mark.parametrize("error", [Broken, RateLimited, Refused])
def test_disable_cooldowns_and_a_cooldown_of_0_are_for_every_error(
    error: type[ProviderError],
) -> None:
    assert fails_until_cooldown(error, {}, cools_down=False) == 0
    assert fails_until_cooldown(error, {"cooldown_time": 0}) == 0


def test_a_deployment_may_have_a_cooldown_of_its_own() -> None:
    time = 0.0
    first, second = deployment(0, order=1, cooldown_time=60), deployment(1, order=2)
    group = DeploymentGroup(
        [first, second], now=lambda: time, rng=lambda: 0.0, settings=Balancing(allowed_fails=0)
    )
    group.failed(first, Broken(first, ErrorDetail("no")))
    time = 59.9
    assert group.pick() == second
    time = 60.0
    assert group.pick() == first


# ---- the config ----


def balancing(router: dict[str, Any]) -> Balancing:
    config = check({"model_list": [entry("openai/x", "a")], "router_settings": router}, {})
    return resolve(config, {}).balancing


def test_the_config_has_litellms_names() -> None:
    found = balancing(
        {
            "retry_policy": {"TimeoutErrorRetries": 1, "BadRequestErrorRetries": None},
            "model_group_retry_policy": {"a": {"RateLimitErrorRetries": 4}},
            "allowed_fails_policy": {"RateLimitErrorAllowedFails": 10},
            "disable_cooldowns": True,
            "retry_after": 3,
        }
    )
    assert found.retries_of("a") == {"RateLimitError": 4}
    assert found.retries_of("b") == {"TimeoutError": 1}
    assert (found.fails, found.cools_down, found.retry_after) == ({"RateLimitError": 10}, False, 3)


@pytest.mark.parametrize(
    ("router", "message"),
    [
        ({"retry_policy": {"TimeoutRetries": 1}}, "router_settings.retry_policy"),
        ({"retry_policy": {"TimeoutErrorRetries": -1}}, "router_settings.retry_policy"),
        ({"allowed_fails_policy": {"TimeoutErrorRetries": 1}}, "allowed_fails_policy"),
        ({"model_group_retry_policy": {"nope": {}}}, "names `nope`, which is not in `model_list`"),
        ({"routing_strategy_args": {"ttl": 10}}, "needs `latency-based-routing`"),
        (
            {"routing_strategy": "latency-based-routing", "routing_strategy_args": {"tll": 10}},
            "routing_strategy_args",
        ),
    ],
)
def test_what_a_policy_cannot_mean_is_a_problem(router: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigProblems, match=message):
        balancing(router)


def test_the_default_of_max_parallel_requests_is_for_deployments_without_one() -> None:
    config = check(
        {
            "model_list": [
                entry("openai/x", "a"),
                entry("openai/x", "a", max_parallel_requests=2),
            ],
            "router_settings": {"default_max_parallel_requests": 7},
        },
        {},
    )
    assert [one.max_parallel for one in resolve(config, {}).groups["a"]] == [7, 2]
