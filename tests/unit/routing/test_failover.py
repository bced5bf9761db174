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
from tests.unit.routing.bench import HELLO, Bench

Ask = Callable[[Bench, Leg], Awaitable[str]]

WAYS: list[Any] = [
    pytest.param(Bench.ask, id="plain"),
    pytest.param(Bench.ask_by_stream, id="collected"),
    pytest.param(Bench.read, id="streamed"),
]
every_way = pytest.mark.parametrize("ask", WAYS)


# ---- another of the group ----


@every_way
def test_when_one_fails_another_of_the_group_is_asked_at_once(ask: Ask) -> None:
    async def main() -> None:
        bench = Bench(a=refuses(500, after=1.0), b=answers("Hi"))
        leg = Leg("m", "r")
        assert await ask(bench, leg) == "Hi"
        assert bench.engine.calls == [(0.0, "a"), (1.0, "b")]
        assert leg.tried == ["m#0", "m#1"]
        assert leg.deployment is not None
        assert leg.deployment.id == "m#1"
        assert bench.outcomes == [("failed", "Overloaded", 500), ("ok", None, 200)]

    run(main())


@every_way
def test_each_of_the_group_is_asked_even_where_no_retry_is_allowed(ask: Ask) -> None:
    async def main() -> None:
        bad = refuses(500)
        bench = Bench(a=bad, b=bad, c=bad, d=answers("Hi"))
        assert await ask(bench, Leg("m", "r", retries=0)) == "Hi"
        assert bench.engine.calls == [(0.0, name) for name in "abcd"]

    run(main())


@every_way
@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_no_retry_cures_may_still_be_cured_by_another(ask: Ask, status: int) -> None:
    async def main() -> None:
        bench = Bench(a=refuses(status), b=answers("Hi"))
        assert await ask(bench, Leg("m", "r")) == "Hi"
        assert bench.engine.asked == ["a", "b"]

    run(main())


def test_one_without_a_key_is_passed_over_without_a_call() -> None:
    async def main() -> None:
        keyless = {"a": {"api_key": "os.environ/NOT_THERE"}}
        bench = Bench(params=keyless, a=answers("A"), b=answers("B"))
        assert await bench.ask() == "B"
        assert bench.engine.asked == ["b"]

    run(main())


def test_one_that_cannot_take_a_parameter_leaves_it_to_one_that_can() -> None:
    async def main() -> None:
        biased = parse_chat({**HELLO.body, "logit_bias": {"5": 1}})
        bench = Bench(params={"a": {"model": "groq/x"}}, a=answers("A"), b=answers("B"))
        assert await bench.ask(request=biased) == "B"
        assert bench.engine.asked == ["b"]

    run(main())


# ---- what counts as a failure, and as which ----

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
def test_a_fault_is_retried_on_the_same_deployment_only_where_that_may_help(
    ask: Ask, script: Script, kind: type[ProviderError], calls: int
) -> None:
    async def main() -> None:
        bench = Bench(a=script)
        with pytest.raises(kind) as raised:
            await ask(bench, Leg("m", "r", retries=1))
        assert type(raised.value) is kind
        assert len(bench.engine.calls) == calls
        assert {outcome for outcome, _, _ in bench.outcomes} == {"failed"}
        assert not bench.engine.open

    run(main())


def test_of_a_group_only_those_are_asked_again_that_may_answer() -> None:
    async def main() -> None:
        bench = Bench(a=refuses(401), b=refuses(500), rng=0.5)
        with pytest.raises(Overloaded):
            await bench.ask(Leg("m", "r", retries=3))
        assert bench.engine.asked == ["b", "a", "b", "b"]

    run(main())


def test_where_nobody_may_answer_nothing_is_asked_twice_and_nothing_waits() -> None:
    async def main() -> None:
        bench = Bench(a=refuses(400), b=refuses(404))
        with pytest.raises(Rejected):
            await bench.ask(Leg("m", "r", retries=9))
        assert bench.engine.calls == [(0.0, "a"), (0.0, "b")]
        assert now() == 0.0

    run(main())


# ---- streams ----


def test_a_stream_fails_over_until_its_first_content() -> None:
    async def main() -> None:
        mute = breaks(after=1.0, fault=ConnectionLost("cut"))
        bench = Bench(a=mute, b=answers("Hi", " you", after=0.5))
        assert await bench.read() == "Hi you"
        assert bench.engine.calls == [(0.0, "a"), (1.0, "b")]

    run(main())


@pytest.mark.parametrize("fault", [ConnectionLost("cut"), None])
def test_a_stream_that_breaks_after_its_first_content_breaks_for_its_reader(
    fault: ConnectionLost | None,
) -> None:
    async def main() -> None:
        bench = Bench(a=breaks("Hi", fault=fault), b=answers("never"))
        with pytest.raises(Broken):
            await bench.read()
        assert bench.engine.asked == ["a"]
        assert bench.outcomes == [("failed", "Broken", None)]

    run(main())


def test_one_whose_streams_break_after_their_first_content_cools_down() -> None:
    async def main() -> None:
        cut = breaks("Half", fault=ConnectionLost("cut"))
        bench = Bench(router_settings={"allowed_fails": 1}, a=cut, b=answers("Hi"))
        for _ in range(2):
            with pytest.raises(Broken):
                await bench.read()
        assert await bench.read() == "Hi"
        assert bench.engine.asked == ["a", "a", "b"]

    run(main())


def test_a_collected_stream_that_breaks_anywhere_is_asked_of_another() -> None:
    async def main() -> None:
        cut = breaks("Half", " an", fault=ConnectionLost("cut"))
        bench = Bench(a=cut, b=answers("Hi"))
        assert await bench.ask_by_stream() == "Hi"
        assert bench.engine.asked == ["a", "b"]

    run(main())


def test_a_stream_is_read_no_further_than_its_reader_does() -> None:
    async def main() -> None:
        bench = Bench(a=answers("Hi", "there", between=60.0))
        async with bench.router.stream(Leg("m", "r"), HELLO) as chunks:
            await anext(chunks)
            assert bench.engine.open == ["a"]
            assert now() == 0.0
        assert bench.engine.left == [(0.0, "a")]

    run(main())


def test_a_caller_that_is_cancelled_closes_the_call_at_once() -> None:
    async def main() -> None:
        for ask in (Bench.ask, Bench.ask_by_stream, Bench.read):
            bench = Bench(a=stalls())
            began = now()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.0):
                    await ask(bench)
            assert bench.engine.left == [(began + 1.0, "a")]
            assert bench.outcomes == [("cancelled", None, None)]

    run(main())
