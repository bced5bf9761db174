"""A bug in Fanout is logged, and the client gets a 500 without details."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fanout.errors import INTERNAL
from fanout.telemetry.observers import JSONLinesObserver
from fanout.transport.engine import Incoming, Outgoing, StreamedResponse
from fanout.wire.http import WireResponse
from tests.http.test_bad_input import models
from tests.support.gateway_response import ParsedResponse, read_response, read_stream
from tests.support.in_process import AppResponse, HelloEngine, InProcess, run_in_process
from tests.support.wire_formats import WIRE_FORMATS

HI = [{"role": "user", "content": "marker-prompt"}]
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


class Buggy(HelloEngine):
    """An engine that has a bug for `b`, and one in the middle of a stream for `c`."""

    async def send(self, request: Outgoing) -> WireResponse:
        if _asks(request) in {"b", "c"}:
            raise TypeError("marker-bug")
        return await super().send(request)

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        if _asks(request) == "b":
            raise TypeError("marker-bug")
        if _asks(request) == "c":
            yield StreamedResponse(200, {}, _halves())
            return
        async with super().stream(request) as incoming:
            yield incoming


def _asks(request: Outgoing) -> str:
    return str(json.loads(request.body)["model"])


async def _halves() -> AsyncIterator[bytes]:
    yield WIRE_FORMATS["openai"].delta("c", {"content": "Hel"})
    raise TypeError("marker-bug")


@pytest.fixture(scope="module")
def running() -> Iterator[InProcess]:
    with run_in_process(models("a", "b", "c"), Buggy()) as app:
        yield app


@pytest.fixture
def app(running: InProcess) -> InProcess:
    running.observer.clear()
    return running


def ask(app: InProcess, *, stream: bool, **body: Any) -> ParsedResponse:
    answer: AppResponse = app.post({"messages": HI, "stream": stream, **body})
    assert b"marker" not in answer.body
    if answer.headers["content-type"].startswith("text/event-stream"):
        return read_stream(answer.status, answer.headers, answer.body)
    return read_response(answer.status, answer.headers, json.loads(answer.body))


def bugs(app: InProcess) -> list[str]:
    return [repr(bug) for bug in app.observer.unexpected_errors]


@both_ways
@pytest.mark.parametrize("body", [{"model": "b"}, {"model": "b", "fallbacks": ["c"]}])
def test_a_lone_bug_is_a_500(app: InProcess, *, body: dict[str, Any], stream: bool) -> None:
    response = ask(app, stream=stream, **body)
    if "fallbacks" in body and stream:
        assert (response.status, response.done) == (200, False)
    else:
        assert response.status == 500
    assert response.error is not None
    assert INTERNAL.message in response.error["message"]
    assert response.error["type"] == "server_error"
    assert set(bugs(app)) == {"TypeError('marker-bug')"}
    assert len(bugs(app)) == len(body)


@both_ways
def test_one_failure_among_several_models_is_the_error_of_its_choice(
    app: InProcess, *, stream: bool
) -> None:
    response = ask(app, stream=stream, model="a, b")
    assert (response.status, response.texts[0]) == (200, "Hello")
    assert response.choices[1]["finish_reason"] == "stop"
    assert response.choices[1]["error"]["message"] == INTERNAL.message
    assert bugs(app) == ["TypeError('marker-bug')"]


@both_ways
def test_one_that_loses_a_race_is_logged_too(app: InProcess, *, stream: bool) -> None:
    fan = {"mode": "hedge", "models": ["b", "a"], "stagger": 60}
    response = ask(app, stream=stream, fanout=fan)
    assert (response.status, response.model, response.text) == (200, "a", "Hello")
    assert bugs(app) == ["TypeError('marker-bug')"]


def test_one_in_the_middle_of_a_stream_ends_it_with_an_error(app: InProcess) -> None:
    response = ask(app, stream=True, model="c")
    assert (response.status, response.text, response.done) == (200, "Hel", False)
    assert response.error is not None
    assert response.error["message"] == INTERNAL.message
    assert bugs(app) == ["TypeError('marker-bug')"]


def test_the_log_has_the_place_of_an_error_and_no_values(app: InProcess) -> None:
    ask(app, stream=False, model="b")
    lines: list[str] = []
    JSONLinesObserver(lines.append, time.time).unexpected_error(
        "req_1", app.observer.unexpected_errors[0]
    )
    line = json.loads(lines[0])
    assert (line["event"], line["request_id"], line["error"]) == (
        "unexpected_error",
        "req_1",
        "TypeError",
    )
    assert any(place.endswith(" send") for place in line["where"])
    assert "marker" not in lines[0]
