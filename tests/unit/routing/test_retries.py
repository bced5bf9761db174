from __future__ import annotations

import asyncio

import pytest

from fanout.errors import Overloaded, RateLimited, TimedOut
from fanout.routing.leg import Leg
from tests.support.scripted_engine import Script, answers, refuses, stalls
from tests.support.virtual_clock import now, run
from tests.unit.routing.router_harness import HELLO, Harness


def leg(retries: int | None = None, deadline: float | None = None) -> Leg:
    return Leg("m", "r", retries=retries, deadline=deadline)


# ---- number and times of retries ----


def test_retries_wait_with_full_jitter_and_not_after_the_last() -> None:
    async def main() -> None:
        harness = Harness(a=refuses(500), rng=0.5)
        with pytest.raises(Overloaded):
            await harness.ask(leg(retries=3))
        assert [at for at, _ in harness.engine.calls] == [0.0, 0.25, 0.75, 1.75]
        assert now() == 1.75

    run(main())


def test_the_response_of_a_retry_is_returned() -> None:
    async def main() -> None:
        harness = Harness(a=[refuses(503), refuses(429), answers("Hi")], rng=0.5)
        assert await harness.ask(leg(retries=2)) == "Hi"
        assert harness.outcomes == [
            ("failed", "Overloaded", 503), ("failed", "RateLimited", 429), ("ok", None, 200),
        ]  # fmt: skip

    run(main())


def test_a_group_waits_after_each_round_and_not_after_each_call() -> None:
    async def main() -> None:
        harness = Harness(a=refuses(500), b=refuses(500), rng=0.5)
        with pytest.raises(Overloaded):
            await harness.ask(leg(retries=5))
        assert [at for at, _ in harness.engine.calls] == [0.0, 0.0, 0.25, 0.25, 0.75, 0.75]

    run(main())


@pytest.mark.parametrize(
    ("own", "router", "service", "calls"),
    [
        ({}, {}, {}, 3),
        ({"num_retries": 0}, {"num_retries": 4}, {"num_retries": 5}, 1),
        ({}, {"num_retries": 4}, {"num_retries": 5}, 5),
        ({}, {}, {"num_retries": 5}, 6),
    ],
)
def test_num_retries_is_set_by_deployment_router_or_litellm_settings_and_is_two_by_default(
    own: dict[str, int], router: dict[str, int], service: dict[str, int], calls: int
) -> None:
    async def main() -> None:
        harness = Harness(
            a=refuses(500), params={"a": own}, router_settings=router, litellm_settings=service
        )
        with pytest.raises(Overloaded):
            await harness.ask()
        assert len(harness.engine.calls) == calls

    run(main())


def test_the_requests_num_retries_replaces_all_others() -> None:
    async def main() -> None:
        harness = Harness(a=refuses(500), params={"a": {"num_retries": 5}})
        with pytest.raises(Overloaded):
            await harness.ask(leg(retries=1))
        assert len(harness.engine.calls) == 2

    run(main())


@pytest.mark.parametrize(
    ("limited", "seconds"),
    [
        (refuses(429, retry_after="3"), 3.0),
        (refuses(429, retry_after="0.5"), 0.5),
        (refuses(429, retry_after_ms="1500", retry_after="9"), 1.5),
        (refuses(429, retry_after="0"), 0.0),
    ],
)
def test_retry_after_replaces_the_jitter(limited: Script, seconds: float) -> None:
    async def main() -> None:
        harness = Harness(a=[limited, answers("Hi")], rng=0.5)
        assert await harness.ask() == "Hi"
        assert [at for at, _ in harness.engine.calls] == [0.0, seconds]

    run(main())


# ---- deadlines ----


def test_a_pause_that_would_pass_the_deadline_is_not_started() -> None:
    async def main() -> None:
        harness = Harness(a=refuses(429, retry_after="60"))
        with pytest.raises(RateLimited) as raised:
            await harness.ask(leg(deadline=30.0))
        assert (now(), len(harness.engine.calls)) == (0.0, 1)
        assert raised.value.retry_after == 60.0

    run(main())


def test_a_pause_that_ends_before_the_deadline_is_taken() -> None:
    async def main() -> None:
        harness = Harness(a=[refuses(429, retry_after="20"), answers("Hi")])
        assert await harness.ask(leg(deadline=30.0)) == "Hi"
        assert now() == 20.0

    run(main())


