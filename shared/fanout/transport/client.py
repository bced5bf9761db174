"""
One call to one deployment: encode, sign, send, decode, and every fault as a `ProviderError`.

Knows the wire and the clock's limits; nothing of retries, groups or fan-out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol, assert_never

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from ..config.resolve import Deployment
from ..errors import (
    Broken,
    ErrorDetail,
    Malformed,
    MissingKey,
    Overloaded,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unreachable,
)
from ..providers.base import BadWire, Bearer, Header, SigV4, WireError
from ..schema.chat import ChatChunk, ChatCompletion, ChatRequest
from ..secret import Secret
from ..wire.http import WireRequest, WireResponse
from .engine import (
    ConnectFailed,
    ConnectionLost,
    Engine,
    EngineError,
    Incoming,
    Outgoing,
    SlowConnect,
)
from .redact import redact

# A status and what it means; every other 4xx is the request's fault, every other 5xx theirs.
BY_STATUS: Mapping[int, type[ProviderError]] = {
    401: Refused,
    403: Refused,
    408: TimedOut,
    409: Overloaded,
    425: Overloaded,
    429: RateLimited,
    504: TimedOut,
}

BY_FAULT: Mapping[type[EngineError], tuple[type[ProviderError], str]] = {
    ConnectFailed: (Unreachable, "no connection to the provider"),
    SlowConnect: (Unreachable, "no connection to the provider in time"),
    ConnectionLost: (Broken, "the connection to the provider broke"),
}

# What a reply that is not the provider's own wire raises while it is decoded.
NONSENSE = (BadWire, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

MAX_ERROR_BODY = 64 * 1024
MAX_RETRY_AFTER = 600.0


class SecretSource(Protocol):
    """Where a key's text comes from: the environment, or Secrets Manager."""

    async def text(self, secret: Secret) -> str | None:
        """The text, or `None` if there is none."""
        ...


class EnvironmentSecrets:
    """Keys that were in the config or in the environment at the start."""

    async def text(self, secret: Secret) -> str | None:
        """The text, or `None` if there is none."""
        return secret.reveal()


class Signer(Protocol):
    """Signs for AWS; set where a provider asks for it."""

    async def headers(self, request: Outgoing, service: str, region: str) -> Mapping[str, str]:
        """The headers that sign `request`."""
        ...


class Reply(Struct, frozen=True):
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
    """Performs one call. Made once; used by many calls at the same time."""

    def __init__(self, engine: Engine, secrets: SecretSource, signer: Callable[[], Signer]) -> None:
        self._engine = engine
        self._secrets = secrets
        self._make_signer = signer
        self._signer: Signer | None = None
        self._turn = 0

    async def chat(self, deployment: Deployment, request: ChatRequest) -> Reply:
        """The whole answer; raises a `ProviderError`, `Unsupported` or `MissingKey`."""
        codec = deployment.provider.chat
        wire = codec.encode(request, deployment.target, False)
        outgoing = await self._address(deployment, wire)
        try:
            reply = await self._engine.send(outgoing)
        except EngineError as error:
            raise _fault(deployment, error) from None
        if reply.status != 200:  # noqa: PLR2004
            raise _refusal(deployment, reply)
        try:
            completion = codec.decode(reply, deployment.target)
        except WireError as error:
            raise _wire_error(deployment, error) from None
        except NONSENSE:
            raise _malformed(deployment) from None
        return Reply(completion, reply.headers, wire.dropped)

    @asynccontextmanager
    async def stream(
        self, deployment: Deployment, request: ChatRequest
    ) -> AsyncIterator[OpenStream]:
        """
        The answer as it comes; leaving the block closes the provider's stream at once.

        The iterator raises `Broken` if the stream ends before the provider says that it is done.
        """
        wire = deployment.provider.chat.encode(request, deployment.target, True)
        outgoing = await self._address(deployment, wire)
        try:
            async with self._engine.stream(outgoing) as incoming:
                if incoming.status != 200:  # noqa: PLR2004
                    body = await _limited(incoming)
                    raise _refusal(
                        deployment, WireResponse(incoming.status, incoming.headers, body)
                    )
                chunks = _chunks(deployment, incoming)
                yield OpenStream(chunks, incoming.headers, wire.dropped)
        except EngineError as error:
            raise _fault(deployment, error) from None

    async def aclose(self) -> None:
        """Close every connection."""
        await self._engine.aclose()

    async def _address(self, deployment: Deployment, wire: WireRequest) -> Outgoing:
        headers = {"content-type": "application/json", **deployment.provider.headers}
        headers |= wire.headers
        url = join(deployment.base_url, wire.path)
        outgoing = Outgoing(wire.method, url, headers, wire.body)
        return await self._sign(deployment, outgoing)

    async def _sign(self, deployment: Deployment, outgoing: Outgoing) -> Outgoing:
        auth = deployment.provider.auth
        secret = self._pick_key(deployment)
        text = await self._secrets.text(secret) if secret else None
        if secret and not text and not deployment.provider.key_optional:
            raise MissingKey(
                f"`{deployment.name}`: no key for `{deployment.provider.name}`: "
                f"set `{secret.name}` in the environment, or `api_key` in the config"
            )
        match auth:
            case SigV4() if text:  # a Bedrock API key instead of the role
                extra: Mapping[str, str] = {"authorization": f"Bearer {text}"}
            case SigV4(service):
                self._signer = self._signer or self._make_signer()
                region = deployment.target.options.get("region", "us-east-1")
                extra = await self._signer.headers(outgoing, service, region)
            case Bearer():
                extra = {"authorization": f"Bearer {text}"} if text else {}
            case Header(name):
                extra = {name: text} if text else {}
            case _:
                assert_never(auth)
        return Outgoing(outgoing.method, outgoing.url, {**outgoing.headers, **extra}, outgoing.body)

    def _pick_key(self, deployment: Deployment) -> Secret | None:
        """Several keys of one deployment are used in turn."""
        if len(deployment.keys) < 2:  # noqa: PLR2004
            return deployment.keys[0] if deployment.keys else None
        self._turn += 1
        return deployment.keys[self._turn % len(deployment.keys)]


