"""Streams: when the status is sent, what keeps them alive, and how they end."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway_response import read_stream
from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.patience import PATIENCE
from tests.support.provider_steps import (
    answers,
    cut,
    end,
    hang,
    pause,
    piece,
    refuse,
    role,
    say,
    stalls,
    stop,
    wait,
)
from tests.support.scripted_provider import Script, Upstream

HI = [{"role": "user", "content": "Hi"}]
BEAT = 0.1
"""The restless gateway's keep-alive interval."""


@pytest.fixture(scope="module")
def restless(provider: Upstream) -> Iterator[RunningGateway]:
    """A gateway that sends a keep-alive comment every tenth of a second."""
    config = {
        "model_list": [entry(provider, name) for name in ("a", "b", "c")],
        "router_settings": {"num_retries": 0},
    }
    with serve(config, keep_alive=BEAT) as served:
        yield served


MODES: dict[str, dict[str, Any]] = {
    "one": {"model": "a"},
    "race": {"model": "a, b", "fastest_response": True},
    "fallback": {"model": "a", "fallbacks": ["b"]},
    "all": {"model": "a, b"},
}
in_each_mode = pytest.mark.parametrize("mode", MODES)


@in_each_mode
def test_a_failure_before_the_first_content_is_an_ordinary_http_error(
    server: RunningGateway, upstream: Upstream, mode: str
) -> None:
    upstream.script("a", [role, pause(0.05), cut])
    upstream.script("b", [refuse(500)])
    response = server.chat({**MODES[mode], "messages": HI, "stream": True})
    assert response.status == 502
    assert response.headers["content-type"] == "application/json"
    assert response.error is not None


@in_each_mode
def test_the_status_is_sent_with_the_first_content(
    server: RunningGateway, upstream: Upstream, mode: str
) -> None:
    asked = upstream.gate()
    upstream.script("a", [role, wait(asked), say("word"), stop])
    upstream.script("b", [role, wait(asked), hang])
    if mode == "all":
        upstream.script("b", answers())
    connection = server.send({**MODES[mode], "messages": HI, "stream": True})
    upstream.wait_called("a")
    assert connection.sock is not None
    connection.sock.settimeout(0.2)
    try:
        if mode != "all":
            with pytest.raises(TimeoutError):
                connection.sock.recv(1)
        connection.sock.settimeout(PATIENCE)
        asked.open()
        with connection.getresponse() as response:
            assert response.status == 200
            assert b"word" in response.read()
    finally:
        connection.close()


def read_until(response: http.client.HTTPResponse, text: bytes, times: int = 1) -> bytes:
    """The stream's lines up to the one that contains `text` for the `times`-th time."""
    lines = b""
    while lines.count(text) < times:
        line = response.readline()
        assert line, lines
        lines += line
    return lines


@in_each_mode
def test_a_silent_stream_is_kept_alive_by_comments(
    restless: RunningGateway, upstream: Upstream, mode: str
) -> None:
    waited = upstream.gate()
    upstream.script("a", [role, wait(waited), say("late"), stop])
    upstream.script("b", [role, wait(waited), *([say("late"), stop] if mode == "all" else [hang])])
    with restless.ask({**MODES[mode], "messages": HI, "stream": True}) as response:
        assert read_until(response, b"\n\n", 3) == b": keep-alive\n\n" * 3
        waited.open()
        rest = response.read()
    assert response.status == 200
    assert response.headers["x-fanout-mode"] == mode
    assert b'"content":"late"' in rest
    assert rest.endswith(b"data: [DONE]\n\n")


def test_a_stream_that_pauses_is_kept_alive_too(
    restless: RunningGateway, upstream: Upstream
) -> None:
    waited = upstream.gate()
    upstream.script("a", [role, say("one"), wait(waited), say("two"), stop])
    with restless.ask({"model": "a", "messages": HI, "stream": True}) as response:
        read_until(response, b'"content":"one"')
        assert read_until(response, b"\n\n", 3) == b"\n" + b": keep-alive\n\n" * 3
        waited.open()
        assert b'"content":"two"' in response.read()


@in_each_mode
def test_a_failure_after_a_comment_is_one_error_event_and_no_done(
    restless: RunningGateway, upstream: Upstream, mode: str
) -> None:
    waited = upstream.gate()
    upstream.script("a", [wait(waited), refuse(500, "a is down")])
    upstream.script("b", [wait(waited), refuse(500, "b is down")])
    with restless.ask({**MODES[mode], "messages": HI, "stream": True}) as response:
        first = read_until(response, b"\n\n")
        waited.open()
        parsed = read_stream(response.status, {}, first + response.read())
    assert parsed.status == 200
    assert [event for event in parsed.events if event != ": keep-alive"] == [
        {"error": parsed.error}
    ]
    assert parsed.error is not None
    assert "a is down" in parsed.error["message"]


