"""What may go wrong with a provider, as scripts: each scenario is one model's way to misbehave."""

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
from tests.support.scripted_provider import Call, Ending, Gate, Script, Step

SLOW = 0.6
"""Seconds that what is slow takes."""

PATIENCE = 0.8
"""Seconds after which a deployment is given up, in the scenarios that never say another word."""

DEADLINE = 1.0
"""Seconds of a request whose answer has no end."""

BIG = 50_000_000
JSON = {"content-type": "application/json"}
OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"

# What a provider should not say, and the gateway never repeats: the key, and where it is asked.
INDISCREET = "key sk-provider-secret-0123456789 was sent to http://10.1.2.3:8080/internal"


@dataclass(frozen=True)
class Scenario:
    """
    One way to misbehave. `scripts` are made with the gate that tells when the fault has happened.

    `where` is the address asked: the scripted provider's own, or one that leads nowhere. One that
    is `heavy` runs alone.
    """

    name: str
    what: str
    scripts: Callable[[Gate], Sequence[Script]]
    params: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    where: str = "here"
    heavy: bool = False


def _once(*steps: Step) -> Callable[[Gate], Sequence[Script]]:
    """One script; the fault has happened when its first step is taken."""
    return lambda gate: [[opens(gate), *steps]]


def _words(*steps: Step) -> Callable[[Gate], Sequence[Script]]:
    """A word, and then the fault."""
    return lambda gate: [[role, say("Once"), opens(gate), *steps]]


def _nothing(gate: Gate) -> Sequence[Script]:
    return [[opens(gate)]]


def says(data: bytes) -> Step:
    """A whole answer that HTTP has nothing against."""

    async def step(call: Call) -> None:
        if call.streams:
            call.piece(data)
            call.end()
        else:
            call.whole(200, data, JSON)

    return step


async def early(call: Call) -> None:
    """A stream's end without the answer's; a plain answer that closes."""
    if not call.streams:
        raise Ending
    call.end()


async def packed(call: Call) -> None:
    """A good answer, as gzip."""
    _whole(call, gzip.compress(_said(call)), {"content-encoding": "gzip"})


async def bomb(call: Call) -> None:
    """Fifty megabytes, packed to fifty kilobytes."""
    _whole(call, _packed_spaces(), {"content-encoding": "gzip"})


@cache
def _packed_spaces() -> bytes:
    return gzip.compress(b" " * BIG)


async def old(call: Call) -> None:
    """A good answer in HTTP/1.0, ended by closing."""
    kind = b"text/event-stream" if call.streams else b"application/json"
    call.writer.write(b"HTTP/1.0 200 OK\r\ncontent-type: " + kind + b"\r\n\r\n" + _said(call))


async def big(call: Call) -> None:
    """An answer of fifty megabytes; of a stream, in one event."""
    word = b"x" * BIG
    said = call.voice.delta(call.model, {"content": ""}) if call.streams else _said(call)
    _whole(call, said.replace(b'"content": ""', b'"content": "' + word + b'"'), {})


async def endless(call: Call) -> None:
    """Words until the caller has enough; asked plainly, one word that does not end."""
    if not call.streams:
        call.writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        if call.streams:
            call.piece(call.voice.delta(call.model, {"content": "word " * 20}))
            await call.writer.drain()
            await pause(0.001)(call)
        else:
            call.writer.write(b"10000\r\n" + b"w" * 0x10000 + b"\r\n")
            await call.writer.drain()


async def failing(call: Call) -> None:
    """An error inside the stream, as OpenAI has it; a plain call gets it as its answer."""
    said = call.voice.error({"message": INDISCREET, "type": "server_error"})
    if call.streams:
        call.piece(b"data: " + said + b"\n\n")
        call.end()
    else:
        call.whole(500, said, JSON)


async def elsewhere(call: Call) -> None:
    """A redirect to this very provider, which would see the call twice."""
    host = call.headers["host"]
    call.whole(307, b"", {"location": f"http://{host}/elsewhere/v1/chat/completions"})


def _said(call: Call) -> bytes:
    voice, model = call.voice, call.model
    if not call.streams:
        return voice.whole(model, "Hello" if call.model.count("big") == 0 else "")
    return voice.opening(model) + voice.delta(model, {"content": "Hello"}) + voice.closing(model)