def join(base: str, path: str) -> str:
    """
    A base URL and a path; a version that both name (`…/v1` and `/v1/messages`) is said once.

    LiteLLM's users write `api_base` with and without it.
    """
    first = path.split("/", 2)[1] if path.startswith("/") else ""
    if first and base.endswith(f"/{first}"):
        return base + path.removeprefix(f"/{first}")
    return base + path


async def _chunks(deployment: Deployment, incoming: Incoming) -> AsyncIterator[ChatChunk]:
    codec = deployment.provider.chat
    framer, decoder = codec.framer(), codec.decoder(deployment.target)
    body = aiter(incoming.body)
    try:
        while True:
            async with asyncio.timeout(deployment.stream_timeout):
                data = await anext(body, None)
            if data is None:
                break
            for event in framer.feed(data):
                for chunk in decoder.feed(event):
                    yield chunk
    except WireError as error:
        raise _wire_error(deployment, error) from None
    except TimeoutError:
        words = f"the stream was silent for {deployment.stream_timeout:g} s"
        raise TimedOut(deployment, ErrorDetail(words, "timeout_error")) from None
    except NONSENSE:
        raise _malformed(deployment) from None
    if not decoder.ended:
        raise Broken(deployment, ErrorDetail("the stream ended before the answer did"))


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


def _fault(deployment: Deployment, error: EngineError) -> ProviderError:
    kind, words = BY_FAULT[type(error)]
    return kind(deployment, ErrorDetail(words))


def _malformed(deployment: Deployment) -> ProviderError:
    words = f"the reply is not `{deployment.provider.name}`'s own format"
    return Malformed(deployment, ErrorDetail(words))


def _wire_error(deployment: Deployment, error: WireError) -> ProviderError:
    return _error(deployment, error.status, error.detail, None)


def _refusal(deployment: Deployment, reply: WireResponse) -> ProviderError:
    detail = deployment.provider.explain(reply.status, reply.body[:MAX_ERROR_BODY])
    return _error(deployment, reply.status, detail, retry_after(reply.headers))


def _error(
    deployment: Deployment, status: int, detail: ErrorDetail, after: float | None
) -> ProviderError:
    kind = BY_STATUS.get(status) or (Overloaded if status >= 500 else Rejected)  # noqa: PLR2004
    if status < 400:  # noqa: PLR2004 -- a redirect is not followed: the key would go with it
        kind, detail = Malformed, ErrorDetail(f"an unexpected HTTP {status}")
    if detail.code == "insufficient_quota" or detail.type == "insufficient_quota":
        kind = QuotaExceeded
    if kind is Refused:
        detail = ErrorDetail(
            f"`{deployment.provider.name}` refused the gateway's key (HTTP {status})",
            "provider_key_error",
        )
    texts = [text for secret in deployment.keys if (text := secret.reveal())]
    message = redact(detail.message, texts, deployment.base_url)
    detail = replace(detail, message=message)
    return kind(deployment, detail, upstream=status, retry_after=after)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """
    Seconds to wait, from `retry-after-ms`, or `retry-after` in seconds or as an HTTP date.

    The OpenAI SDK reads the same three, in this order.
    """
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return min(max(float(milliseconds) / 1000, 0.0), MAX_RETRY_AFTER)
        value = headers.get("retry-after")
        if not value:
            return None
        if value.replace(".", "", 1).isdigit():
            return min(float(value), MAX_RETRY_AFTER)
        return _until(value, headers.get("date"))
    except ValueError:
        return None


def _until(value: str, now: str | None) -> float | None:
    """Seconds between the reply's own `Date` and the date given, so that no clock is needed."""
    from email.utils import parsedate_to_datetime

    if not now:
        return None
    seconds = (parsedate_to_datetime(value) - parsedate_to_datetime(now)).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)
