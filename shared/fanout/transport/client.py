"""
Makes one call to one deployment: encodes, signs, sends, decodes, and raises `ProviderError`s.

Knows nothing of retries, groups or fan-out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import ModuleType

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from ..concurrency import MemoryBudget
from ..config.resolve import Deployment
from ..errors import Refused
from ..providers.base import BadWire, WireError
from ..schema.chat import ChatChunk, ChatCompletion
from ..schema.request import ChatRequest
from ..secret import HiddenRepr
from ..wire import json
from ..wire.http import WireEvent, WireRequest, WireResponse
from .credentials import AWSKeys, RequestSigner, SecretSource, Signed, Signer, TokenSource
from .engine import MAX_RESPONSE_BYTES, Engine, EngineError, Incoming, TooLong
from .error_mapping import from_engine_error, stream_timeout

# What decoding raises if a response is not in the provider's format, and reading a stream.
DECODE_ERRORS = (WireError, BadWire, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
READ_ERRORS = (EngineError, TimeoutError, *DECODE_ERRORS)

NO_EVENT = WireEvent(b"")

JSON_STARTS = (b"{", b"[")
"""How a JSON body begins, and no event of a stream of any framing."""

BLANK = b" \t\r\n\xef\xbb\xbf"
"""What may precede a body: white space, and UTF-8's byte order mark."""


MAX_COPIES = 256_000_000
"""Bytes that the big request bodies being sent may have together."""


class ChatResponse(HiddenRepr, frozen=True):
    """A whole response, its headers, and the parameters that were not sent."""

    completion: ChatCompletion
    headers: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()


class OpenStream(Struct, frozen=True):
    """A streamed response whose headers are there; `chunks` yields the rest as it arrives."""

    chunks: AsyncIterator[ChatChunk]
    headers: Mapping[str, str]
    dropped: tuple[str, ...] = ()


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

    async def chat(
        self, deployment: Deployment, request: ChatRequest, size: int = 0
    ) -> ChatResponse:
        """
        The whole response; raises a `ProviderError`, `Unsupported` or `MissingKey`.

        `size` is an upper limit of the request's bytes, 0 if it is not known.
        """
        codec = deployment.provider.chat
        async with self._copies.reserve(size) as copy:
            wire = _encode(deployment, request, stream=False)
            copy.shrink(len(wire.body))
            try:
                signed, response = await self._send(deployment, wire)
            except EngineError as error:
                raise from_engine_error(deployment, error) from None
        if response.status != 200:  # noqa: PLR2004
            raise _bodies().from_response(deployment, response, signed.key)
        try:
            completion = codec.decode(response, deployment.target)
        except DECODE_ERRORS as error:
            raise _bodies().from_decoding(deployment, error, response, signed.key) from None
        if wire.one_call:
            from ..schema.one_call import keep_first_call

            completion = keep_first_call(completion)
        return ChatResponse(completion, response.headers, wire.dropped)

    async def _send(self, deployment: Deployment, wire: WireRequest) -> tuple[Signed, WireResponse]:
        """Send the request; once more if its key was rejected and there is a new one."""
        signed = await self._signer.sign(deployment, wire)
        response = await self._engine.send(signed.outgoing)
        if response.status == 200:  # noqa: PLR2004
            return signed, response
        if _bodies().is_key_rejected(deployment, response) and await self._signer.has_new_key(
            signed
        ):
            signed = await self._signer.sign(deployment, wire)
            response = await self._engine.send(signed.outgoing)
        return signed, response

    @asynccontextmanager
    async def stream(
        self, deployment: Deployment, request: ChatRequest, size: int = 0
    ) -> AsyncIterator[OpenStream]:
        """
        The response as it arrives; leaving the block closes the provider's stream at once.

        The iterator raises `Broken` if the stream ends before the provider marks its end.
        """
        try:
            async with AsyncExitStack() as stack:
                copy = await stack.enter_async_context(self._copies.reserve(size))
                wire = _encode(deployment, request, stream=True)
                copy.shrink(len(wire.body))
                try:
                    async with asyncio.timeout(deployment.stream_timeout):
                        signed, incoming = await self._open(stack, deployment, wire)
                except TimeoutError:
                    raise stream_timeout(deployment) from None
                chunks = _chunks(deployment, incoming, signed.key, self._max_response_bytes)
                if wire.one_call:
                    from ..schema.one_call import keep_first_calls

                    chunks = keep_first_calls(chunks)
                yield OpenStream(chunks, incoming.headers, wire.dropped)
        except EngineError as error:
            raise from_engine_error(deployment, error) from None

    async def aclose(self) -> None:
        """Close every connection."""
        await self._engine.aclose()

    async def _open(
        self, stack: AsyncExitStack, deployment: Deployment, wire: WireRequest
    ) -> tuple[Signed, Incoming]:
        """Open the stream; once more if the key was rejected and there is a new one."""
        signed = await self._signer.sign(deployment, wire)
        incoming = await stack.enter_async_context(self._engine.stream(signed.outgoing))
        if incoming.status == 200:  # noqa: PLR2004
            return signed, incoming
        error = await _bodies().read_error(deployment, incoming, signed.key)
        if not isinstance(error, Refused) or not await self._signer.has_new_key(signed):
            raise error
        await stack.aclose()
        signed = await self._signer.sign(deployment, wire)
        incoming = await stack.enter_async_context(self._engine.stream(signed.outgoing))
        if incoming.status != 200:  # noqa: PLR2004
            raise await _bodies().read_error(deployment, incoming, signed.key)
        return signed, incoming


