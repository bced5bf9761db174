"""The faults of providers, as scripts: in each scenario, one model misbehaves in one way."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.support.provider_steps import (
    answers,
    comment,
    cut,
    hang,
    head,
    opens,
    pause,
    raw,
    refuse,
    reply,
    reset,
    role,
    say,
    stop,
)
from tests.support.scripted_provider import Call, CloseConnection, Gate, Script, Step

SLOW = 0.6
"""Seconds that a slow step takes."""

PATIENCE = 0.8
"""Seconds of timeout in the scenarios in which a provider stays silent."""

DEADLINE = 1.0
"""Seconds of timeout for a request whose response never ends."""

BIG = 50_000_000
JSON = {"content-type": "application/json"}
OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"

# An error message that the gateway must not pass on: it contains the key and an address.
INDISCREET = "key sk-provider-secret-0123456789 was sent to http://10.1.2.3:8080/internal"


@dataclass(frozen=True)
class Scenario:
    """
    One fault. `scripts` takes the gate that opens when the fault has happened.

    `where` is the provider's address: the scripted provider ("here"), or one that does not work. A
    `heavy` scenario runs alone. A fault that `lasts` takes longer than another model's response.
    """

    name: str
    what: str
    scripts: Callable[[Gate], Sequence[Script]]
    params: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    where: str = "here"
    heavy: bool = False
    lasts: bool = False


def _once(*steps: Step) -> Callable[[Gate], Sequence[Script]]:
    """One script; the fault happens with its first step."""
    return lambda gate: [[opens(gate), *steps]]


def _words(*steps: Step) -> Callable[[Gate], Sequence[Script]]:
    """Some text, and then the fault."""
    return lambda gate: [[role, say("Once"), opens(gate), *steps]]


def _nothing(gate: Gate) -> Sequence[Script]:
    return [[opens(gate)]]


def sends(data: bytes) -> Step:
    """A response that is valid HTTP, with this body."""

    async def step(call: Call) -> None:
        if call.streams:
            call.piece(data)
            call.end()
        else:
            call.whole(200, data, JSON)

    return step


async def early(call: Call) -> None:
    """End a stream before the response is complete; close a plain response."""
    if not call.streams:
        raise CloseConnection
    call.end()


async def gzipped(call: Call) -> None:
    """A correct response, compressed with gzip."""
    _send(call, gzip.compress(_body(call)), {"content-encoding": "gzip"})


async def bomb(call: Call) -> None:
    """50 MB, compressed to 50 kB."""
    _send(call, _gzipped_spaces(), {"content-encoding": "gzip"})


@cache
def _gzipped_spaces() -> bytes:
    return gzip.compress(b" " * BIG)


async def http_1_0(call: Call) -> None:
    """A correct response in HTTP/1.0, which ends when the connection closes."""
    kind = b"text/event-stream" if call.streams else b"application/json"
    call.writer.write(b"HTTP/1.0 200 OK\r\ncontent-type: " + kind + b"\r\n\r\n" + _body(call))


async def big(call: Call) -> None:
    """A response of 50 MB; in a stream, as one event."""
    word = b"x" * BIG
    body = call.wire_format.delta(call.model, {"content": ""}) if call.streams else _body(call)
    _send(call, body.replace(b'"content": ""', b'"content": "' + word + b'"'), {})


async def endless(call: Call) -> None:
    """An endless stream; for a plain request, one endless word."""
    if not call.streams:
        call.writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        if call.streams:
            call.piece(call.wire_format.delta(call.model, {"content": "word " * 20}))
            await call.writer.drain()
            await pause(0.001)(call)
        else:
            call.writer.write(b"10000\r\n" + b"w" * 0x10000 + b"\r\n")
            await call.writer.drain()


async def failing(call: Call) -> None:
    """An error event in the stream, in OpenAI's form; a plain request gets it as its response."""
    error = call.wire_format.error({"message": INDISCREET, "type": "server_error"})
    if call.streams:
        call.piece(b"data: " + error + b"\n\n")
        call.end()
    else:
        call.whole(500, error, JSON)


async def redirecting(call: Call) -> None:
    """A redirect to the same provider, which would then see two calls."""
    host = call.headers["host"]
    call.whole(307, b"", {"location": f"http://{host}/elsewhere/v1/chat/completions"})


def _body(call: Call) -> bytes:
    voice, model = call.wire_format, call.model
    if not call.streams:
        return voice.whole(model, "Hello" if call.model.count("big") == 0 else "")
    return voice.opening(model) + voice.delta(model, {"content": "Hello"}) + voice.closing(model)


def _send(call: Call, body: bytes, headers: dict[str, str]) -> None:
    kind = "text/event-stream" if call.streams else "application/json"
    call.whole(200, body, {"content-type": kind, **headers})


