"""A streamed response: `ChunkStream`, and `ChunkIterator` for synchronous code."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .background_loop import background_loop
from .openai_errors import openai_errors

if TYPE_CHECKING:
    from .chunk_types import ChatCompletionChunk

T = TypeVar("T")


class ChunkStream:
    """
    An async iterator of a response's chunks.

    It is closed when it ends, and by `aclose()` or `async with`. A stream that is neither read to
    its end nor closed keeps its connection to the provider.
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
        """Send the request and wait for the first content; reading does this, too."""
        if self._chunks is None and not self._closed:
            try:
                with openai_errors():
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
        from .chunk_types import ChatCompletionChunk  # whole responses have none

        try:
            return ChatCompletionChunk.from_json(await anext(self._chunks))
        except StopAsyncIteration:
            await self.aclose()
            raise
        except BaseException as error:
            self._closed = True
            with openai_errors():
                # Given the error, the stream's own clean-up may raise a more exact one.
                await self._stack.__aexit__(type(error), error, error.__traceback__)
                raise

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the provider's stream and drop the rest of the response."""
        self._closed = True
        await self._stack.aclose()


class ChunkIterator:
    """A `ChunkStream` for synchronous code: `for chunk in stream`, `with stream:`, `close()`."""

    def __init__(self, stream: ChunkStream) -> None:
        self._stream = stream
        self._background = background_loop()

    def __iter__(self) -> Iterator[ChatCompletionChunk]:
        return self

    def __next__(self) -> ChatCompletionChunk:
        chunk = self._background.run(_next(self._stream))
        if chunk is None:
            raise StopIteration
        return chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not self._stream.is_closed:
            self._background.leave(self._stream.aclose)

    def close(self) -> None:
        """Close the provider's stream and drop the rest of the response."""
        self._background.run(self._stream.aclose())


async def _next(stream: ChunkStream) -> ChatCompletionChunk | None:
    return await anext(stream, None)


async def iterable(call: Awaitable[T | ChunkStream]) -> T | ChunkIterator:
    """
    The call's response for synchronous code.

    A stream is wrapped on the loop: if the caller is interrupted just then, the iterator is
    dropped, which closes the stream.
    """
    return _wrapped(await call)


async def iterables(call: Awaitable[Sequence[T | ChunkStream]]) -> list[T | ChunkIterator]:
    """The call's responses for synchronous code; see `iterable`."""
    return [_wrapped(one) for one in await call]


def _wrapped(response: T | ChunkStream) -> T | ChunkIterator:
    return ChunkIterator(response) if isinstance(response, ChunkStream) else response
