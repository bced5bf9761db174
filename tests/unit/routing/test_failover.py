from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fanout.errors import (
    Broken,
    Malformed,
    Overloaded,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unreachable,
)
from fanout.routing.leg import Leg
from fanout.schema.validation import parse_chat
from fanout.transport.engine import ConnectFailed, ConnectionLost, SlowConnect
from tests.support.scripted_engine import Reply, Script, answers, breaks, fails, refuses, stalls
from tests.support.virtual_clock import now, run
from tests.unit.routing.router_harness import HELLO, Harness

Ask = Callable[[Harness, Leg], Awaitable[str]]

WAYS: list[Any] = [
    pytest.param(Harness.ask, id="plain"),
    pytest.param(Harness.ask_by_stream, id="collected"),
    pytest.param(Harness.read, id="streamed"),
]
every_way = pytest.mark.parametrize("ask", WAYS)


# ---- failover in the group ----


@every_way
def test_after_a_failure_another_deployment_is_called_at_once(ask: Ask) -> None:
    async def main() -> None:
        harness = Harness(a=refuses(500, after=1.0), b=answers("Hi"))
        leg = Leg("m", "r")
        assert await ask(harness, leg) == "Hi"
        assert harness.engine.calls == [(0.0, "a"), (1.0, "b")]
        assert leg.deployment is not None
        assert leg.deployment.id == "m#1"
        assert harness.outcomes == [("failed", "Overloaded", 500), ("ok", None, 200)]

    run(main())


@every_way
def test_each_deployment_is_called_even_without_retries(ask: Ask) -> None:
    async def main() -> None:
        bad = refuses(500)
        harness = Harness(a=bad, b=bad, c=bad, d=answers("Hi"))
        assert await ask(harness, Leg("m", "r", retries=0)) == "Hi"
        assert harness.engine.calls == [(0.0, name) for name in "abcd"]

    run(main())


@every_way
@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_an_error_that_is_not_retryable_still_fails_over(ask: Ask, status: int) -> None:
    async def main() -> None:
        harness = Harness(a=refuses(status), b=answers("Hi"))
        assert await ask(harness, Leg("m", "r")) == "Hi"
        assert harness.engine.asked == ["a", "b"]

    run(main())


def test_a_deployment_without_a_key_is_skipped_without_a_call() -> None:
    async def main() -> None:
        keyless = {"a": {"api_key": "os.environ/NOT_THERE"}}
        harness = Harness(params=keyless, a=answers("A"), b=answers("B"))
        assert await harness.ask() == "B"
        assert harness.engine.asked == ["b"]

    run(main())


def test_a_deployment_that_does_not_support_a_parameter_is_skipped() -> None:
    async def main() -> None:
        biased = parse_chat({**HELLO.body, "logit_bias": {"5": 1}})
        harness = Harness(params={"a": {"model": "groq/x"}}, a=answers("A"), b=answers("B"))
        assert await harness.ask(request=biased) == "B"
        assert harness.engine.asked == ["b"]

    run(main())


# ---- errors ----

ERRORS: list[Any] = [
    pytest.param(refuses(408), TimedOut, 2, id="408"),
    pytest.param(refuses(409), Overloaded, 2, id="409"),
    pytest.param(refuses(429), RateLimited, 2, id="429"),
    pytest.param(refuses(500), Overloaded, 2, id="500"),
    pytest.param(refuses(502), Overloaded, 2, id="502"),
    pytest.param(refuses(503), Overloaded, 2, id="503"),
    pytest.param(refuses(504), TimedOut, 2, id="504"),
    pytest.param(refuses(529), Overloaded, 2, id="529"),
    pytest.param(fails(ConnectFailed("no")), Unreachable, 2, id="no connection"),
    pytest.param(fails(SlowConnect("no")), Unreachable, 2, id="slow connection"),
    pytest.param(fails(ConnectionLost("no")), Broken, 2, id="connection lost"),
    pytest.param(Script(*2 * [Reply(pieces=[b"data: {<html>\n\n"])]), Malformed, 2, id="html"),
    pytest.param(refuses(302), Malformed, 2, id="a redirect"),
    pytest.param(refuses(400), Rejected, 1, id="400"),
    pytest.param(refuses(401), Refused, 1, id="401"),
    pytest.param(refuses(403), Refused, 1, id="403"),
    pytest.param(refuses(404), Rejected, 1, id="404"),
    pytest.param(refuses(413), Rejected, 1, id="413"),
    pytest.param(refuses(422), Rejected, 1, id="422"),
    pytest.param(refuses(429, code="insufficient_quota"), QuotaExceeded, 1, id="no quota"),
]


