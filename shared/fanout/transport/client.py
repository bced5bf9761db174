"""
Makes one call to one deployment: encodes, signs, sends, decodes, and raises `ProviderError`s.

Knows nothing of retries, groups or fan-out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import ModuleType

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from ..concurrency import MemoryBudget, RepeatedTimeout
from ..config.deployment import Deployment
from ..errors import RequestError
from ..providers.base import BadWire, ImpliedEnd, WireError, is_paid
from ..schema.chat import ChatChunk, ChatCompletion, Usage
from ..schema.request import ChatRequest
from ..secret import HiddenRepr
from ..wire import json
from ..wire.http import WireEvent, WireRequest, WireResponse
from .credentials import AWSKeys, RequestSigner, SecretSource, Signed, Signer, TokenSource
from .engine import MAX_RESPONSE_BYTES, Engine, EngineError, Incoming, TooLong
from .error_mapping import from_engine_error, malformed, stream_timeout

# What decoding raises if a response is not in the provider's format, and reading a stream.
UNREADABLE = (BadWire, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
DECODE_ERRORS = (WireError, *UNREADABLE)
READ_ERRORS = (EngineError, TimeoutError, *DECODE_ERRORS)
ODD_EVENT = (BadWire, msgspec.ValidationError)  # JSON, but not of the documented shape

SUCCESS = range(200, 300)
"""HTTP statuses of a response. Some proxies send a 201."""

JSON_STARTS = (b"{", b"[")
"""How a JSON body begins, and no event of a stream of any framing."""

BLANK = b" \t\r\n\xef\xbb\xbf"
"""What may precede a body: white space, and UTF-8's byte order mark."""

MAX_TURN = 16 * 1024
"""
Bytes of a stream that are decoded before other tasks run, also if more have arrived.

Even if each event has 28 bytes and nothing for the client, they take about 10 ms.
"""

PART_WORK = 64
"""Bytes that are decoded in the time that it takes to read a part."""

MAX_COPIES = 256_000_000
"""Bytes that the big request bodies being sent may have together."""


class ChatResponse(HiddenRepr, frozen=True):
    """A whole response, its headers, and the parameters that were not sent."""

    completion: ChatCompletion
    headers: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()


class Skipped(Struct):
    """
    How many events of a stream could not be read so far, and were skipped.

    `bytes` is what the stream has sent so far, unpacked.
    """

    events: int = 0
    bytes: int = 0


