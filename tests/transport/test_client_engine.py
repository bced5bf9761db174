"""`ClientEngine`: an httpx client under the gateway, here with transports in memory."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import httpx2
import pytest

from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.gateway.run import Context, GatewayResponse
from fanout.schema.fanout import parse_request
from fanout.settings import Settings
from fanout.transport.client_engine import ClientEngine
from fanout.transport.engine import (
    ConnectFailed,
    ConnectionLost,
    EngineError,
    Outgoing,
    ProxyRefused,
    SlowConnect,
    SlowResponse,
)
from fanout.wire.http import WireResponse
from tests.http.openai_clients import HI
from tests.support.patience import PATIENCE
from tests.support.wire_formats import WIRE_FORMATS

Handler = Callable[[httpx2.Request], httpx2.Response]
REQUEST = Outgoing("POST", "https://provider.test/v1/x", {"authorization": "Bearer k"}, b"{}")


def over(handler: Handler) -> ClientEngine:
    """An engine whose responses the handler makes."""
    transport = httpx2.MockTransport(handler)
    return ClientEngine(httpx2.AsyncClient(transport=transport), owns_client=True)


def send(handler: Handler) -> WireResponse:
    """The whole response of a mock transport."""
    return asyncio.run(over(handler).send(REQUEST))


def stream(handler: Handler) -> WireResponse:
    """The same, read as a stream."""

    async def run() -> WireResponse:
        async with over(handler).stream(REQUEST) as incoming:
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
    assert response.headers.keys() & {"content-encoding", "content-length"} == set()


ERRORS: list[tuple[Exception, type[EngineError]]] = [
    (httpx2.ConnectError("marker"), ConnectFailed),
    (httpx2.ConnectTimeout("marker"), SlowConnect),
    (httpx2.PoolTimeout("marker"), SlowConnect),
    (httpx2.ReadTimeout("marker"), SlowResponse),
    (httpx2.WriteTimeout("marker"), SlowResponse),
    (httpx2.ReadError("marker"), ConnectionLost),
    (httpx2.RemoteProtocolError("marker"), ConnectionLost),
    (httpx2.LocalProtocolError("marker"), ConnectFailed),
    (httpx2.UnsupportedProtocol("marker"), ConnectFailed),
    (httpx2.ProxyError("marker"), ProxyRefused),
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
        engine = over(handler)
        catalog = resolve(check(config, {}), {})
        async with open_gateway(Settings(), catalog=catalog, engine=engine) as gateway:
            request = parse_request({"model": "a", "messages": HI})
            return await gateway.chat(request, Context("req_1"))

    response = asyncio.run(run())
    assert isinstance(response.body, dict)
    assert response.body["choices"][0]["message"]["content"] == "Hello"


@each_way
def test_an_address_that_httpx_cannot_read_is_a_connection_that_failed(
    way: Callable[[Handler], WireResponse], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "REQUEST", Outgoing("POST", "https://h:port/", {}, b""))
    with pytest.raises(ConnectFailed) as caught:
        way(lambda _: httpx2.Response(200))
    assert "port" not in str(caught.value)


@pytest.mark.parametrize("is_owner", [True, False])
def test_only_a_client_of_its_own_is_closed_with_the_engine(*, is_owner: bool) -> None:
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(200)))

    async def run() -> None:
        await ClientEngine(client, owns_client=is_owner).aclose()

    asyncio.run(run())
    assert client.is_closed is is_owner


def test_an_engine_needs_a_client() -> None:
    with pytest.raises(TypeError, match="an httpx client is needed"):
        ClientEngine(httpx2.MockTransport(lambda _: httpx2.Response(200)))


def test_a_bug_of_the_engines_own_client_stays_a_bug() -> None:
    def handler(_: httpx2.Request) -> httpx2.Response:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        send(handler)


class BlockingBody(httpx2.SyncByteStream):
    """A body whose second part blocks until `go` is set."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.blocks = threading.Event()
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        yield b"first"
        self.blocks.set()
        self.go.wait(PATIENCE)
        yield b"second"

    def close(self) -> None:
        self.closed.set()


class Connection:
    """A network stream without a socket; over HTTP/2 it must not be used at all."""

    def __init__(self, *, is_shared: bool) -> None:
        self._is_shared = is_shared

    def get_extra_info(self, _: str) -> None:
        assert not self._is_shared


@pytest.mark.parametrize(
    "extensions",
    [
        {},
        {"network_stream": Connection(is_shared=False)},
        {"network_stream": Connection(is_shared=True), "http_version": b"HTTP/2"},
    ],
)
def test_a_read_that_cannot_be_ended_is_closed_after_it(extensions: dict[str, object]) -> None:
    body = BlockingBody()
    response = httpx2.Response(200, stream=body, extensions=extensions)
    client = httpx2.Client(transport=httpx2.MockTransport(lambda _: response))

    async def run() -> None:
        async with ClientEngine(client).stream(REQUEST) as incoming:
            assert await anext(incoming.body) == b"first"
            reading = asyncio.ensure_future(anext(incoming.body))
            await asyncio.to_thread(body.blocks.wait, PATIENCE)
            reading.cancel()
            await reading

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())
    assert not body.closed.is_set()
    body.go.set()
    assert body.closed.wait(PATIENCE)
