from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fanout.errors import AllFailed, DeadlineExceeded, RateLimited
from tests.support.scripted_engine import answers, refuses, stalls
from tests.support.virtual_clock import now, run
from tests.unit.gateway.bench import Bench, said, spoken

WAYS: list[Any] = [
    pytest.param({}, id="one"),
    pytest.param({"model": "a, b"}, id="all"),
    pytest.param({"model": "a, b", "fastest_response": True}, id="race"),
    pytest.param({"model": "a, b", "fanout": {"mode": "fallback"}}, id="fallback"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("request_s", "config_s", "host_s", "smallest"),
    [(5, 7, 9, 5.0), (7, 5, 9, 5.0), (9, 7, 5, 5.0), (None, 5, None, 5.0), (5, None, None, 5.0)],
)
def test_the_smallest_deadline_ends_every_call(
    request_s: float | None,
    config_s: float | None,
    host_s: float | None,
    smallest: float,
    way: Any,
    *,
    stream: bool,
) -> None:
    async def main() -> None:
        settings = {} if config_s is None else {"timeout": config_s}
        bench = Bench(a=stalls(), b=stalls(), router_settings=settings)
        asked = {"model": "a", **way}
        if request_s is not None:
            asked["timeout"] = request_s
        ask = bench.read if stream else bench.ask
        with pytest.raises((DeadlineExceeded, AllFailed), match=f"{smallest:g} s") as raised:
            await ask(asked.pop("model"), deadline=host_s, **asked)
        assert (now(), raised.value.status) == (smallest, 504)
        assert not bench.engine.open
        assert {at for at, _ in bench.engine.left} == {smallest}

    run(main())


def test_what_is_late_takes_nothing_from_the_answers_that_are_there() -> None:
    async def main() -> None:
        bench = Bench(a=answers("A", after=1.0), b=stalls())
        answer = await bench.ask("a, b", timeout=5)
        first, late = answer["choices"]
        assert (first["message"]["content"], late["finish_reason"]) == ("A", "error")
        assert late["error"]["code"] == "deadline_exceeded"
        assert (now(), bench.engine.open) == (5.0, [])

    run(main())


def test_of_several_answers_those_in_time_are_kept_and_the_late_ones_say_so() -> None:
    async def main() -> None:
        bench = Bench(a=answers("A", after=1.0), b=stalls())
        body = await bench.ask("a, b", timeout=5)
        assert now() == 5.0
        assert said(body) == ["A", None]
        assert body["choices"][1]["error"]["code"] == "deadline_exceeded"
        assert bench.engine.left == [(5.0, "b")]

    run(main())


def test_of_several_streams_those_in_time_are_kept_and_the_late_ones_say_so() -> None:
    async def main() -> None:
        bench = Bench(a=answers("A", after=1.0), b=answers("B", "never", between=60.0))
        chunks = await bench.read("a, b", timeout=5)
        assert now() == 5.0
        assert spoken(chunks) == "BA"
        assert chunks[-1]["choices"][0]["index"] == 1
        assert chunks[-1]["choices"][0]["error"]["code"] == "deadline_exceeded"
        assert bench.engine.left == [(5.0, "b")]

    run(main())


def test_without_any_deadline_there_is_still_one() -> None:
    async def main() -> None:
        with pytest.raises(DeadlineExceeded):
            await Bench(a=stalls()).ask("a")
        assert now() == 600.0

    run(main())


def test_a_deadline_cuts_a_stream_that_has_begun() -> None:
    async def main() -> None:
        bench = Bench(a=answers("A", "never", between=60.0))
        with pytest.raises(DeadlineExceeded):
            await bench.read("a", timeout=30)
        assert now() == 30.0
        assert bench.engine.left == [(30.0, "a")]

    run(main())


def test_a_retry_after_beyond_the_deadline_is_told_at_once_and_not_waited_for() -> None:
    async def main() -> None:
        patient = {"a": {"num_retries": 2}}
        bench = Bench(a=refuses(429, retry_after="60"), params=patient)
        with pytest.raises(RateLimited) as raised:
            await bench.ask("a", timeout=30)
        assert (now(), raised.value.retry_after) == (0.0, 60.0)

    run(main())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_caller_that_leaves_ends_every_call_at_once(way: Any, *, stream: bool) -> None:
    async def main() -> None:
        bench = Bench(a=stalls(), b=stalls())
        asked = {"model": "a", **way}
        ask = bench.read if stream else bench.ask
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await ask(asked.pop("model"), **asked)
        assert not bench.engine.open
        assert {at for at, _ in bench.engine.left} == {1.0}

    run(main())