class OpenStream(Struct, frozen=True):
    """A streamed response whose headers are there; `chunks` yields the rest as it arrives."""

    chunks: AsyncIterator[ChatChunk]
    headers: Mapping[str, str]
    dropped: tuple[str, ...] = ()
    skipped: Skipped = field(default_factory=Skipped)


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
            wire = encode_request(deployment, request, stream=False)
            copy.shrink(len(wire.body))
            try:
                signed, response = await self._send(deployment, wire)
            except EngineError as error:
                raise from_engine_error(deployment, error) from None
        try:
            completion = codec.decode(response, deployment.target)
        except DECODE_ERRORS as error:
            completion = _odd_bodies().joined_stream(deployment, error, response, signed.key)
        if wire.one_call:
            from ..schema.one_call import keep_first_call

            completion = keep_first_call(completion)
        return ChatResponse(completion, response.headers, wire.dropped)

    async def _send(self, deployment: Deployment, wire: WireRequest) -> tuple[Signed, WireResponse]:
        """Send the request; again with each other key while it fails because of its key."""
        tried: list[Signed] = []
        while True:
            tried.append(signed := await self._signer.sign(deployment, wire, tried))
            response = await self._engine.send(signed.outgoing)
            if response.status in SUCCESS:
                return signed, response
            error = _bodies().from_response(deployment, response, signed.key)
            if not await self._signer.has_other_key(deployment, tried, error):
                raise error

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
                wire = encode_request(deployment, request, stream=True)
                copy.shrink(len(wire.body))
                try:
                    async with asyncio.timeout(deployment.stream_timeout):
                        signed, incoming = await self._open(stack, deployment, wire)
                except TimeoutError:
                    raise stream_timeout(deployment) from None
                if wire.one_choice:
                    deployment = _with_one_choice(deployment)
                events = StreamEvents(deployment, self._max_response_bytes, signed.key)
                chunks = _chunks(deployment, incoming, signed.key, events)
                if wire.one_call:
                    from ..schema.one_call import keep_first_calls

                    chunks = keep_first_calls(chunks)
                yield OpenStream(chunks, incoming.headers, wire.dropped, events.skipped)
        except EngineError as error:
            raise from_engine_error(deployment, error) from None

    async def aclose(self) -> None:
        """Close every connection."""
        await self._engine.aclose()

    async def _open(
        self, stack: AsyncExitStack, deployment: Deployment, wire: WireRequest
    ) -> tuple[Signed, Incoming]:
        """Open the stream; again with each other key while it fails because of its key."""
        tried: list[Signed] = []
        while True:
            tried.append(signed := await self._signer.sign(deployment, wire, tried))
            incoming = await stack.enter_async_context(self._engine.stream(signed.outgoing))
            if incoming.status in SUCCESS:
                return signed, incoming
            error = await _bodies().read_error(deployment, incoming, signed.key)
            if not await self._signer.has_other_key(deployment, tried, error):
                raise error
            await stack.aclose()


def _with_one_choice(deployment: Deployment) -> Deployment:
    return replace(deployment, target=replace(deployment.target, one_choice=True))


def encode_request(deployment: Deployment, request: ChatRequest, *, stream: bool) -> WireRequest:
    """The request in the provider's format, with the fields that the deployment adds."""
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


def _bodies() -> ModuleType:
    """The module for error bodies, which is imported with the first error."""
    from . import error_bodies

    return error_bodies


def _text_events() -> ModuleType:
    """The module for events that are no JSON objects, which is imported with the first one."""
    from . import text_events

    return text_events


def _odd_bodies() -> ModuleType:
    """The module for bodies that were not asked for, which is imported with the first one."""
    from . import odd_bodies

    return odd_bodies


async def _chunks(
    deployment: Deployment, incoming: Incoming, key: str | None, events: StreamEvents
) -> AsyncIterator[ChatChunk]:
    """The chunks of a stream; a JSON body instead of one is a whole response or an error."""
    body, whole = aiter(incoming.body), b""
    data: bytes | None = b""
    turn = 0
    limit = RepeatedTimeout(deployment.stream_timeout)
    try:
        while data is not None:
            data = await limit.wait(anext(body, None))
            if data and events.is_json(data):
                whole = await _read_json(deployment, body, data, events)
                break
            for start in range(0, len(data or b"") or 1, MAX_TURN):
                piece = None if data is None else data[start : start + MAX_TURN]
                for chunk in events.end() if piece is None else events.feed(piece):
                    yield chunk
                turn += PART_WORK + len(piece or b"")
                if turn >= MAX_TURN:
                    await asyncio.sleep(0)
                    turn = 0
    except READ_ERRORS as error:
        if not events.is_complete:
            raise _bodies().from_stream(deployment, error, events.latest, key) from None
        return
    finally:
        limit.close()
    for chunk in (
        events.missing_choice()
        if events.ended
        else _odd_bodies().whole_chunks(deployment, whole, key)
    ):
        yield chunk


async def _read_json(
    deployment: Deployment, body: AsyncIterator[bytes], data: bytes, events: StreamEvents
) -> bytes:
    """The whole of a JSON body that begins with `data`."""
    while True:
        async with asyncio.timeout(deployment.stream_timeout):
            more = await anext(body, None)
        if more is None:
            events.check_weight(data)
            return data.lstrip(BLANK)
        data += more
        events.check_size(len(data))