def _encode(deployment: Deployment, request: ChatRequest, *, stream: bool) -> WireRequest:
    """The request in the provider's format, with the fields of the deployment's `extra_body`."""
    wire = deployment.provider.chat.encode(request, deployment.target, stream)
    extra = deployment.additions.body
    if not extra:
        return wire
    return replace(wire, body=json.encode({**json.decode(wire.body), **extra}))


def _bodies() -> ModuleType:
    """The module for error bodies, which is imported with the first error."""
    from . import error_bodies

    return error_bodies


async def _chunks(
    deployment: Deployment, incoming: Incoming, key: str | None, limit: int
) -> AsyncIterator[ChatChunk]:
    """The chunks of a stream; a JSON body instead of one is a whole response or an error."""
    codec, pending = deployment.provider.chat, 0
    framer, decoder = codec.framer(), codec.decoder(deployment.target)
    body = aiter(incoming.body)
    event, has_begun, whole = NO_EVENT, False, b""
    try:
        while True:
            async with asyncio.timeout(deployment.stream_timeout):
                data = await anext(body, None)
            if data is None:
                break
            pending = _check_size(limit, pending + len(data))
            if not has_begun:
                has_begun = bool(data.strip(BLANK))
                whole = await _read_json(deployment, body, data, limit)
            if whole:
                break
            for event in framer.feed(data):
                pending = 0
                for chunk in decoder.feed(event):
                    yield chunk
    except READ_ERRORS as error:
        raise _bodies().from_stream(deployment, error, event, key) from None
    if not decoder.ended:
        for chunk in _bodies().whole_chunks(deployment, whole, key):
            yield chunk


async def _read_json(
    deployment: Deployment, body: AsyncIterator[bytes], data: bytes, limit: int
) -> bytes:
    """The rest of a body that begins with JSON, not with an event; else nothing."""
    if not data.lstrip(BLANK).startswith(JSON_STARTS):
        return b""
    while True:
        async with asyncio.timeout(deployment.stream_timeout):
            more = await anext(body, None)
        if more is None:
            return data.lstrip(BLANK)
        data += more
        _check_size(limit, len(data))


def _check_size(limit: int, size: int) -> int:
    if size > limit:
        raise TooLong(f"an event of more than {limit} bytes")
    return size
