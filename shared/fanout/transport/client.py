"""
Makes one call to one deployment: encodes, signs, sends, decodes, and raises `ProviderError`s.

Knows nothing of retries, groups or fan-out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from msgspec import MsgspecError, Struct, field
from msgspec.structs import replace

from ..concurrency import EarlyEnd, MemoryBudget
from ..config.deployment import Deployment
from ..errors import ProviderError, RequestError
from ..providers.base import BadWire, WireError
from ..schema.chat import ChatChunk, ChatCompletion
from ..schema.request import ChatRequest
from ..secret import HiddenRepr
from ..wire import json
from ..wire.http import WireRequest, WireResponse
from .credentials import AWSKeys, RequestSigner, SecretSource, Signed, Signer, TokenSource
from .engine import MAX_RESPONSE_BYTES, SUCCESS, Bounded, Engine, EngineError, Incoming

if TYPE_CHECKING:
    from .stream_reader import Skipped

T = TypeVar("T")

DECODE_ERRORS = (WireError, BadWire, MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises if a response is not in the provider's format."""

UNSTREAMED_SECONDS = 600.0
"""For how long a deployment that may not stream is not asked for a stream again."""

LARGE = 1_000_000
"""Bytes of a response from which it is decoded in a thread, if it is not one of chat."""

MAX_COPIES = 256_000_000
"""Bytes that the big request bodies being sent may have together."""


class ChatResponse(HiddenRepr, frozen=True):
    """
    A whole response, its headers, and the parameters that were not sent.

    `broken_end`: its connection broke after it. `passed_through`: the request was the client's own.
    """

    completion: ChatCompletion
    headers: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    broken_end: bool = False
    passed_through: bool = False


class OpenStream(Struct, frozen=True):
    """A streamed response whose headers are there; `chunks` yields the rest as it arrives."""

    chunks: AsyncIterator[ChatChunk]
    headers: Mapping[str, str]
    dropped: tuple[str, ...]
    skipped: Skipped
    passed_through: bool = False


