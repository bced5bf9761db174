"""
One call to one deployment: encode, sign, send, decode, and every fault as a `ProviderError`.

Knows the wire and the clock's limits; nothing of retries, groups or fan-out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache
from typing import assert_never

import msgspec
from msgspec import Struct, field

from ..concurrency import MemoryBudget
from ..config.resolve import Deployment
from ..errors import Broken, ErrorDetail, MissingKey, TimedOut
from ..providers.base import BadWire, Bearer, Header, SigV4, WireError
from ..schema.chat import ChatChunk, ChatCompletion
from ..schema.request import ChatRequest
from ..secret import HiddenRepr, Secret
from ..wire.http import WireRequest, WireResponse
from .credentials import SecretSource, Signer
from .engine import MAX_ANSWER, Engine, EngineError, Incoming, Outgoing, TooLong
from .error_mapping import MAX_ERROR_BODY, fault, malformed, refusal, wire_error

# What a reply that is not the provider's own wire raises while it is decoded.
NONSENSE = (BadWire, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

REFUSALS = frozenset({401, 403})

MAX_COPIES = 256_000_000
"""Bytes of big bodies on their way to providers at once."""


class Reply(HiddenRepr, frozen=True):
    """A whole answer and what came with it."""

    completion: ChatCompletion
    headers: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()


class OpenStream(Struct, frozen=True):
    """An answer under way, its head read: the chunks as they come."""

    chunks: AsyncIterator[ChatChunk]
    headers: Mapping[str, str]
    dropped: tuple[str, ...] = ()


class Transport:
    """
    Performs one call. Made once; used by many calls at the same time.

    `max_answer` is how many bytes one event of a stream may have, `max_copies` how many the big
    bodies under way may have together: a call that would be too much waits.
    """

    def __init__(
        self,
        engine: Engine,
        secrets: SecretSource,
        signer: Callable[[], Signer],
        *,
        max_answer: int = MAX_ANSWER,
        max_copies: int = MAX_COPIES,
    ) -> None:
        self._engine = engine
        self._copies = MemoryBudget(max_copies)
        self._max_answer = max_answer
        self._secrets = secrets
        self._make_signer = signer
        self._signer: Signer | None = None
        self._turns: dict[str, int] = {}

    async def chat(self, deployment: Deployment, request: ChatRequest, size: int = 0) -> Reply:
        """
        The whole answer; raises a `ProviderError`, `Unsupported` or `MissingKey`.

        `size` is the most bytes that the request can be on the wire, 0 where nobody knows.
        """
        codec = deployment.provider.chat
        async with self._copies.reserve(size) as copy:
            wire = codec.encode(request, deployment.target, False)
            copy.shrink(len(wire.body))
            try:
                signed, reply = await self._answered(deployment, wire)
            except EngineError as error:
                raise fault(deployment, error) from None
        if reply.status != 200:  # noqa: PLR2004
            raise refusal(deployment, reply, signed.text)
        try:
            completion = codec.decode(reply, deployment.target)
        except WireError as error:
            raise wire_error(deployment, error, signed.text) from None
        except NONSENSE:
            raise malformed(deployment) from None
        return Reply(completion, reply.headers, wire.dropped)

    async def _answered(
        self, deployment: Deployment, wire: WireRequest
    ) -> tuple[_Signed, WireResponse]:
        """The reply; asked for again where the key has been replaced since."""
        signed = await self._signed(deployment, wire)
        reply = await self._engine.send(signed.outgoing)
        if reply.status in REFUSALS and await self._renewed(signed):
            signed = await self._signed(deployment, wire)
            reply = await self._engine.send(signed.outgoing)
        return signed, reply

    @asynccontextmanager
    async def stream(
        self, deployment: Deployment, request: ChatRequest, size: int = 0
    ) -> AsyncIterator[OpenStream]:
        """
        The answer as it comes; leaving the block closes the provider's stream at once.

        The iterator raises `Broken` if the stream ends before the provider says that it is done.
        """
        try:
            async with AsyncExitStack() as stack:
                copy = await stack.enter_async_context(self._copies.reserve(size))
                wire = deployment.provider.chat.encode(request, deployment.target, True)
                copy.shrink(len(wire.body))
                try:
                    async with asyncio.timeout(deployment.stream_timeout):
                        signed, incoming = await self._begun(stack, deployment, wire)
                except TimeoutError:
                    raise _silent(deployment) from None
                if incoming.status != 200:  # noqa: PLR2004
                    reply = WireResponse(
                        incoming.status, incoming.headers, await _limited(incoming)
                    )
                    raise refusal(deployment, reply, signed.text)
                chunks = _chunks(deployment, incoming, signed.text, self._max_answer)
                yield OpenStream(chunks, incoming.headers, wire.dropped)
        except EngineError as error:
            raise fault(deployment, error) from None

    async def aclose(self) -> None:
        """Close every connection."""
        await self._engine.aclose()

    async def _begun(
        self, stack: AsyncExitStack, deployment: Deployment, wire: WireRequest
    ) -> tuple[_Signed, Incoming]:
        """The reply's head; asked for again where the key has been replaced since."""
        signed = await self._signed(deployment, wire)
        incoming = await stack.enter_async_context(self._engine.stream(signed.outgoing))
        if incoming.status in REFUSALS and await self._renewed(signed):
            await stack.aclose()
            signed = await self._signed(deployment, wire)
            incoming = await stack.enter_async_context(self._engine.stream(signed.outgoing))
        return signed, incoming

    async def _renewed(self, signed: _Signed) -> bool:
        """Whether the refused key has been replaced since: then it is worth a second call."""
        if signed.secret is None or signed.text is None:
            return False
        return await self._secrets.renew(signed.secret, signed.text)

    async def _signed(self, deployment: Deployment, wire: WireRequest) -> _Signed:
        """The request with its address and its key."""
        provider, url = deployment.provider, join(deployment.base_url, wire.path)
        headers = {"content-type": "application/json", **provider.headers, **wire.headers}
        secret, text = await self._pick_key(deployment)
        match provider.auth:
            case SigV4(service) if not text:
                self._signer = self._signer or self._make_signer()
                region = deployment.target.options.get("region", "us-east-1")
                outgoing = Outgoing(wire.method, url, headers, wire.body)
                headers = {**headers, **await self._signer.headers(outgoing, service, region)}
            case SigV4() | Bearer():  # a Bedrock API key stands in for the role
                if text:
                    headers["authorization"] = f"Bearer {text}"
            case Header(name):
                if text:
                    headers[name] = text
            case _:
                assert_never(provider.auth)
        return _Signed(Outgoing(wire.method, url, headers, wire.body), secret, text)

    async def _pick_key(self, deployment: Deployment) -> tuple[Secret | None, str | None]:
        """One of the deployment's keys; several are used in turn."""
        keys = [(s, text) for s in deployment.keys for text in await self._secrets.values(s)]
        if len(keys) == 1:
            return keys[0]
        if keys:
            turn = self._turns[deployment.id] = self._turns.get(deployment.id, -1) + 1
            return keys[turn % len(keys)]
        if deployment.keys and not deployment.provider.key_optional:
            raise MissingKey(
                f"`{deployment.name}`: no key for `{deployment.provider.name}`: "
                f"{self._secrets.hint(deployment.keys[0])}"
            )
        return None, None


