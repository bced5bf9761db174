"""An answer as it comes, for Python code: `ChunkStream`, and its twin for synchronous code."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Self

from .background_loop import background_loop
from .types import ChatCompletionChunk


class ChunkStream:
    """
    An answer as it comes: an async iterator of chunks, closed when it ends or by `aclose()`.

    Leaving it unread keeps the provider's stream open; `async with` closes it for certain.
    """

    def __init__(
        self, opening: Callable[[], AbstractAsyncContextManager[AsyncIterator[Any]]]
    ) -> None:
        self._opening = opening
        self._stack = AsyncExitStack()
        self._chunks: AsyncIterator[Any] | None = None
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether there is nothing left to read."""
        return self._closed

    async def open(self) -> ChunkStream:
        """Ask, and wait for the first content; reading does so by itself."""
        if self._chunks is None and not self._closed:
            try:
                self._chunks = await self._stack.enter_async_context(self._opening())
            except BaseException:
                self._closed = True
                raise
        return self

    def __aiter__(self) -> ChunkStream:
        return self

    async def __anext__(self) -> ChatCompletionChunk:
        await self.open()
        if self._chunks is None or self._closed:
            raise StopAsyncIteration
        try:
            return ChatCompletionChunk(await anext(self._chunks))
        except StopAsyncIteration:
            await self.aclose()
            raise
        except BaseException as error:
            self._closed = True
            # Told what broke it, the stream may have a better name for that, and raises it.
            await self._stack.__aexit__(type(error), error, error.__traceback__)
            raise

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the provider's stream; the rest of the answer is not wanted."""
        self._closed = True
        await self._stack.aclose()


class ChunkIterator:
    """A `ChunkStream` for synchronous code: `for chunk in stream`, `with stream:`, `close()`."""

    def __init__(self, stream: ChunkStream) -> None:
        self._stream = stream
        self._portal = background_loop()

    def __iter__(self) -> Iterator[ChatCompletionChunk]:
        return self

    def __next__(self) -> ChatCompletionChunk:
        chunk = self._portal.run(_next(self._stream))
        if chunk is None:
            raise StopIteration
        return chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not self._stream.is_closed:
            self._portal.leave(self._stream.aclose)

    def close(self) -> None:
        """Close the provider's stream; the rest of the answer is not wanted."""
        self._portal.run(self._stream.aclose())


async def _next(stream: ChunkStream) -> ChatCompletionChunk | None:
    return await anext(stream, None)