class StreamEvents:
    """
    Decodes the events of one stream; skips and counts those that have an odd shape.

    Bytes that are not JSON, or not of the stream's framing, are an error. `latest` is the last
    event, which may be an error's. `limit` is the size limit of one event in bytes.
    """

    def __init__(self, deployment: Deployment, limit: int, key: str | None) -> None:
        codec = deployment.provider.chat
        self.skipped = Skipped()
        self.latest = WireEvent(b"")
        self._deployment = deployment
        self._limit = limit
        self._key = key
        self._framer = codec.framer()
        self._decoder = codec.decoder(deployment.target)
        self._pending = 0  # bytes of the event that is not complete
        self._unweighed = limit * json.MEMORY_PER_BYTE // json.VALUE_MEMORY
        self._has_begun = False
        self._has_choices = False
        self._usage: Usage | None = None  # of the chunks before the first choice

    @property
    def ended(self) -> bool:
        """Whether the provider has sent its own end; `Malformed` if nothing could be read."""
        if self.skipped.events and not (self._has_choices or is_paid(self._usage)):
            raise malformed(self._deployment)
        return self._decoder.ended

    @property
    def is_complete(self) -> bool:
        """Whether every choice has finished: what comes now may be usage, and is not waited for."""
        return self._has_choices and self._decoder.ended

    def missing_choice(self) -> Iterator[ChatChunk]:
        """
        Yield an empty choice if a response that has ended has none, but was paid.

        Raises `Broken` if it was not: so it is for whole responses.
        """
        if not self._has_choices:
            yield _odd_bodies().empty_chunk(self._deployment, self._usage)

    def is_json(self, data: bytes) -> bool:
        """Whether the stream begins here, and with JSON instead of an event."""
        if self._has_begun:
            return False
        start = data.lstrip(BLANK)
        self._has_begun = bool(start)
        return start.startswith(JSON_STARTS)

    def feed(self, data: bytes) -> Iterator[ChatChunk]:
        """Yield the chunks of the events that `data` completes."""
        self._pending += len(data)
        self.skipped.bytes += len(data)
        self.check_size(self._pending)
        for event in self._framer.feed(data):
            self._pending, self.latest = 0, event
            self.check_weight(event.data)
            try:
                for chunk in self._decoder.feed(event):
                    if not self._has_choices:
                        self._has_choices = bool(chunk["choices"])
                        self._usage = chunk.get("usage") or self._usage
                    yield chunk
            except UNREADABLE as error:
                self._skip(event, error)

    def _skip(self, event: WireEvent, error: Exception) -> None:
        """
        Count an odd event, unless it is a keep-alive; raise the error that it may be.

        After a complete response, nothing is an error.
        """
        texts = _text_events()
        if texts.is_keep_alive(event):
            return
        if not self.is_complete:
            if (found := texts.error_of(self._deployment, error, event, self._key)) is not None:
                raise found from None
            if not isinstance(error, ODD_EVENT):
                raise error
        self.skipped.events += 1

    def end(self) -> Iterator[ChatChunk]:
        """Yield the chunks of a last event that no empty line follows, and of an implied end."""
        if not self._decoder.ended:
            with suppress(*UNREADABLE):
                yield from self.feed(b"\n\n")
        if not self._decoder.ended and isinstance(self._decoder, ImpliedEnd):
            yield from self._decoder.complete()

    def check_size(self, size: int) -> None:
        """Raise `TooLong` if an event of `size` bytes is over the limit."""
        if size > self._limit:
            raise TooLong(f"an event of more than {self._limit} bytes")

    def check_weight(self, data: bytes) -> None:
        """Raise `TooLong` if the JSON would take too much memory once it is decoded."""
        if len(data) > self._unweighed and json.weight(data) > self._limit:
            raise TooLong(f"an event that takes the memory of {self._limit} bytes and more")
