"""The adapters to httpx: the gateway over any httpx transport, any client over the engine."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable

import httpx2
import openai
import pytest

from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.gateway.gateway import Context, GatewayResponse
from fanout.schema.fanout import parse_request
from fanout.settings import Settings
from fanout.transport.engine import (
    ConnectFailed,
    ConnectionLost,
    EngineError,
    Outgoing,
    SlowConnect,
)
from fanout.transport.httpx_engine import FanoutTransport, HttpxEngine
from fanout.wire.http import WireResponse
from tests.http.asking import HI, joined
from tests.support.provider_steps import answers, hang, refuse, role, say, stalls
from tests.support.scripted_provider import Upstream
from tests.support.wire_formats import WIRE_FORMATS

Handler = Callable[[httpx2.Request], httpx2.Response]
REQUEST = Outgoing("POST", "https://provider.test/v1/x", {"authorization": "Bearer k"}, b"{}")


def send(handler: Handler) -> WireResponse:
    """The whole response of a mock transport."""
    return asyncio.run(HttpxEngine(httpx2.MockTransport(handler)).send(REQUEST))


def stream(handler: Handler) -> WireResponse:
    """The same, read as a stream."""

    async def run() -> WireResponse:
        engine = HttpxEngine(httpx2.MockTransport(handler))
        async with engine.stream(REQUEST) as incoming:
            body = b"".join([part async for part in incoming.body])
            return WireResponse(incoming.status, incoming.headers, body)

    return asyncio.run(run())


each_way = pytest.mark.parametrize("way", [send, stream])


@each_way
def test_a_mock_transport_gets_the_request_and_returns_the_response(
    way: Callable[[Handler], WireResponse],
) -> None:
    seen: list[httpx2.Request] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(201, headers={"X-Request-Id": "r"}, content=b"yes")

    response = way(handler)
    assert (response.status, response.headers["x-request-id"], response.body) == (201, "r", b"yes")
    assert (seen[0].method, str(seen[0].url)) == ("POST", "https://provider.test/v1/x")
    assert (seen[0].headers["authorization"], seen[0].content) == ("Bearer k", b"{}")


@each_way
def test_an_encoded_body_arrives_decoded(way: Callable[[Handler], WireResponse]) -> None:
    headers = {"content-encoding": "gzip"}
    body = gzip.compress(b"hello")
    response = way(lambda _: httpx2.Response(200, headers=headers, content=body))
    assert response.body == b"hello"


ERRORS: list[tuple[Exception, type[EngineError]]] = [
    (httpx2.ConnectError("marker"), ConnectFailed),
    (httpx2.ConnectTimeout("marker"), SlowConnect),
    (httpx2.PoolTimeout("marker"), SlowConnect),
    (httpx2.ReadTimeout("marker"), SlowConnect),
    (httpx2.ReadError("marker"), ConnectionLost),
    (httpx2.RemoteProtocolError("marker"), ConnectionLost),
    (httpx2.ProxyError("marker"), ConnectionLost),
    (httpx2.DecodingError("marker"), ConnectionLost),
]


@each_way
@pytest.mark.parametrize(
    ("raised", "expected"), ERRORS, ids=lambda value: getattr(value, "__name__", "")
)
def test_httpxs_errors_become_engine_errors_without_their_messages(
    way: Callable[[Handler], WireResponse], raised: Exception, expected: type[EngineError]
) -> None:
    def handler(_: httpx2.Request) -> httpx2.Response:
        raise raised

    with pytest.raises(expected) as caught:
        way(handler)
    assert caught.type is expected
    assert "marker" not in str(caught.value)


@each_way
def test_a_body_that_breaks_is_a_connection_lost(way: Callable[[Handler], WireResponse]) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"half"
        raise httpx2.ReadError("marker")

    with pytest.raises(ConnectionLost):
        way(lambda _: httpx2.Response(200, content=parts()))


@each_way
def test_a_body_that_cannot_be_decoded_is_a_connection_lost(
    way: Callable[[Handler], WireResponse],
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"this is no gzip"

    headers = {"content-encoding": "gzip"}
    with pytest.raises(ConnectionLost):
        way(lambda _: httpx2.Response(200, headers=headers, content=parts()))


def test_the_whole_gateway_runs_over_a_mock_transport() -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        return httpx2.Response(200, content=WIRE_FORMATS["openai"].whole(body["model"], "Hello"))

    params = {"model": "openai/gpt-4o", "api_key": "k"}
    config = {"model_list": [{"model_name": "a", "litellm_params": params}]}

    async def run() -> GatewayResponse:
        engine = HttpxEngine(httpx2.MockTransport(handler))
        catalog = resolve(check(config, {}), {})
        async with open_gateway(Settings(), catalog=catalog, engine=engine) as gateway:
            request = parse_request({"model": "a", "messages": HI})
            return await gateway.answer(request, Context("req_1"))

    response = asyncio.run(run())
    assert isinstance(response.body, dict)
    assert response.body["choices"][0]["message"]["content"] == "Hello"


# ---- our engine under the official client ----


def client(upstream: Upstream, timeout: float = 30.0) -> openai.AsyncOpenAI:
    """The OpenAI client over our engine."""
    return openai.AsyncOpenAI(
        api_key="sk-mine",
        base_url=f"{upstream.url}/v1",
        http_client=httpx2.AsyncClient(transport=FanoutTransport()),
        max_retries=0,
        timeout=timeout,
    )


def test_the_official_client_runs_over_our_engine(plain: Upstream) -> None:
    plain.script("a", answers("Hel", "lo"))

    async def run() -> tuple[str | None, str]:
        async with client(plain) as made:
            whole = await made.chat.completions.create(model="a", messages=HI)
            parts = await made.chat.completions.create(model="a", messages=HI, stream=True)
            return whole.choices[0].message.content, joined([chunk async for chunk in parts])[0]

    assert asyncio.run(run()) == ("Hello", "Hello")
    assert plain.calls[0].headers["authorization"] == "Bearer sk-mine"
    assert plain.calls[0].headers["content-type"] == "application/json"


def test_errors_are_raised_as_the_clients_own(plain: Upstream) -> None:
    plain.script("a", [refuse(429, "slower", {"retry-after": "7"})])

    async def run() -> openai.RateLimitError:
        async with client(plain) as made:
            with pytest.raises(openai.RateLimitError) as caught:
                await made.chat.completions.create(model="a", messages=HI)
            return caught.value

    error = asyncio.run(run())
    assert error.response.headers["retry-after"] == "7"
    assert "slower" in error.message


def test_closing_the_clients_stream_closes_the_providers(plain: Upstream) -> None:
    plain.script("a", stalls(role, say("Hel")))

    async def run() -> None:
        async with client(plain) as made:
            stream = await made.chat.completions.create(model="a", messages=HI, stream=True)
            await anext(aiter(stream))
            await stream.close()
            await asyncio.to_thread(plain.wait_disconnected, "a")

    asyncio.run(run())


def test_the_clients_timeout_applies_until_the_headers(plain: Upstream) -> None:
    plain.script("a", [hang])

    async def run() -> None:
        async with client(plain, timeout=0.5) as made:
            await made.chat.completions.create(model="a", messages=HI)

    with pytest.raises(openai.APITimeoutError):
        asyncio.run(run())
    plain.wait_disconnected("a")


def test_the_clients_timeout_applies_between_two_parts(plain: Upstream) -> None:
    plain.script("a", stalls(role, say("Hel")))

    async def run() -> list[openai.types.chat.ChatCompletionChunk]:
        async with client(plain, timeout=0.5) as made:
            stream = await made.chat.completions.create(model="a", messages=HI, stream=True)
            return [chunk async for chunk in stream]

    with pytest.raises(openai.APITimeoutError):
        asyncio.run(run())
    plain.wait_disconnected("a")


def test_an_unreachable_provider_is_a_connection_error(plain: Upstream) -> None:
    plain.url = "http://nowhere.invalid"

    async def run() -> None:
        async with client(plain) as made:
            await made.chat.completions.create(model="a", messages=HI)

    with pytest.raises(openai.APIConnectionError):
        asyncio.run(run())