@every_way
@pytest.mark.parametrize(("script", "kind", "calls"), ERRORS)
def test_an_error_is_retried_on_the_same_deployment_only_if_it_is_retryable(
    ask: Ask, script: Script, kind: type[ProviderError], calls: int
) -> None:
    async def main() -> None:
        harness = Harness(a=script)
        with pytest.raises(kind) as raised:
            await ask(harness, Leg("m", "r", retries=1))
        assert type(raised.value) is kind
        assert len(harness.engine.calls) == calls
        assert {outcome for outcome, _, _ in harness.outcomes} == {"failed"}
        assert not harness.engine.open

    run(main())


def test_only_deployments_with_retryable_errors_are_called_again() -> None:
    async def main() -> None:
        harness = Harness(a=refuses(401), b=refuses(500), rng=0.5)
        with pytest.raises(Overloaded):
            await harness.ask(Leg("m", "r", retries=3))
        assert harness.engine.asked == ["b", "a", "b", "b"]

    run(main())


def test_if_no_error_is_retryable_each_deployment_is_called_once_without_a_pause() -> None:
    async def main() -> None:
        harness = Harness(a=refuses(400), b=refuses(404))
        with pytest.raises(Rejected):
            await harness.ask(Leg("m", "r", retries=9))
        assert harness.engine.calls == [(0.0, "a"), (0.0, "b")]
        assert now() == 0.0

    run(main())


# ---- streams ----


def test_a_stream_fails_over_until_its_first_content() -> None:
    async def main() -> None:
        mute = breaks(after=1.0, fault=ConnectionLost("cut"))
        harness = Harness(a=mute, b=answers("Hi", " you", after=0.5))
        assert await harness.read() == "Hi you"
        assert harness.engine.calls == [(0.0, "a"), (1.0, "b")]

    run(main())


@pytest.mark.parametrize("fault", [ConnectionLost("cut"), None])
def test_a_stream_that_breaks_after_its_first_content_raises_in_its_reader(
    fault: ConnectionLost | None,
) -> None:
    async def main() -> None:
        harness = Harness(a=breaks("Hi", fault=fault), b=answers("never"))
        with pytest.raises(Broken):
            await harness.read()
        assert harness.engine.asked == ["a"]
        assert harness.outcomes == [("failed", "Broken", None)]

    run(main())


def test_a_deployment_whose_streams_break_after_their_first_content_cools_down() -> None:
    async def main() -> None:
        cut = breaks("Half", fault=ConnectionLost("cut"))
        harness = Harness(router_settings={"allowed_fails": 1}, a=cut, b=answers("Hi"))
        for _ in range(2):
            with pytest.raises(Broken):
                await harness.read()
        assert await harness.read() == "Hi"
        assert harness.engine.asked == ["a", "a", "b"]

    run(main())


def test_a_collected_stream_that_breaks_anywhere_fails_over() -> None:
    async def main() -> None:
        cut = breaks("Half", " an", fault=ConnectionLost("cut"))
        harness = Harness(a=cut, b=answers("Hi"))
        assert await harness.ask_by_stream() == "Hi"
        assert harness.engine.asked == ["a", "b"]

    run(main())


def test_a_stream_is_read_no_further_than_its_reader_does() -> None:
    async def main() -> None:
        harness = Harness(a=answers("Hi", "there", between=60.0))
        async with harness.router.stream(Leg("m", "r"), HELLO) as chunks:
            await anext(chunks)
            assert harness.engine.open == ["a"]
            assert now() == 0.0
        assert harness.engine.left == [(0.0, "a")]

    run(main())


def test_cancelling_closes_the_call_at_once() -> None:
    async def main() -> None:
        for ask in (Harness.ask, Harness.ask_by_stream, Harness.read):
            harness = Harness(a=stalls())
            began = now()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.0):
                    await ask(harness)
            assert harness.engine.left == [(began + 1.0, "a")]
            assert harness.outcomes == [("cancelled", None, None)]

    run(main())