@pytest.mark.parametrize("ending", [[cut], [end], [piece(b"data: {nonsense\n\n"), stop]])
def test_a_failure_after_the_first_content_is_one_error_event_and_no_done(
    server: RunningGateway, upstream: Upstream, ending: Script
) -> None:
    upstream.script("a", [role, say("Hel"), pause(0.05), *ending])
    response = server.chat({"model": "a", "messages": HI, "stream": True})
    assert (response.status, response.text, response.done) == (200, "Hel", False)
    assert response.error is not None
    assert response.events[-1] == {"error": response.error}
    assert set(response.error) - {"may_be_billed"} == {"message", "type", "param", "code"}


def test_an_error_event_of_the_provider_becomes_an_openai_error_event(
    server: RunningGateway, upstream: Upstream
) -> None:
    fault = b'data: {"error": {"message": "overloaded", "type": "overloaded_error"}}\n\n'
    upstream.script("a", [role, say("Hel"), piece(fault), end])
    response = server.chat({"model": "a", "messages": HI, "stream": True})
    assert response.error == {
        "message": "`a`: overloaded",
        "type": "overloaded_error",
        "param": None,
        "code": "provider_overloaded",
    }


def test_one_of_several_streams_that_fails_ends_only_its_own_choice(
    server: RunningGateway, upstream: Upstream
) -> None:
    broken = upstream.gate()
    upstream.script("a", [role, say("Hel"), pause(0.05), cut])
    upstream.script("b", [role, say("wor"), wait(broken), say("ld"), stop])
    connection = server.send({"model": "a, b", "messages": HI, "stream": True})
    try:
        with connection.getresponse() as response:
            while b'"error":{' not in response.readline():
                pass
            broken.open()
            rest = response.read()
    finally:
        connection.close()
    assert b'"content":"ld"' in rest
    assert rest.endswith(b"data: [DONE]\n\n")


def test_a_stream_that_a_deadline_ends_has_an_error_event(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", stalls(role, say("Hel")))
    response = server.chat({"model": "a", "messages": HI, "stream": True, "timeout": 3})
    assert (response.status, response.text, response.done) == (200, "Hel", False)
    assert response.error is not None
    assert response.error["code"] == "deadline_exceeded"
    upstream.wait_disconnected("a")


@in_each_mode
def test_a_deadline_before_the_first_content_is_a_504(
    server: RunningGateway, upstream: Upstream, mode: str
) -> None:
    upstream.script("a", stalls(role))
    upstream.script("b", stalls(role))
    body = {**MODES[mode], "messages": HI, "timeout": 0.2}
    for stream in (False, True):
        response = server.chat({**body, "stream": stream})
        assert (response.status, response.error and response.error["code"]) == (
            504,
            "deadline_exceeded",
        )
        upstream.wait_ended()


@pytest.mark.parametrize("model", ["a", "a, b"])
def test_a_response_without_content_is_a_response(
    server: RunningGateway, upstream: Upstream, model: str
) -> None:
    upstream.script("a", [role, stop])
    upstream.script("b", [role, stop])
    plain = server.chat({"model": model, "messages": HI})
    streamed = server.chat({"model": model, "messages": HI, "stream": True})
    assert (plain.status, set(plain.texts.values())) == (200, {""})
    assert (streamed.status, set(streamed.texts.values()), streamed.done) == (200, {""}, True)
    assert streamed.choices[0]["finish_reason"] == "stop"
    assert len(upstream.calls_to("a")) == 2


def test_every_chunk_has_the_same_id_time_and_model(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("claude-x", answers("Hel", "lo"))
    response = server.chat({"model": "claude", "messages": HI, "stream": True})
    heads = {(event["id"], event["created"], event["model"]) for event in response.events[:-1]}
    assert {head[2] for head in heads} == {"claude"}
    assert len(heads) == 1


@pytest.mark.parametrize("model", ["a", "claude", "a, b"])
def test_usage_comes_last_and_only_if_it_was_asked_for(
    server: RunningGateway, upstream: Upstream, model: str
) -> None:
    for name in ("a", "b", "claude-x"):
        upstream.script(name, answers("Hel", "lo"))
    body = {"model": model, "messages": HI, "stream": True}
    without = server.chat(body)
    assert not any("usage" in event for event in without.events[:-1])
    response = server.chat({**body, "stream_options": {"include_usage": True}})
    *chunks, last, done = response.events
    assert done == "[DONE]"
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 12 * (1 + model.count(","))


def test_a_slow_reader_holds_the_provider_back(server: RunningGateway, upstream: Upstream) -> None:
    """The gateway collects nothing in memory for a client that does not read."""
    megabyte = say("x" * 1_000_000)
    upstream.script("a", [role, *[megabyte] * 100, stop])
    connection = server.send({"model": "a", "messages": HI, "stream": True})
    try:
        with connection.getresponse() as response:
            response.read1(10)
            upstream.wait_called("a")
            call = upstream.calls_to("a")[0]
            sent = _settled(call.words)
            assert sent < 60
            assert len(response.read()) > 100_000_000
    finally:
        connection.close()


def _settled(words: list[str]) -> int:
    """How many pieces the provider has sent when it has stopped sending."""
    from threading import Event

    count = -1
    while count != len(words):
        count = len(words)
        Event().wait(0.3)
    return count
