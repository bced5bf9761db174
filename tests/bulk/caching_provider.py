"""
A double of a provider that caches the beginnings of prompts, by the rules of the real ones.

An entry can be read once the response that wrote it has begun, ends five minutes after its last
use, and has at least 1,024 tokens. It is of one model and one key. Tokens are counted in steps of
128. With `marks`, only what a `cache_control` ends is cached (Anthropic); otherwise the beginning
up to the end of each text (OpenAI). A token has five characters.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from msgspec import Struct

from fanout.transport.engine import Outgoing
from fanout.wire.http import WireResponse
from tests.support.scripted_engine import Incoming

LEAST, STEP, LIFE = 1_024, 128, 300.0
CHARACTERS = 5
"""Of a token."""

_Entry: TypeAlias = tuple[str, int, int]
"""An entry of the cache: its model and key, the hash of its text, and its tokens."""


class Call(Struct):
    """A call: when it began, the tokens of its prompt, those from the cache, and its text."""

    at: float
    tokens: int
    cached: int
    text: str
    streamed: bool
    body: dict[str, Any]


class CachingProvider:
    """
    Responds `seconds` after a call, and begins to respond after `first`.

    `fails` returns the status with which a call fails, by the number of calls before it, and
    `first` the seconds.
    """

    def __init__(self, first: float = 0.8, seconds: float = 3.0, *, marks: bool = False) -> None:
        self.first: Callable[[int], float] = lambda _: first
        self.seconds = seconds
        self.marks = marks
        self.fails: Callable[[int], int | None] = lambda _: None
        self.has_cache = True
        self.calls: list[Call] = []
        self.in_flight = self.most_in_flight = 0
        self._lives: dict[_Entry, float] = {}
        self._count = 0

    @property
    def cached_calls(self) -> int:
        """Calls whose prompt began with an entry of the cache."""
        return sum(call.cached > 0 for call in self.calls)

    def _begin(self, request: Outgoing, *, streamed: bool) -> tuple[Call, list[_Entry], int | None]:
        body = json.loads(request.body)
        number, self._count = self._count, self._count + 1
        now = asyncio.get_running_loop().time()
        account = body["model"] + dict(request.headers).get("Authorization", "")
        texts = list(_texts(body))
        entries = [(account, *end) for end in self._ends(texts)]
        cached = 0
        for entry in entries:
            if self._lives.get(entry, -1.0) >= now:
                cached = max(cached, entry[2])
                self._lives[entry] = now + LIFE
        tokens = sum(map(_tokens, (text for text, _ in texts)))
        call = Call(now, tokens, cached, texts[-1][0], streamed, body)
        return call, entries, self.fails(number)

    def _ends(self, texts: list[tuple[str, bool]]) -> Iterator[tuple[int, int]]:
        """The beginnings that are read or written: a hash, and the tokens that count as cached."""
        whole, tokens = "", 0
        for text, marked in texts if self.has_cache else ():
            whole, tokens = whole + text, tokens + _tokens(text)
            if tokens >= LEAST and (marked or not self.marks):
                yield hash(whole), tokens if self.marks else tokens // STEP * STEP

    async def send(self, request: Outgoing) -> WireResponse:
        call, entries, status = self._begin(request, streamed=False)
        with self._flight():
            if status is not None:
                await asyncio.sleep(0.1)
                return WireResponse(status, {}, b'{"error": {"message": "no", "type": "t"}}')
            first = self.first(self._count - 1)
            await asyncio.sleep(first)
            self._write(entries)
            await asyncio.sleep(max(0.0, self.seconds - first))
        self.calls.append(call)
        return WireResponse(200, {}, json.dumps(_completion(call)).encode())

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        call, entries, status = self._begin(request, streamed=True)
        with self._flight():
            if status is not None:
                await asyncio.sleep(0.1)
                yield Incoming(status, {}, _once(b'{"error": {"message": "no", "type": "t"}}'))
                return
            first = self.first(self._count - 1)
            headers = {"content-type": "text/event-stream"}
            yield Incoming(200, headers, self._events(call, entries, first))

    async def _events(
        self, call: Call, entries: list[_Entry], first: float
    ) -> AsyncIterator[bytes]:
        await asyncio.sleep(first)
        self._write(entries)
        whole = _completion(call)
        head = {**whole, "object": "chat.completion.chunk"}
        head.pop("usage")
        message = whole["choices"][0]["message"]
        yield _event({**head, "choices": [{"index": 0, "delta": message, "finish_reason": None}]})
        await asyncio.sleep(max(0.0, self.seconds - first))
        yield _event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        yield _event({**head, "choices": [], "usage": whole["usage"]})
        yield b"data: [DONE]\n\n"
        self.calls.append(call)

    def _write(self, entries: list[_Entry]) -> None:
        now = asyncio.get_running_loop().time()
        for entry in entries:
            self._lives[entry] = now + LIFE

    def _flight(self) -> _Flight:
        return _Flight(self)

    async def aclose(self) -> None:
        """Nothing is open."""


class _Flight:
    def __init__(self, provider: CachingProvider) -> None:
        self._provider = provider

    def __enter__(self) -> None:
        provider = self._provider
        provider.in_flight += 1
        provider.most_in_flight = max(provider.most_in_flight, provider.in_flight)

    def __exit__(self, *_: object) -> None:
        self._provider.in_flight -= 1


def _texts(body: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Each text of the messages, and whether it has a mark."""
    for message in body["messages"]:
        content = message["content"]
        if isinstance(content, str):
            yield content, False
        else:
            yield from ((part["text"], "cache_control" in part) for part in content)


def _tokens(text: str) -> int:
    return len(text) // CHARACTERS


def _completion(call: Call) -> dict[str, Any]:
    usage = {
        "prompt_tokens": call.tokens,
        "completion_tokens": 7,
        "total_tokens": call.tokens + 7,
        "prompt_tokens_details": {"cached_tokens": call.cached},
    }
    message = {"role": "assistant", "content": f"re: {call.text[-40:]}"}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