HTML = b"<html><body>sk-provider-secret-0123456789</body></html>"
LATE = {"timeout": PATIENCE, "stream_timeout": PATIENCE}

SCENARIOS = (
    Scenario("fine", "a correct response", _once(*answers("Hello"))),
    Scenario(
        "slow headers",
        "the response headers take 0.6 s",
        _once(pause(SLOW), *answers("Hello")),
        lasts=True,
    ),
    Scenario(
        "no headers", "no response headers; the timeout is 0.8 s", _once(hang), LATE, lasts=True
    ),
    Scenario(
        "role chunk first",
        "a role chunk at once, the first text after 0.6 s",
        _once(role, pause(SLOW), say("Hello"), stop),
        lasts=True,
    ),
    Scenario(
        "slow first token",
        "headers and comments at once, the first text after 0.6 s",
        _once(head, comment("PROCESSING"), pause(SLOW), *answers("Hello")),
        lasts=True,
    ),
    Scenario("stall mid-stream", "some text, then silence", _words(hang), LATE, lasts=True),
    Scenario("cut mid-stream", "some text, then the connection closes", _words(cut)),
    Scenario("reset mid-stream", "some text, then a connection reset", _words(reset)),
    Scenario(
        "end too early", "some text, then HTTP ends before the response is complete", _words(early)
    ),
    Scenario("error mid-stream", "some text, then an error event", _words(failing)),
    Scenario("reset", "a connection reset before any response", _once(reset)),
    Scenario("closed at once", "the connection closes before any response", _once(cut)),
    Scenario("malformed JSON", "invalid JSON", _once(sends(b'data: {"id": \n\n'))),
    Scenario(
        "JSON of another shape",
        "valid JSON that is not a chat completion",
        _once(sends(b'data: {"choices": 5}\n\n')),
    ),
    Scenario(
        "wrong content type", "an HTML page", _once(reply(200, HTML, {"content-type": "text/html"}))
    ),
    Scenario("empty response", "a 200 with an empty body", _once(reply(200, b"", JSON))),
    Scenario("truncated chunk", "half of an HTTP chunk", _once(raw(CHUNKED + b"ff\r\ndata"), cut)),
    Scenario(
        "not HTTP",
        "a response in another protocol",
        _once(raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), cut),
    ),
    Scenario(
        "429 with Retry-After",
        "a rate limit with `Retry-After`",
        _once(refuse(429, INDISCREET, {"retry-after": "7"})),
    ),
    Scenario("429 without", "a rate limit without `Retry-After`", _once(refuse(429, INDISCREET))),
    Scenario(
        "429 then fine",
        "a rate limit, then a correct response to the second attempt",
        lambda gate: [
            [refuse(429, headers={"retry-after": "0"})],
            [opens(gate), *answers("Hello")],
        ],
        {"num_retries": 1},
    ),
    Scenario("500", "an error of the provider", _once(refuse(500, INDISCREET))),
    Scenario(
        "500 then fine",
        "an error, then a correct response to the second attempt",
        lambda gate: [[refuse(500, INDISCREET)], [opens(gate), *answers("Hello")]],
        {"num_retries": 1},
    ),
    Scenario("503", "the provider is overloaded", _once(refuse(503, INDISCREET))),
    Scenario("400", "the provider rejects the request", _once(refuse(400, INDISCREET))),
    Scenario("401", "the provider rejects the gateway's key", _once(refuse(401, INDISCREET))),
    Scenario("redirect", "a redirect; Fanout does not follow it", _once(redirecting)),
    Scenario("gzip", "a correct response, compressed", _once(gzipped)),
    Scenario("HTTP/1.0", "a correct response in HTTP/1.0", _once(http_1_0, cut)),
    Scenario("gzip bomb", "50 MB, compressed to 50 kB", _once(bomb), heavy=True),
    Scenario("big response", "50 MB in one piece", _once(big), heavy=True),
    Scenario(
        "endless",
        "an endless response; the request has a timeout of 1 s",
        _once(endless),
        request={"timeout": DEADLINE},
        heavy=True,
        lasts=True,
    ),
    Scenario("TLS failure", "an untrusted certificate", _nothing, where="tls"),
    Scenario("DNS failure", "a host name that does not resolve", _nothing, where="dns"),
    Scenario("closed port", "no process listens on the port", _nothing, where="closed"),
)

QUICK = frozenset(
    {
        "fine",
        "stall mid-stream",
        "cut mid-stream",
        "malformed JSON",
        "429 with Retry-After",
        "500 then fine",
        "401",
        "DNS failure",
    }
)
"""The scenarios that run with the test suite."""