class _Signed(Struct, frozen=True, gc=False):
    """A request as it goes out, and the key that it goes with."""

    outgoing: Outgoing
    secret: Secret | None
    text: str | None

    def __repr__(self) -> str:
        return "_Signed(…)"


@lru_cache(maxsize=1024)
def join(base: str, path: str) -> str:
    """
    A base URL and a path; what the base already ends in (`…/v1` and `/v1/messages`) is said once.

    LiteLLM's users, and the vendors' own pages, write `api_base` with and without it.
    """
    parts = path.split("/")
    below = base.partition("://")[2].partition("/")[2]  # without the host, whatever it is called
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
            pending = _within(limit, pending + len(data))
            for event in framer.feed(data):
                pending = 0
                for chunk in decoder.feed(event):
                    yield chunk
    except EngineError as error:
        raise fault(deployment, error) from None
    except WireError as error:
        raise wire_error(deployment, error, key) from None
    except TimeoutError:
        raise _silent(deployment) from None
    except NONSENSE:
        raise malformed(deployment) from None
    if not decoder.ended:
        raise Broken(deployment, ErrorDetail("the stream ended before the answer did"))


def _within(limit: int, size: int) -> int:
    if size > limit:
        raise TooLong(f"an event of more than {limit} bytes")
    return size


def _silent(deployment: Deployment) -> TimedOut:
    words = f"the stream was silent for {deployment.stream_timeout:g} s"
    return TimedOut(deployment, ErrorDetail(words, "timeout_error"))


async def _limited(incoming: Incoming) -> bytes:
    """An error's body, as far as anyone would read it."""
    parts: list[bytes] = []
    size = 0
    async for piece in incoming.body:
        parts.append(piece)
        size += len(piece)
        if size > MAX_ERROR_BODY:
            break
    return b"".join(parts)
