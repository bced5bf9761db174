"""
Makes one call to one deployment: encodes, signs, sends, decodes, and raises `ProviderError`s.

Knows nothing of retries, groups or fan-out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache
from typing import assert_never

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from ..concurrency import MemoryBudget
from ..config.resolve import Deployment
from ..errors import Broken, ErrorDetail, MissingKey, TimedOut
from ..providers.base import BadWire, Bearer, Header, SigV4, WireError
from ..schema.chat import ChatChunk, ChatCompletion
from ..schema.request import ChatRequest
from ..secret import HiddenRepr, Secret
from ..wire import json
from ..wire.http import WireRequest, WireResponse
from .credentials import AWSKeys, SecretSource, Signer, aws_keys
from .engine import MAX_RESPONSE_BYTES, Engine, EngineError, Incoming, Outgoing, TooLong
from .error_mapping import (
    MAX_ERROR_BODY,
    from_engine_error,
    from_response,
    from_wire_error,
    malformed,
)

# What decoding raises if a response is not in the provider's format.
DECODE_ERRORS = (BadWire, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

KEY_REJECTED = frozenset({401, 403})

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
        *,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        max_copies: int = MAX_COPIES,
    ) -> None:
        self._engine = engine
        self._copies = MemoryBudget(max_copies)
        self._max_response_bytes = max_response_bytes
        self._secrets = secrets
        self._make_signer = signer
        self._signers: dict[AWSKeys | None, Signer] = {}
        self._last_key: dict[str, int] = {}  # by deployment

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
            raise from_response(deployment, response, signed.key)
        try:
            completion = codec.decode(response, deployment.target)
        except WireError as error:
            raise from_wire_error(deployment, error, signed.key) from None
        except DECODE_ERRORS:
            raise malformed(deployment) from None
        if wire.one_call:
            from ..schema.one_call import keep_first_call

            completion = keep_first_call(completion)
        return ChatResponse(completion, response.headers, wire.dropped)

    async def _send(
        self, deployment: Deployment, wire: WireRequest
    ) -> tuple[_Signed, WireResponse]:
        """Send the request; once more if its key was rejected and there is a new one."""
        signed = await self._sign(deployment, wire)
        response = await self._engine.send(signed.outgoing)
        if response.status in KEY_REJECTED and await self._has_new_key(signed):
            signed = await self._sign(deployment, wire)
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
                    raise _stream_timeout(deployment) from None
                if incoming.status != 200:  # noqa: PLR2004
                    response = WireResponse(
                        incoming.status, incoming.headers, await _error_body(incoming)
                    )
                    raise from_response(deployment, response, signed.key)
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
    ) -> tuple[_Signed, Incoming]:
        """Open the stream; once more if the key was rejected and there is a new one."""
        signed = await self._sign(deployment, wire)
        incoming = await stack.enter_async_context(self._engine.stream(signed.outgoing))
        if incoming.status in KEY_REJECTED and await self._has_new_key(signed):
            await stack.aclose()
            signed = await self._sign(deployment, wire)
            incoming = await stack.enter_async_context(self._engine.stream(signed.outgoing))
        return signed, incoming

    async def _has_new_key(self, signed: _Signed) -> bool:
        """Whether the rejected key has been replaced, so that a second call may succeed."""
        if signed.secret is None or signed.key is None:
            return False
        return await self._secrets.renew(signed.secret, signed.key)

    async def _sign(self, deployment: Deployment, wire: WireRequest) -> _Signed:
        """Add the address, the key or the signature to the request."""
        provider, url = deployment.provider, join(deployment.base_url, wire.path)
        headers = {"content-type": "application/json", **provider.headers, **wire.headers}
        secret, key = await self._pick_key(deployment)
        match provider.auth:
            case SigV4(service) if not key:
                headers |= deployment.additions.headers  # the signature covers them
                region = deployment.target.options.get("region", "us-east-1")
                outgoing = Outgoing(wire.method, url, headers, wire.body)
                signer = await self._signer_of(deployment)
                headers = {**headers, **await signer.headers(outgoing, service, region)}
            case SigV4() | Bearer():  # with a Bedrock API key no signature is needed
                if key:
                    headers["authorization"] = f"Bearer {key}"
            case Header(name):
                if key:
                    headers[name] = key
            case _:
                assert_never(provider.auth)
        headers |= deployment.additions.headers
        return _Signed(Outgoing(wire.method, url, headers, wire.body), secret, key)

    async def _signer_of(self, deployment: Deployment) -> Signer:
        """The signer with the deployment's own AWS credentials, or with the process's."""
        keys = await aws_keys(deployment.additions.aws, self._secrets)
        if (signer := self._signers.get(keys)) is None:
            signer = self._signers[keys] = self._make_signer(keys)
        return signer

    async def _pick_key(self, deployment: Deployment) -> tuple[Secret | None, str | None]:
        """One of the deployment's keys, with the secret that holds it; several are used in turn."""
        keys = [(s, text) for s in deployment.keys for text in await self._secrets.values(s)]
        if len(keys) == 1:
            return keys[0]
        if keys:
            number = self._last_key[deployment.id] = self._last_key.get(deployment.id, -1) + 1
            return keys[number % len(keys)]
        if deployment.keys and not deployment.provider.key_optional:
            raise MissingKey(
                f"`{deployment.name}`: no key for `{deployment.provider.name}`: "
                f"{self._secrets.hint(deployment.keys[0])}"
            )
        return None, None


