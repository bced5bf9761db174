from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fanout.errors import AllFailed, DeadlineExceeded, FanoutError, RateLimited
from fanout.schema.error import full_error
from tests.support.scripted_engine import answers, refuses, stalls
from tests.support.virtual_clock import now, run
from tests.unit.gateway.gateway_harness import Harness, contents, stream_text

LABEL = {
    "type": "json_schema",
    "json_schema": {
        "name": "label",
        "schema": {"type": "object", "properties": {"label": {"type": "string"}}},
    },
}

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
        harness = Harness(a=stalls(), b=stalls(), router_settings=settings)
        fields = {"model": "a", **way}
        if request_s is not None:
            fields["timeout"] = request_s
        ask = harness.read if stream else harness.ask
        with pytest.raises((DeadlineExceeded, AllFailed), match=f"{smallest:g} s") as raised:
            await ask(fields.pop("model"), deadline=host_s, **fields)
        assert (now(), raised.value.status) == (smallest, 504)
        assert not harness.engine.open
        assert {at for at, _ in harness.engine.left} == {smallest}

    run(main())


def test_a_late_model_does_not_affect_the_responses_in_time() -> None:
    async def main() -> None:
        harness = Harness(a=answers("A", after=1.0), b=stalls())
        answer = await harness.ask("a, b", timeout=5)
        first, late = answer["choices"]
        assert (first["message"]["content"], late["finish_reason"]) == ("A", "stop")
        assert late["message"]["refusal"] == late["error"]["message"]
        assert late["error"]["code"] == "deadline_exceeded"
        assert (now(), harness.engine.open) == (5.0, [])

    run(main())


def test_of_several_responses_those_in_time_are_kept_and_the_late_ones_are_errors() -> None:
    async def main() -> None:
        harness = Harness(a=answers("A", after=1.0), b=stalls())
        body = await harness.ask("a, b", timeout=5)
        assert now() == 5.0
        assert contents(body) == ["A", None]
        assert body["choices"][1]["error"]["code"] == "deadline_exceeded"
        assert harness.engine.left == [(5.0, "b")]

    run(main())


def test_of_several_streams_those_in_time_are_kept_and_the_late_ones_are_errors() -> None:
    async def main() -> None:
        harness = Harness(a=answers("A", after=1.0), b=answers("B", "never", between=60.0))
        chunks = await harness.read("a, b", timeout=5)
        assert now() == 5.0
        assert stream_text(chunks) == "BA"
        assert chunks[-1]["choices"][0]["index"] == 1
        assert chunks[-1]["choices"][0]["error"]["code"] == "deadline_exceeded"
        assert harness.engine.left == [(5.0, "b")]

    run(main())


def test_there_is_a_default_deadline() -> None:
    async def main() -> None:
        with pytest.raises(DeadlineExceeded):
            await Harness(a=stalls()).ask("a")
        assert now() == 600.0

    run(main())


def test_a_deadline_ends_a_stream_that_has_started() -> None:
    async def main() -> None:
        harness = Harness(a=answers("A", "never", between=60.0))
        with pytest.raises(DeadlineExceeded):
            await harness.read("a", timeout=30)
        assert now() == 30.0
        assert harness.engine.left == [(30.0, "a")]

    run(main())


def test_a_retry_after_beyond_the_deadline_is_an_error_at_once() -> None:
    async def main() -> None:
        params = {"a": {"num_retries": 2}}
        harness = Harness(a=refuses(429, retry_after="60"), params=params)
        with pytest.raises(RateLimited) as raised:
            await harness.ask("a", timeout=30)
        assert (now(), raised.value.retry_after) == (0.0, 60.0)

    run(main())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stream", [False, True])
def test_cancelling_the_request_ends_every_call_at_once(way: Any, *, stream: bool) -> None:
    async def main() -> None:
        harness = Harness(a=stalls(), b=stalls())
        fields = {"model": "a", **way}
        ask = harness.read if stream else harness.ask
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await ask(fields.pop("model"), **fields)
        assert not harness.engine.open
        assert {at for at, _ in harness.engine.left} == {1.0}

    run(main())


@pytest.mark.parametrize(
    ("more", "outcome"),
    [({}, "no_vote"), ({"response_format": LABEL}, "invalid")],
    ids=["plain", "checked"],
)
def test_a_deadline_without_a_vote_is_an_error_with_the_attempts(
    more: dict[str, Any], outcome: str
) -> None:
    async def main() -> None:
        harness = Harness(a=answers("a long text, and no JSON " * 10), b=stalls(), c=stalls())
        fanout = {"mode": "agree", **({"attempts": 1} if more else {})}
        with pytest.raises(FanoutError) as raised:
            await harness.ask("a, b, c", timeout=5, fanout=fanout, **more)
        assert (now(), raised.value.status) == (5.0, 504)
        attempts = full_error(raised.value)["attempts"]
        assert {one["model"]: one["outcome"] for one in attempts} == {
            "a": outcome,
            "b": "cancelled",
            "c": "cancelled",
        }

    run(main())
