"""
Calls a deployment for a streamed response, or for a whole one if it may not stream.

Imported with the first stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from ..concurrency import MemoryBudget
from ..config.deployment import Deployment
from ..errors import ProviderError, drop_tracebacks
from ..schema.chat import ChatChunk
from ..schema.request import ChatRequest
from ..wire.http import WireRequest
from .credentials import RequestSigner, Signed
from .engine import SUCCESS, Engine, EngineError, Incoming
from .request_encoding import NoteRequest, encode_request, unnoted
from .stream_events import Skipped, StreamEvents
from .stream_reader import read_chunks

if TYPE_CHECKING:
    from .client import ChatResponse

UNSTREAMED_SECONDS = 600.0
"""For how long a deployment that may not stream is not asked for a stream again."""


class OpenStream(Struct, frozen=True):
    """A streamed response whose headers are there; `chunks` yields the rest as it arrives."""

    chunks: AsyncIterator[ChatChunk]
    headers: Mapping[str, str]
    skipped: Skipped


class OpenStreams(Protocol):
    """Calls a deployment for a stream: `StreamCalls.stream`."""

    def __call__(
        self,
        deployment: Deployment,
        request: ChatRequest,
        size: int = 0,
        until: float | None = None,
        note: NoteRequest = unnoted,
    ) -> AbstractAsyncContextManager[OpenStream]:
        """Open the stream; `size` is an upper limit of the request's bytes, 0 if unknown."""
        ...


class StreamCalls:
    """
    Calls deployments for streams, with the parts of a `Transport`.

    `limit` is the size limit of one event in bytes. `chat` gets a whole response.
    """

    def __init__(
        self,
        engine: Engine,
        signer: RequestSigner,
        copies: MemoryBudget,
        limit: int,
        chat: Callable[..., Awaitable[ChatResponse]],
    ) -> None:
        self._engine = engine
        self._signer = signer
        self._copies = copies
        self._limit = limit
        self._chat = chat
        self._unstreamed: dict[str, float] = {}  # deployments that may not stream, and until when

    @asynccontextmanager
    async def stream(
        self,
        deployment: Deployment,
        request: ChatRequest,
        size: int = 0,
        until: float | None = None,
        note: NoteRequest = unnoted,
    ) -> AsyncIterator[OpenStream]:
        """
        The response as it arrives; leaving the block closes the provider's stream at once.

        The iterator raises `Broken` if the stream ends before the provider marks its end. A
        deployment that may not stream is called without a stream. At `until`, a time of the loop's
        clock, the caller stops reading. `note` gets the request.
        """
        if request.original is not None:
            from .pass_through import for_original  # few clients send a vendor's own requests

            deployment = for_original(deployment, request)
        if self._unstreamed.get(deployment.id, 0.0) > asyncio.get_running_loop().time():
            yield await self._whole_stream(deployment, request, size, until, note)
            return
        try:
            async with AsyncExitStack() as stack:
                copy = await stack.enter_async_context(self._copies.reserve(size))
                wire = encode_request(deployment, request, stream=True)
                note(wire)
                copy.shrink(len(wire.body))
                try:
                    async with asyncio.timeout(deployment.stream_timeout):
                        signed, incoming = await self._open(stack, deployment, wire, until)
                except TimeoutError:
                    raise _bodies().stream_timeout(deployment) from None
                except ProviderError as error:
                    if error.stream_rejection is None:
                        raise
                    rejected = drop_tracebacks(error)  # its frames hold the request
                else:
                    unstreamed = partial(
                        self._unstreamed_call, deployment, request, size, until, note
                    )
                    opened = self._opened(deployment, wire, signed, incoming, until, unstreamed)
                    opened.skipped.has_several = (request.n or 1) > 1
                    yield opened
                    return
        except EngineError as error:
            raise _bodies().from_engine_error(deployment, error) from None
        yield await self._unstreamed_call(deployment, request, size, until, note, rejected)

    async def _unstreamed_call(
        self,
        deployment: Deployment,
        request: ChatRequest,
        size: int,
        until: float | None,
        note: NoteRequest,
        rejected: ProviderError,
    ) -> OpenStream:
        """The whole response, because the provider has `rejected` the stream."""
        opened = await self._whole_stream(deployment, request, size, until, note)
        if rejected.stream_rejection == "model":
            now = asyncio.get_running_loop().time()
            self._unstreamed[deployment.id] = now + UNSTREAMED_SECONDS
        return opened

    def _opened(
        self,
        deployment: Deployment,
        wire: WireRequest,
        signed: Signed,
        incoming: Incoming,
        until: float | None,
        unstreamed: Callable[[ProviderError], Awaitable[OpenStream]],
    ) -> OpenStream:
        """The stream of a response whose headers are there."""
        if wire.one_choice:
            deployment = _with_one_choice(deployment)
        events = StreamEvents(deployment, self._limit, signed.key)
        chunks = read_chunks(deployment, incoming, signed.key, events, until, unstreamed)
        if wire.one_call:
            from ..schema.one_call import keep_first_calls

            chunks = keep_first_calls(chunks)
        return OpenStream(chunks, incoming.headers, events.skipped)

    async def _whole_stream(
        self,
        deployment: Deployment,
        request: ChatRequest,
        size: int,
        until: float | None,
        note: NoteRequest,
    ) -> OpenStream:
        """The whole response as a stream, of a deployment that may not stream."""
        from .without_stream import chunks_of_whole

        response = await self._chat(deployment, request, size, until, note)
        chunks = chunks_of_whole(response.completion)
        return OpenStream(chunks, response.headers, Skipped())

    async def _open(
        self,
        stack: AsyncExitStack,
        deployment: Deployment,
        wire: WireRequest,
        until: float | None,
    ) -> tuple[Signed, Incoming]:
        """Open the stream; again with each other key while it fails because of its key."""
        tried: list[Signed] = []
        while True:
            tried.append(signed := await self._signer.sign(deployment, wire, tried))
            incoming = await stack.enter_async_context(self._engine.stream(signed.outgoing))
            if incoming.status in SUCCESS:
                return signed, incoming
            error = await _bodies().read_error(deployment, incoming, signed.key, until)
            if not await self._signer.has_other_key(deployment, tried, error):
                raise error
            await stack.aclose()


def _with_one_choice(deployment: Deployment) -> Deployment:
    return replace(deployment, target=replace(deployment.target, one_choice=True))


def _bodies() -> ModuleType:
    """The module for error bodies, which is imported with the first error."""
    from . import error_bodies

    return error_bodies