def test_a_deadline_ends_a_pause() -> None:
    async def main() -> None:
        harness = Harness(a=refuses(429, retry_after="20"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5.0):
                await harness.ask()
        assert (now(), len(harness.engine.calls)) == (5.0, 1)

    run(main())


# ---- timeouts of a deployment ----


def test_a_deployments_timeout_ends_its_attempt_and_another_is_called() -> None:
    async def main() -> None:
        harness = Harness(a=stalls(), b=answers("Hi", after=1.0), params={"a": {"timeout": 2}})
        assert await harness.ask() == "Hi"
        assert harness.engine.calls == [(0.0, "a"), (2.0, "b")]
        assert harness.engine.left == [(2.0, "a")]
        assert harness.outcomes == [("failed", "TimedOut", None), ("ok", None, 200)]

    run(main())


def test_the_timeout_of_a_stream_is_for_its_first_content() -> None:
    async def main() -> None:
        slow_talker = answers("Hi", " you", after=1.0, between=60.0)
        harness = Harness(a=slow_talker, params={"a": {"timeout": 2}})
        assert await harness.read() == "Hi you"
        mute = Harness(a=stalls(), params={"a": {"timeout": 2, "num_retries": 0}})
        with pytest.raises(TimedOut, match="no response within 2 s"):
            await mute.read()

    run(main())


def test_a_stream_without_data_for_its_stream_timeout_breaks() -> None:
    async def main() -> None:
        silent = answers("Hi", "never", between=61.0)
        harness = Harness(a=silent, params={"a": {"stream_timeout": 60}})
        with pytest.raises(TimedOut, match="no data on the stream for 60 s"):
            await harness.read()
        assert now() == 60.0
        assert harness.engine.left == [(60.0, "a")]

    run(main())


def test_a_stream_without_headers_within_its_stream_timeout_breaks() -> None:
    async def main() -> None:
        harness = Harness(a=stalls(), params={"a": {"stream_timeout": 5, "num_retries": 0}})
        with pytest.raises(TimedOut, match="no data on the stream for 5 s"):
            await harness.read()
        assert now() == 5.0

    run(main())


def test_waiting_for_a_slot_does_not_count_against_the_timeout() -> None:
    async def main() -> None:
        harness = Harness(
            a=answers("Hi", after=1.5),
            params={"a": {"timeout": 2, "max_parallel_requests": 1, "num_retries": 0}},
        )
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(harness.ask())
        assert now() == 4.5

    run(main())


# ---- cooldown ----


def test_a_rate_limited_deployment_is_not_called_until_its_retry_after() -> None:
    async def main() -> None:
        harness = Harness(a=[refuses(429, retry_after="30"), answers("A")], b=answers("B"))
        texts = []
        for _ in range(4):
            texts.append(await harness.ask())
            await asyncio.sleep(10.0)
        assert texts == ["B", "B", "B", "A"]
        assert harness.engine.asked == ["a", "b", "b", "b", "a"]

    run(main())


def test_a_deployment_that_keeps_failing_is_not_called_during_its_cooldown() -> None:
    async def main() -> None:
        settings = {"allowed_fails": 1, "cooldown_time": 7}
        harness = Harness(a=refuses(500), b=answers("B"), router_settings=settings)
        for _ in range(4):
            await harness.ask()
        assert harness.engine.asked == ["a", "b", "a", "b", "b", "b"]
        await asyncio.sleep(7.0)
        await harness.ask()
        assert harness.engine.asked[-2:] == ["a", "b"]

    run(main())


def test_a_deployment_that_succeeds_between_failures_does_not_cool_down() -> None:
    async def main() -> None:
        ups_and_downs = [refuses(500), answers("A")] * 5
        harness = Harness(a=ups_and_downs, b=answers("B"), router_settings={"allowed_fails": 1})
        texts = [await harness.ask() for _ in range(8)]
        assert texts == ["B", "A"] * 4

    run(main())


def test_all_requests_share_the_cooldowns_of_a_group() -> None:
    async def main() -> None:
        harness = Harness(a=refuses(401), b=answers("B", after=1.0))
        async with asyncio.TaskGroup() as group:
            group.create_task(harness.ask())
            await asyncio.sleep(0.5)
            group.create_task(harness.ask())
        assert harness.engine.asked == ["a", "b", "b"]

    run(main())


# ---- slots ----


def test_a_stream_holds_its_slot_until_it_is_closed() -> None:
    async def main() -> None:
        harness = Harness(a=answers("Hi"), params={"a": {"max_parallel_requests": 1}})
        order = []

        async def reader(name: str, seconds: float) -> None:
            async with harness.router.stream(leg(), HELLO) as chunks:
                await anext(chunks)
                order.append((name, now()))
                await asyncio.sleep(seconds)

        async with asyncio.TaskGroup() as group:
            group.create_task(reader("first", 5.0))
            group.create_task(reader("second", 1.0))
        assert order == [("first", 0.0), ("second", 5.0)]

    run(main())


def test_a_slot_is_free_again_after_a_failure_or_a_cancelled_call() -> None:
    async def main() -> None:
        scripts = [refuses(500), stalls(), answers("Hi")]
        harness = Harness(a=scripts, params={"a": {"max_parallel_requests": 1}})
        with pytest.raises(Overloaded):
            await harness.read(leg(retries=0))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await harness.read()
        assert await harness.read() == "Hi"

    run(main())
