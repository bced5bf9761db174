"""A gateway at a URL, to which a command sends its one request, and whose lease it renews."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from msgspec import MsgspecError

from ..errors import ErrorDetail, FanoutError, RequestError
from ..gateway.run import Context, GatewayResponse, ResponseStream
from ..library.gateway_request import GatewayRequest, aopen_request
from ..schema.chat import ChatChunk
from ..schema.fanout import FanOutRequest
from ..transport.connection_pool import PyqwestEngine
from ..transport.engine import Engine, EngineError, Outgoing
from ..wire import json
from ..wire.sse import SSEFramer

KEY = "FANOUT_API_KEY"
LEASE = 10.0
"""Seconds after which the gateway ends the request of a command that has gone."""

SUCCESS = 200


class GatewayError(FanoutError):
    """The gateway's error, or that it does not respond as one."""

    def __init__(self, message: str, detail: ErrorDetail | None = None) -> None:
        super().__init__(message)
        self._detail = detail

    @property
    def detail(self) -> ErrorDetail:
        return self._detail or super().detail


@asynccontextmanager
async def remote_gateway(
    url: str, env: Mapping[str, str], body: Mapping[str, Any]
) -> AsyncIterator[RemoteGateway]:
    """
    The gateway at `url`, for one request with this body, which ends with the block.

    Raises `RequestError` if `url` is no address of a gateway.
    """
    check_url(url)
    engine = PyqwestEngine()
    try:
        async with aopen_request(url, env.get(KEY), lease=LEASE) as request:
            yield RemoteGateway(engine, url, env.get(KEY), body, request)
    finally:
        await engine.aclose()


def check_url(url: str) -> None:
    """Raise `RequestError` without it unless it has a host and the scheme `http` or `https`."""
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port  # reads it
    except ValueError:
        is_url = False
    if is_url:
        return
    hint = "" if "//" in url or not url else "; is `http://` missing?"
    message = f"--gateway must be a URL that begins with http:// or https://{hint}"
    raise RequestError(message, "gateway")


class RemoteGateway:
    """Sends the request; its `chat` and `stream` are those of a `Gateway`."""

    def __init__(
        self,
        engine: Engine,
        url: str,
        key: str | None,
        body: Mapping[str, Any],
        request: GatewayRequest,
    ) -> None:
        headers = {"content-type": "application/json", **request.headers}
        if key:
            headers["authorization"] = f"Bearer {key}"
        sent = {**body, "fanout": {**body.get("fanout", {}), **request.body["fanout"]}}
        self._engine = engine
        self._request = Outgoing(
            "POST", f"{url.rstrip('/')}/chat/completions", headers, json.encode(sent)
        )

    async def chat(self, request: FanOutRequest, _context: Context) -> GatewayResponse:
        """The whole response; raises `GatewayError`."""
        try:
            response = await self._engine.send(self._request)
        except EngineError as error:
            raise _unreachable(error) from None
        if response.status != SUCCESS:
            raise _error(response.status, response.body)
        body = _decoded(response.body)
        return GatewayResponse(body, request.mode, response.headers.get("x-fanout-winner"))

    @asynccontextmanager
    async def stream(
        self, request: FanOutRequest, _context: Context
    ) -> AsyncIterator[ResponseStream]:
        """The response as a stream; raises `GatewayError`."""
        try:
            async with self._engine.stream(self._request) as incoming:
                if incoming.status != SUCCESS:
                    body = b"".join([part async for part in incoming.body])
                    raise _error(incoming.status, body)
                winner = incoming.headers.get("x-fanout-winner")
                yield ResponseStream(_chunks(incoming.body), request.mode, winner)
        except EngineError as error:
            raise _unreachable(error) from None


async def _chunks(parts: AsyncIterator[bytes]) -> AsyncIterator[ChatChunk]:
    framer = SSEFramer()
    async for part in parts:
        for event in framer.feed(part):
            if event.data == b"[DONE]":
                return
            chunk = _decoded(event.data)
            if "error" in chunk:
                raise _gateway_error(chunk["error"])
            yield chunk
    raise GatewayError("the gateway's stream ended early")


def _decoded(data: bytes) -> Any:
    try:
        return json.decode(data)
    except MsgspecError:
        raise GatewayError("the gateway's response is not JSON: is the URL its base URL?") from None


def _error(status: int, body: bytes) -> GatewayError:
    try:
        found = json.decode(body)["error"]
    except (MsgspecError, KeyError, TypeError):
        return GatewayError(f"the gateway responds with {status}: is the URL its base URL?")
    return _gateway_error(found)


def _gateway_error(found: Any) -> GatewayError:
    """OpenAI's error object as an exception."""
    known = found if isinstance(found, dict) else {}
    message, param, code = (known.get(name) for name in ("message", "param", "code"))
    detail = ErrorDetail(str(message), str(known.get("type") or "api_error"), param, code)
    return GatewayError(detail.message, detail)


def _unreachable(error: EngineError) -> GatewayError:
    reason = getattr(error, "reason", "") or type(error).__name__
    return GatewayError(f"the gateway does not respond: {reason}")