def _whole(call: Call, body: bytes, headers: dict[str, str]) -> None:
    kind = "text/event-stream" if call.streams else "application/json"
    call.whole(200, body, {"content-type": kind, **headers})


HTML = b"<html><body>sk-provider-secret-0123456789</body></html>"
LATE = {"timeout": PATIENCE, "stream_timeout": PATIENCE}

SCENARIOS = (
    Scenario("fine", "a good answer", _once(*answers("Hello"))),
    Scenario("slow headers", "0.6 s to the head", _once(pause(SLOW), *answers("Hello"))),
    Scenario("no headers", "never a head; given up after 0.8 s", _once(hang), LATE),
    Scenario(
        "role chunk first",
        "a role at once, the first word after 0.6 s",
        _once(role, pause(SLOW), say("Hello"), stop),
    ),
    Scenario(
        "slow first token",
        "a head and comments, the first word after 0.6 s",
        _once(head, comment("PROCESSING"), pause(SLOW), *answers("Hello")),
    ),
    Scenario("stall mid-stream", "a word, then silence", _words(hang), LATE),
    Scenario("cut mid-stream", "a word, then the connection closes", _words(cut)),
    Scenario("reset mid-stream", "a word, then a reset", _words(reset)),
    Scenario("end too early", "a word, and HTTP's end, but not the answer's", _words(early)),
    Scenario("error mid-stream", "a word, then an error event", _words(failing)),
    Scenario("reset", "a reset before any answer", _once(reset)),
    Scenario("closed at once", "the connection closes before any answer", _once(cut)),
    Scenario("malformed JSON", "what is no JSON", _once(says(b'data: {"id": \n\n'))),
    Scenario(
        "JSON of another shape",
        "JSON that is no answer",
        _once(says(b'data: {"choices": 5}\n\n')),
    ),
    Scenario(
        "wrong content type", "a web page", _once(reply(200, HTML, {"content-type": "text/html"}))
    ),
    Scenario("empty answer", "a 200 with nothing in it", _once(reply(200, b"", JSON))),
    Scenario("truncated chunk", "half a chunk of HTTP", _once(raw(CHUNKED + b"ff\r\ndata"), cut)),
    Scenario("not HTTP", "another protocol", _once(raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), cut)),
    Scenario(
        "429 with Retry-After",
        "a rate limit that says for how long",
        _once(refuse(429, INDISCREET, {"retry-after": "7"})),
    ),
    Scenario("429 without", "a rate limit that does not", _once(refuse(429, INDISCREET))),
    Scenario(
        "429 then fine",
        "a rate limit, and an answer at the second try",
        lambda gate: [
            [refuse(429, headers={"retry-after": "0"})],
            [opens(gate), *answers("Hello")],
        ],
        {"num_retries": 1},
    ),
    Scenario("500", "a fault of the provider's", _once(refuse(500, INDISCREET))),
    Scenario(
        "500 then fine",
        "a fault, and an answer at the second try",
        lambda gate: [[refuse(500, INDISCREET)], [opens(gate), *answers("Hello")]],
        {"num_retries": 1},
    ),
    Scenario("503", "the provider is overloaded", _once(refuse(503, INDISCREET))),
    Scenario("400", "the provider refuses the request", _once(refuse(400, INDISCREET))),
    Scenario("401", "the provider refuses the gateway's key", _once(refuse(401, INDISCREET))),
    Scenario("redirect", "a redirect, which is not followed", _once(elsewhere)),
    Scenario("gzip", "a good answer, packed", _once(packed)),
    Scenario("HTTP/1.0", "a good answer in HTTP/1.0", _once(old, cut)),
    Scenario("gzip bomb", "50 MB in 50 KB", _once(bomb), heavy=True),
    Scenario("big answer", "50 MB, in one piece", _once(big), heavy=True),
    Scenario(
        "endless",
        "words without end; the request has 1 s",
        _once(endless),
        asked={"timeout": DEADLINE},
        heavy=True,
    ),
    Scenario("TLS failure", "a certificate that nobody trusts", _nothing, where="tls"),
    Scenario("DNS failure", "a name that does not resolve", _nothing, where="dns"),
    Scenario("closed port", "nobody listens", _nothing, where="closed"),
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
"""Those that are tried with every run of the tests."""