class Transport:
    """
    Calls deployments. One instance serves many concurrent calls.

    `max_response_bytes` is the size limit of one event of a stream, `max_copies` that of all big
    request bodies being sent together, both in bytes. A call that would exceed `max_copies` waits.
    """

    def __init__(
        self,
        engine: Engine,
        secrets: SecretSource,
        signer: Callable[[AWSKeys | None], Signer],
        tokens: Callable[[], TokenSource],
        *,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        max_copies: int = MAX_COPIES,
    ) -> None:
        self._engine = engine
        self._copies = MemoryBudget(max_copies)
        self._max_response_bytes = max_response_bytes
        self._signer = RequestSigner(secrets, signer, tokens)
        self._unstreamed: dict[str, float] = {}  # deployments that may not stream, and until when

    async def chat(
        self,
        deployment: Deployment,
        request: ChatRequest,
        size: int = 0,
        until: float | None = None,
    ) -> ChatResponse:
        """
        The whole response; raises a `ProviderError`, `Unsupported` or `MissingKey`.

        `size` is an upper limit of the request's bytes, 0 if it is not known. At `until`, a time of
        the loop's clock, the caller cancels the call.
        """
        if request.original is not None:
            deployment = _pass_through().for_original(deployment, request)
        codec = deployment.provider.chat
        async with self._copies.reserve(size) as copy:
            wire = encode_request(deployment, request, stream=False)
            copy.shrink(len(wire.body))
            try:
                signed, response = await self._send(deployment, wire, until)
            except EngineError as error:
                raise _bodies().from_engine_error(deployment, error) from None
        try:
            completion = codec.decode(response, deployment.target)
        except DECODE_ERRORS as error:
            completion = _odd_bodies().joined_stream(deployment, error, response, signed.key)
        if wire.one_call:
            from ..schema.one_call import keep_first_call

            completion = keep_first_call(completion)
        return ChatResponse(
            completion,
            response.headers,
            wire.dropped,
            response.broken_end,
            codec.passes_through,
        )

    async def call(
        self,
        deployment: Deployment,
        wire: WireRequest,
        decode: Callable[[WireResponse], T],
        until: float | None = None,
    ) -> T:
        """
        Send a request of another API than chat, and return what `decode` makes of its response.

        At `until`, a time of the loop's clock, the caller cancels the call. A large response is
        decoded in a thread. Raises a `ProviderError` or `MissingKey`.
        """
        async with self._copies.reserve(len(wire.body)):
            try:
                signed, response = await self._send(deployment, wire, until, decode)
            except EngineError as error:
                raise _bodies().from_engine_error(deployment, error) from None
        try:
            if len(response.body) >= LARGE:
                return await asyncio.to_thread(decode, response)
            return decode(response)
        except DECODE_ERRORS as error:
            raise _bodies().from_decoding(deployment, error, response, signed.key) from None

    async def exchange(self, deployment: Deployment, wire: WireRequest) -> WireResponse:
        """
        Send a request of another API than chat once, and return its response of any status.

        It is signed with the deployment's first key, because what the API creates belongs to one
        account. Raises a `ProviderError` if there is no response. If its connection breaks, a JSON
        object that has arrived whole is the response to a POST; a file of lines may have more.
        """
        signed = await self._signer.sign(deployment, wire, first_key=True)
        try:
            return await self._engine.send(signed.outgoing)
        except EngineError as error:
            found, error.received = error.received, None
            if found is not None and wire.method == "POST" and json.is_document(found.body):
                return replace(found, broken_end=True)
            raise _bodies().from_engine_error(deployment, error) from None

    async def _send(
        self,
        deployment: Deployment,
        wire: WireRequest,
        until: float | None,
        decode: Callable[[WireResponse], object] | None = None,
    ) -> tuple[Signed, WireResponse]:
        """
        Send the request; again with each other key while it fails because of its key.

        `decode` reads a response of another API than chat, of which few values are decoded.
        """
        tried: list[Signed] = []
        watch = partial(_watch_end, deployment, decode, until)
        while True:
            tried.append(signed := await self._signer.sign(deployment, wire, tried))
            try:
                by_bytes = decode is not None
                outgoing = replace(signed.outgoing, watch=watch, by_bytes=by_bytes)
                response = await self._engine.send(outgoing)
            except EngineError as lost:
                if lost.received is None:
                    raise
                from .broken_ends import whole_response  # few connections break

                found = whole_response(deployment, decode, lost)
                if found is None:
                    raise
                response = found
            if response.status in SUCCESS:
                return signed, response
            error = _bodies().from_response(deployment, response, signed.key)
            if not await self._signer.has_other_key(deployment, tried, error):
                raise error

    @asynccontextmanager
    async def stream(
        self,
        deployment: Deployment,
        request: ChatRequest,
        size: int = 0,
        until: float | None = None,
    ) -> AsyncIterator[OpenStream]:
        """
        The response as it arrives; leaving the block closes the provider's stream at once.

        The iterator raises `Broken` if the stream ends before the provider marks its end. A
        deployment that may not stream is called without a stream. At `until`, a time of the loop's
        clock, the caller stops reading.
        """
        if request.original is not None:
            deployment = _pass_through().for_original(deployment, request)
        if self._unstreamed.get(deployment.id, 0.0) > asyncio.get_running_loop().time():
            yield await self._whole_stream(deployment, request, size, until)
            return
        try:
            async with AsyncExitStack() as stack:
                copy = await stack.enter_async_context(self._copies.reserve(size))
                wire = encode_request(deployment, request, stream=True)
                copy.shrink(len(wire.body))
                try:
                    async with asyncio.timeout(deployment.stream_timeout):
                        signed, incoming = await self._open(stack, deployment, wire, until)
                except TimeoutError:
                    raise _bodies().stream_timeout(deployment) from None
                except ProviderError as error:
                    if error.stream_rejection is None:
                        raise
                    rejected = error
                else:
                    unstreamed = partial(self._unstreamed_call, deployment, request, size, until)
                    opened = self._opened(deployment, wire, signed, incoming, until, unstreamed)
                    opened.skipped.has_several = (request.n or 1) > 1
                    yield opened
                    return
        except EngineError as error:
            raise _bodies().from_engine_error(deployment, error) from None
        yield await self._unstreamed_call(deployment, request, size, until, rejected)

    async def _unstreamed_call(
        self,
        deployment: Deployment,
        request: ChatRequest,
        size: int,
        until: float | None,
        rejected: ProviderError,
    ) -> OpenStream:
        """The whole response, because the provider has `rejected` the stream."""
        opened = await self._whole_stream(deployment, request, size, until)
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
        from .stream_reader import StreamEvents, read_chunks

        events = StreamEvents(deployment, self._max_response_bytes, signed.key)
        chunks = read_chunks(deployment, incoming, signed.key, events, until, unstreamed)
        if wire.one_call:
            from ..schema.one_call import keep_first_calls

            chunks = keep_first_calls(chunks)
        passed = deployment.provider.chat.passes_through
        return OpenStream(chunks, incoming.headers, wire.dropped, events.skipped, passed)

    async def _whole_stream(
        self, deployment: Deployment, request: ChatRequest, size: int, until: float | None
    ) -> OpenStream:
        """The whole response as a stream, of a deployment that may not stream."""
        from .stream_reader import Skipped
        from .without_stream import chunks_of_whole

        response = await self.chat(deployment, request, size, until)
        chunks = chunks_of_whole(response.completion)
        passed = response.passed_through
        return OpenStream(chunks, response.headers, response.dropped, Skipped(), passed)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._engine.aclose()

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