def _encode(deployment: Deployment, request: ChatRequest, *, stream: bool) -> WireRequest:
    """The request in the provider's format, with the fields of the deployment's `extra_body`."""
    wire = deployment.provider.chat.encode(request, deployment.target, stream)
    extra = deployment.additions.body
    if not extra:
        return wire
    return replace(wire, body=json.encode({**json.decode(wire.body), **extra}))


class _Signed(Struct, frozen=True, gc=False):
    """A request to send, its key, and the secret that holds the key."""

    outgoing: Outgoing
    secret: Secret | None
    key: str | None

    def __repr__(self) -> str:
        return "_Signed(…)"


@lru_cache(maxsize=1024)
def join(base: str, path: str) -> str:
    """
    Join a base URL and a path; a part in both (`…/v1` and `/v1/messages`) is not repeated.

    LiteLLM's users, and the vendors' documentation, write `api_base` with and without that part.
    """
    parts = path.split("/")
    below = base.partition("://")[2].partition("/")[2]  # without the host
    for end in range(len(parts) - 1, 1, -1):
        start = "/".join(parts[:end])
        if f"/{below}".endswith(start):
            return base + path.removeprefix(start)
    return base + path


async def _chunks(
    deployment: Deployment, incoming: Incoming, key: str | None, limit: int
) -> AsyncIterator[ChatChunk]:
    codec, pending = deployment.provider.chat, 0
    framer, decoder = codec.framer(), codec.decoder(deployment.target)
    body = aiter(incoming.body)
    try:
        while True:
            async with asyncio.timeout(deployment.stream_timeout):
                data = await anext(body, None)
            if data is None:
                break
            pending = _check_size(limit, pending + len(data))
            for event in framer.feed(data):
                pending = 0
                for chunk in decoder.feed(event):
                    yield chunk
    except EngineError as error:
        raise from_engine_error(deployment, error) from None
    except WireError as error:
        raise from_wire_error(deployment, error, key) from None
    except TimeoutError:
        raise _stream_timeout(deployment) from None
    except DECODE_ERRORS:
        raise malformed(deployment) from None
    if not decoder.ended:
        raise Broken(deployment, ErrorDetail("the stream ended before the response was complete"))


def _check_size(limit: int, size: int) -> int:
    if size > limit:
        raise TooLong(f"an event of more than {limit} bytes")
    return size


def _stream_timeout(deployment: Deployment) -> TimedOut:
    message = f"no data on the stream for {deployment.stream_timeout:g} s"
    return TimedOut(deployment, ErrorDetail(message, "timeout_error"))


async def _error_body(incoming: Incoming) -> bytes:
    """The body of an error response, or the start of one larger than `MAX_ERROR_BODY`."""
    parts: list[bytes] = []
    size = 0
    async for part in incoming.body:
        parts.append(part)
        size += len(part)
        if size > MAX_ERROR_BODY:
            break
    return b"".join(parts)
