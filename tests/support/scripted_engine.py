"""
An engine without a network: each host responds by its script, in the event loop's time.

For tests on the virtual clock. `scripted_provider.py` does the same over real sockets.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct, field

from fanout.transport.engine import EngineError, Outgoing
from fanout.wire.http import WireResponse

from .virtual_clock import now

USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}


class Reply(Struct, frozen=True):
    """
    One response: its headers come after `after` seconds, then its pieces; a number is a pause.

    An exception is raised in place of the headers (`fault`) or of a piece.
    """

    status: int = 200
    pieces: Sequence[bytes | float | EngineError] = ()
    after: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: EngineError | None = None


class Incoming(Struct, frozen=True):
    """A response whose body is being read."""

    status: int
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]


class Script(Struct, frozen=True):
    """A host's response to a plain call, and to a streamed one."""

    plain: Reply
    streamed: Reply


def answers(*words: str, after: float = 0.0, between: float = 0.0) -> Script:
    """A complete response; its headers come at once, its first word after `after` seconds."""
    content = words or ("Hello",)
    total = after + between * (len(content) - 1)
    return Script(
        Reply(pieces=[total, whole("".join(content))]),
        Reply(
            pieces=[chunk({"role": "assistant", "content": ""}), after, *_chunks(content, between)]
        ),
    )


def breaks(*words: str, after: float = 0.0, fault: EngineError | None = None) -> Script:
    """A response that ends early after these words; `fault` is what the engine raises."""
    pieces: list[bytes | float | EngineError] = [chunk({"role": "assistant"}), after]
    pieces += [chunk({"content": word}) for word in words]
    cut = [*pieces, fault] if fault else pieces
    return Script(Reply(pieces=[after], fault=fault), Reply(pieces=cut))


def refuses(status: int, *, after: float = 0.0, code: str = "", **headers: str) -> Script:
    """An error with this status; `retry_after="3"` is the header `retry-after`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    error = {"message": f"status {status}", "type": "an_error", "param": None, "code": code or None}
    reply = Reply(status, [json.dumps({"error": error}).encode()], after, named)
    return Script(reply, reply)


def fails(fault: EngineError, after: float = 0.0) -> Script:
    """No response; the engine raises `fault`."""
    return Script(Reply(after=after, fault=fault), Reply(after=after, fault=fault))


def stalls() -> Script:
    """The headers of a response, and then nothing for a year."""
    year = 31_536_000.0
    return Script(Reply(after=year), Reply(pieces=[chunk({"role": "assistant"}), year]))


def whole(text: str) -> bytes:
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "theirs"}
    return json.dumps({**head, "choices": [choice], "usage": USAGE}).encode()


def chunk(delta: Mapping[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "theirs"}
    return b"data: " + json.dumps({**head, "choices": choices, **more}).encode() + b"\n\n"


def _chunks(words: Sequence[str], between: float) -> list[bytes | float]:
    pieces: list[bytes | float] = []
    for word in words:
        pieces += [chunk({"content": word}), between]
    return [
        *pieces[:-1],
        chunk({}, "stop"),
        chunk({}, choices=[], usage=USAGE),
        b"data: [DONE]\n\n",
    ]


class ScriptedEngine:
    """
    The engine. Each script of a host is for one call, the last one for all further calls.

    `calls` has `(virtual seconds, host)` of each call, `bodies` what was sent; `open` are the hosts
    whose response is being read, `left` has `(virtual seconds, host)` of each response that was not
    read to its end.
    """

    def __init__(self, **hosts: Script | Sequence[Script]) -> None:
        self._scripts = {
            host: [script] if isinstance(script, Script) else list(script)
            for host, script in hosts.items()
        }
        self.calls: list[tuple[float, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.open: list[str] = []
        self.left: list[tuple[float, str]] = []

    @property
    def asked(self) -> list[str]:
        """The hosts, in the order they were called."""
        return [host for _, host in self.calls]

    async def send(self, request: Outgoing) -> WireResponse:
        async with self._reply(request, streamed=False) as reply:
            body = b"".join([piece async for piece in reply.body])
            return WireResponse(reply.status, reply.headers, body)

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        async with self._reply(request, streamed=True) as reply:
            yield reply

    async def aclose(self) -> None:
        assert not self.open

    @asynccontextmanager
    async def _reply(self, request: Outgoing, *, streamed: bool) -> AsyncIterator[Incoming]:
        host = (urlsplit(request.url).hostname or "").partition(".")[0]
        script = self._next(host)
        reply = script.streamed if streamed else script.plain
        self.calls.append((now(), host))
        self.bodies.append(json.loads(request.body))
        self.headers.append(request.headers)
        self.open.append(host)
        done: list[bool] = []
        try:
            await asyncio.sleep(reply.after)
            if reply.fault is not None:
                done.append(True)
                raise reply.fault
            yield Incoming(reply.status, reply.headers, _pieces(reply.pieces, done))
        finally:
            self.open.remove(host)
            if not done:
                self.left.append((now(), host))

    def _next(self, host: str) -> Script:
        scripts = self._scripts[host]
        return scripts.pop(0) if len(scripts) > 1 else scripts[0]


async def _pieces(
    pieces: Sequence[bytes | float | EngineError], done: list[bool]
) -> AsyncIterator[bytes]:
    for piece in pieces:
        if isinstance(piece, EngineError):
            done.append(True)
            raise piece
        if isinstance(piece, bytes):
            yield piece
        else:
            await asyncio.sleep(piece)
    done.append(True)