def _watch_end(
    deployment: Deployment,
    decode: Callable[[WireResponse], object] | None,
    until: float | None,
    early: EarlyEnd,
    status: int,
    headers: Mapping[str, str],
    body: Bounded,
) -> None:
    from .broken_ends import is_whole  # most responses are there at once
    from .quiet_end import watch_end

    check = partial(is_whole, deployment, decode=decode)
    watch_end(early, status, headers, body, is_whole=check, until=until)


def _with_one_choice(deployment: Deployment) -> Deployment:
    return replace(deployment, target=replace(deployment.target, one_choice=True))


def encode_request(deployment: Deployment, request: ChatRequest, *, stream: bool) -> WireRequest:
    """The request in the provider's format, with the fields that the deployment adds."""
    if deployment.provider.chat.passes_through:
        found: WireRequest = _pass_through().encode_original(deployment, request, stream=stream)
        return found
    if any("audio" in message for message in request.body["messages"]):
        from .expired_audio import without_expired  # few conversations are spoken

        request = without_expired(request, time.time())
    below, above = deployment.additions.defaults, deployment.additions.body
    if "additional_drop_params" in request.body or "allowed_openai_params" in request.body:
        from .request_params import encode  # few requests say what their provider has

        wire = encode(deployment, request, stream=stream)
        absent = request.additional_drop_params or ()
        below = {name: value for name, value in below.items() if name not in absent}
    elif deployment.defaults:
        wire = _encode_with_defaults(deployment, request, stream=stream)
    else:
        wire = deployment.provider.chat.encode(request, deployment.target, stream)
    if not below and not above:
        return wire
    one_choice = wire.one_choice and "n" not in below and "n" not in above
    body = json.encode({**below, **json.decode(wire.body), **above})
    return replace(wire, body=body, one_choice=one_choice)


def _encode_with_defaults(
    deployment: Deployment, request: ChatRequest, *, stream: bool
) -> WireRequest:
    """The request in the provider's format, without defaults that it rules out."""
    wire: WireRequest | RequestError

    def encode(request: ChatRequest) -> WireRequest:
        return deployment.provider.chat.encode(request, deployment.target, stream)

    try:
        wire = encode(request)
        if not wire.dropped:
            return wire
    except RequestError as error:
        wire = error
    from .unfit_defaults import fit_defaults  # few requests and defaults are at odds

    return fit_defaults(deployment, request, encode, wire)


def _pass_through() -> ModuleType:
    """The module for requests that are passed through, which is imported with the first one."""
    from . import pass_through

    return pass_through


def _bodies() -> ModuleType:
    """The module for error bodies, which is imported with the first error."""
    from . import error_bodies

    return error_bodies


def _odd_bodies() -> ModuleType:
    """The module for bodies that were not asked for, which is imported with the first one."""
    from . import odd_bodies

    return odd_bodies
