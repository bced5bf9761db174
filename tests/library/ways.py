"""Each function both ways: the plain one, and its async twin on a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import fanout
import fanout.errors
from tests.support.scripted_provider import Upstream

HI = [{"role": "user", "content": "Hi"}]


def at(upstream: Upstream) -> dict[str, Any]:
    """The options that lead a call of `openai/…` to the scripted provider."""
    return {"api_base": f"{upstream.url}/v1", "api_key": "sk-test"}


def says(text: str) -> list[dict[str, str]]:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


def content(answer: Any) -> Any:
    """What an answer says; an exception is itself."""
    return answer if isinstance(answer, Exception) else answer.choices[0].message.content


def kind_of(error: object) -> type[object]:
    """Fanout's own class of an error: tests load OpenAI's SDK, so its class derives from both."""
    kinds = [getattr(fanout, name) for name in fanout.__all__]
    return next(kind for kind in type(error).__mro__ if kind in kinds)


class Plain:
    """The synchronous functions."""

    def __call__(self, name: str, *args: Any, **options: Any) -> Any:
        return getattr(fanout, name)(*args, **options)

    def read(self, name: str, *args: Any, **options: Any) -> Any:
        """The chunks of a streamed answer, or of each of a list of them."""
        answer = self(name, *args, stream=True, **options)
        return [_read(one) for one in answer] if isinstance(answer, list) else list(answer)


class Twin:
    """The asynchronous functions."""

    def __call__(self, name: str, *args: Any, **options: Any) -> Any:
        return asyncio.run(getattr(fanout, f"a{name}")(*args, **options))

    def read(self, name: str, *args: Any, **options: Any) -> Any:
        """The chunks of a streamed answer, or of each of a list of them."""

        async def main() -> Any:
            answer = await getattr(fanout, f"a{name}")(*args, stream=True, **options)
            if isinstance(answer, list):
                return [await _aread(one) for one in answer]
            return [chunk async for chunk in answer]

        return asyncio.run(main())


Way = Plain | Twin


def _read(stream: Any) -> Any:
    return _tried(lambda: list(stream))


async def _aread(stream: Any) -> Any:
    try:
        return [chunk async for chunk in stream]
    except fanout.FanoutError as error:
        return error


def _tried(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except fanout.FanoutError as error:
        return error


def spoken(chunks: Any) -> str:
    """The content of all chunks."""
    return "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices)
