"""Streams of several models, and vendors' errors, by Anthropic's API and the Responses API."""

from __future__ import annotations

import json
from typing import Any

from tests.http.test_messages_passed_through import (
    BLOCK,
    DELTA,
    EVENTS,
    HI,
    START,
    STREAM,
    named,
    post,
    streamed,
)
from tests.support.gateway_server import RunningGateway
from tests.support.provider_steps import answers, piece, refuse, reply, wait
from tests.support.scripted_provider import Upstream

SIGNATURE = "c2ln/"
MESSAGES: Any = {"model": "claude, b", "max_tokens": 9, "messages": HI, "stream": True}
THINKS = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000}


def data_of(body: bytes) -> list[Any]:
    """The data of each event, without `[DONE]`."""
    lines = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: {")]
    return [json.loads(line) for line in lines]


def stream(
    server: RunningGateway,
    upstream: Upstream,
    ask: Any,
    begin: bytes,
    *rest: bytes,
    path: str = "/v1/messages",
) -> list[Any]:
    """The events of a stream that `claude` begins; `b`, and the rest of it, come after that."""
    gate = upstream.gate()
    upstream.script("claude-x", [piece(begin), wait(gate), *streamed(*rest)])
    upstream.script("b", [wait(gate), *answers("Mine.")])
    with server.ask(json.dumps(ask).encode(), path) as response:
        body = b""
        while b"delta" not in body:
            body += response.readline()
        gate.open()
        return data_of(body + response.read())


def test_the_first_model_of_all_keeps_its_signature_and_its_order(
    server: RunningGateway, upstream: Upstream
) -> None:
    begin = b"".join(EVENTS[:4])
    events = stream(server, upstream, {**MESSAGES, **THINKS}, begin, *EVENTS[4:])
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert deltas[1] == {"type": "signature_delta", "signature": SIGNATURE}
    [other] = events[-2]["fanout"]["responses"]
    assert other["content"] == [{"type": "text", "text": "Mine."}]

    ask = {"model": "claude, b", "input": "Hi", "stream": True}
    events = stream(server, upstream, ask, begin, *EVENTS[4:], path="/v1/responses")
    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "function_call"]


def test_redacted_thinking_is_the_begin_of_a_response(
    server: RunningGateway, upstream: Upstream
) -> None:
    block = b'{"type":"redacted_thinking","data":"secret"}'
    text = b'{"type":"text","text":"Hello"}'
    begin = [named(data) for data in (START, BLOCK % (0, block), BLOCK % (1, text))]
    ask = {**MESSAGES, **THINKS}
    events = stream(server, upstream, ask, b"".join(begin), *EVENTS[-2:])
    starts = [one["content_block"] for one in events if one["type"] == "content_block_start"]
    assert [start["type"] for start in starts] == ["redacted_thinking", "text"]


def test_the_first_model_of_all_fails_amid_its_stream(
    server: RunningGateway, upstream: Upstream
) -> None:
    error = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    hello = named(DELTA % (0, b'{"type":"text_delta","text":"Hel"}'))
    begin = [named(START), named(BLOCK % (0, b'{"type":"text","text":""}')), hello]
    *_, before, last = stream(server, upstream, MESSAGES, b"".join(begin), named(error))
    assert before["delta"] == {"type": "text_delta", "text": "Hel"}
    assert last["type"] == "error"
    assert last["error"] == {"type": "overloaded_error", "message": "`claude`: Overloaded"}
    assert last["fanout"]["responses"][0]["content"] == [{"type": "text", "text": "Mine."}]


def test_a_streamed_fallback_reports_its_attempts(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("b", [refuse(500)])
    upstream.script("claude-x", streamed(STREAM))
    body = post(server, {**MESSAGES, "model": "b", "fallbacks": ["claude"]})[2]
    *_, delta, stop = data_of(body)
    assert (delta["type"], stop["type"]) == ("message_delta", "message_stop")
    assert delta["fanout"]["mode"] == "fallback"


def test_a_rejection_keeps_anthropics_status(server: RunningGateway, upstream: Upstream) -> None:
    found = []
    rows = [
        (402, "billing_error", 429),
        (413, "request_too_large", 400),
        (404, "not_found_error", 404),
    ]
    for status, kind, other in rows:
        error = {"type": "error", "error": {"type": kind, "message": "Words"}}
        upstream.script("claude-x", *[[reply(status, json.dumps(error).encode())]] * 2)
        got, _, body = post(server, {**MESSAGES, "model": "claude"})
        found.append((got, json.loads(body)["error"]))
        ask = {"model": "claude", "input": "Hi"}
        with server.ask(json.dumps(ask).encode(), "/v1/responses") as response:
            assert response.status == other
    assert found == [(status, {"type": kind, "message": "Words"}) for status, kind, _ in rows]
