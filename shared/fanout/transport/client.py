"""
Makes one call to one deployment: encodes, signs, sends, decodes, and raises `ProviderError`s.

Does not depend on retries, groups or fan-out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cached_property, partial
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from msgspec import MsgspecError, Struct, field
from msgspec.structs import replace

from ..concurrency import EarlyEnd, MemoryBudget
from ..config.deployment import Deployment
from ..providers.base import BadWire, WireError
from ..schema.chat import ChatCompletion
from ..schema.request import ChatRequest
from ..secret import HiddenRepr
from ..wire import json
from ..wire.http import WireRequest, WireResponse
from .credentials import AWSKeys, RequestSigner, SecretSource, Signed, Signer, TokenSource
from .engine import MAX_RESPONSE_BYTES, SUCCESS, Bounded, Engine, EngineError, Incoming
from .request_encoding import NoteRequest, encode_request, unnoted

if TYPE_CHECKING:
    from .stream_calls import OpenStreams

T = TypeVar("T")

DECODE_ERRORS = (WireError, BadWire, MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises if a response is not in the provider's format."""

LARGE = 1_000_000
"""Bytes of a response from which it is decoded in a thread, if it is not one of chat."""

MAX_COPIES = 256_000_000
"""Bytes that the big request bodies being sent may have together."""


class ChatResponse(HiddenRepr, frozen=True):
    """
    A whole response and its headers.

    `broken_end`: its connection broke after it.
    """

    completion: ChatCompletion
    headers: Mapping[str, str] = field(default_factory=dict)
    broken_end: bool = False


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
        self,
        deployment: Deployment,
        request: ChatRequest,
        size: int = 0,
        until: float | None = None,
        note: NoteRequest = unnoted,
    ) -> ChatResponse:
        """
        The whole response; raises a `ProviderError`, `Unsupported` or `MissingKey`.

        `size` is an upper limit of the request's bytes, 0 if it is not known. At `until`, a time of
        the loop's clock, the caller cancels the call. `note` gets the request.
        """
        if request.original is not None:
            deployment = _pass_through().for_original(deployment, request)
        codec = deployment.provider.chat
        async with self._copies.reserve(size) as copy:
            wire = encode_request(deployment, request, stream=False)
            note(wire)
            copy.shrink(len(wire.body))
            try:
                signed, response = await self._send(deployment, wire, until)
            except EngineError as error:
                raise _bodies().from_engine_error(deployment, error) from None
        try:
            completion = codec.decode(response, deployment.target)
        except DECODE_ERRORS as error:
            completion = _stream_mismatch().joined_stream(deployment, error, response, signed.key)
        if wire.one_call:
            from ..schema.one_call import keep_first_call

            completion = keep_first_call(completion)
        return ChatResponse(
            completion,
            response.headers,
            response.broken_end,
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

        An error's JSON has no keys.
        It is signed with the deployment's first key, because what the API creates belongs to one
        account. Raises a `ProviderError` if there is no response. If its connection breaks, a JSON
        object that has arrived whole is the response to a POST; a file of lines may have more.
        """
        signed = await self._signer.sign(deployment, wire, first_key=True)
        try:
            response = await self._engine.send(signed.outgoing)
        except EngineError as error:
            found, error.received = error.received, None
            if found is not None and wire.method == "POST" and json.is_document(found.body):
                return replace(found, broken_end=True)
            raise _bodies().from_engine_error(deployment, error) from None
        if response.status in SUCCESS:
            return response
        body = _bodies().shown_body(deployment, response.body, signed.key)
        return response if body is None else replace(response, body=body)

    @asynccontextmanager
    async def open(self, deployment: Deployment, wire: WireRequest) -> AsyncIterator[Incoming]:
        """
        Send a request as `exchange` does, and have its response of any status and size as it comes.

        Raises a `ProviderError`, also if the response breaks off while the block reads it.
        """
        signed = await self._signer.sign(deployment, wire, first_key=True)
        try:
            async with self._engine.stream(signed.outgoing) as incoming:
                yield incoming
        except EngineError as error:
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
        tried: tuple[Signed, ...] = ()
        watch = _EndWatch(deployment, decode, until)
        while True:
            signed = await self._signer.sign(
                deployment, wire, tried, watch=watch, by_bytes=decode is not None
            )
            try:
                response = await self._engine.send(signed.outgoing)
            except EngineError as lost:
                if lost.received is None:
                    raise
                from .premature_close import whole_response  # few connections break

                found = whole_response(deployment, decode, lost)
                if found is None:
                    raise
                response = found
            if response.status in SUCCESS:
                return signed, response
            error, tried = (
                _bodies().from_response(deployment, response, signed.key),
                (*tried, signed),
            )
            if not await self._signer.has_other_key(deployment, tried, error):
                raise error

    @cached_property
    def stream(self) -> OpenStreams:
        """`StreamCalls.stream`: calls a deployment, and has its response as it arrives."""
        from .stream_calls import StreamCalls  # the first response may be a whole one

        limit = self._max_response_bytes
        return StreamCalls(self._engine, self._signer, self._copies, limit, self.chat).stream

    async def aclose(self) -> None:
        """Close every connection."""
        await self._engine.aclose()


class _EndWatch(Struct, frozen=True):
    """Ends a response that is whole but stalls; `decode` and `until` are as for `_send`."""

    deployment: Deployment
    decode: Callable[[WireResponse], object] | None
    until: float | None

    def __call__(
        self, early: EarlyEnd, status: int, headers: Mapping[str, str], body: Bounded
    ) -> None:
        from .premature_close import is_whole  # most responses are there at once
        from .stalled_response import watch_end

        check = partial(is_whole, self.deployment, decode=self.decode)
        watch_end(early, status, headers, body, is_whole=check, until=self.until)


def _pass_through() -> ModuleType:
    """The module for requests that are passed through, which is imported with the first one."""
    from . import pass_through

    return pass_through


def _bodies() -> ModuleType:
    """The module for error bodies, which is imported with the first error."""
    from . import error_bodies

    return error_bodies


def _stream_mismatch() -> ModuleType:
    """The module for bodies that were not asked for, which is imported with the first one."""
    from . import stream_mismatch

    return stream_mismatch
