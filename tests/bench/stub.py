"""
A scripted provider over plain HTTP/1.1, cheap enough not to influence measurements.

The path is the script: `/200/10/5/v1/chat/completions` sends its first word after 200 ms and ten
words in all, 5 ms apart. Without streaming, it responds at the time of the last word. Any other
path responds at once. `python -m tests.bench.stub PORT`.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import Any, NamedTuple

import uvloop

WORD = b"word"
"""The beginning of every piece of content, by which a client finds the first one."""

BACKLOG = 8192
"""Thousands of clients connect at once; a lost connection request is repeated after a second."""

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_STREAM = re.compile(rb'"stream": ?true')
_USAGE = {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17}


class Script(NamedTuple):
    """When the words of a response are sent, in seconds."""

    first: float
    words: int
    gap: float

    @property
    def last(self) -> float:
        """When the response is complete."""
        return self.first + (self.words - 1) * self.gap


def script_of(path: bytes) -> Script:
    """The script in a path."""
    given = path.decode().split("/")[1:4]
    first, words, gap = given if given[0].isdigit() else ("0", "1", "0")
    return Script(int(first) / 1000, int(words), int(gap) / 1000)


def whole(words: int) -> bytes:
    """The body of a response that is not streamed."""
    text = "".join(f"word{i} " for i in range(words))
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "stub"}
    return json.dumps({**head, "choices": [choice], "usage": _USAGE}).encode()


def _event(choices: list[dict[str, object]], **more: object) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "stub"}
    return _chunk(b"data: " + json.dumps({**head, "choices": choices, **more}).encode() + b"\n\n")


def _choice(delta: dict[str, str], finish: str | None = None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
_ROLE = _event([_choice({"role": "assistant", "content": ""})])
_WORDS = [_event([_choice({"content": f"word{i} "})]) for i in range(1000)]
_END = (
    _event([_choice({}, "stop")])
    + _event([], usage=_USAGE)
    + _chunk(b"data: [DONE]\n\n")
    + _chunk(b"")
)


class Provider(asyncio.Protocol):
    """One connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, responses: dict[int, bytes]) -> None:
        self._loop = loop
        self._responses = responses
        self._buffer = b""
        self._transport: asyncio.Transport
        self._timers: list[asyncio.TimerHandle] = []

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Respond when the request is complete."""
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or len(body) < (int(length[1]) if length else 0):
            return
        self._buffer = b""
        script = script_of(head.split(b" ", 2)[1])
        if _STREAM.search(body):
            self._stream(script)
        elif script.last:
            self._timers = [self._loop.call_later(script.last, self._whole, script.words)]
        else:
            self._whole(script.words)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel what is not yet sent."""
        for timer in self._timers:
            timer.cancel()

    def _whole(self, words: int) -> None:
        if (response := self._responses.get(words)) is None:
            body = whole(words)
            head = (
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            )
            response = self._responses[words] = head % len(body) + body
        self._transport.write(response)

    def _stream(self, script: Script) -> None:
        self._transport.write(_STREAM_HEAD)
        began = self._loop.time()
        for index in range(script.words):
            data = _WORDS[index] if index else _ROLE + _WORDS[index]
            if index == script.words - 1:
                data += _END
            when = began + script.first + index * script.gap
            self._timers.append(self._loop.call_at(when, self._transport.write, data))


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    responses: dict[int, bytes] = {}
    server = await loop.create_server(
        lambda: Provider(loop, responses), "127.0.0.1", port, backlog=BACKLOG
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
