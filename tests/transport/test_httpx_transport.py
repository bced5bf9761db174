"""`FanoutTransport`: the gateway's engine as the transport of an httpx client (OpenAI's SDK)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import openai
import pytest

from fanout.transport.engine import Engine, EngineError, Incoming, Outgoing, StreamReset
from fanout.transport.httpx_transport import FanoutTransport
from fanout.wire.http import WireResponse
from tests.http.openai_clients import HI, joined
from tests.support.provider_steps import answers, cut, hang, refuse, role, say, stalls
from tests.support.scripted_provider import Upstream


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


class Failing(Engine):
    """An engine whose calls fail with this error."""

    def __init__(self, error: EngineError) -> None:
        self._error = error

    async def send(self, request: Outgoing) -> WireResponse:
        raise self._error

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        raise self._error
        yield

    async def aclose(self) -> None:
        """Nothing is open."""


def test_every_error_of_the_engine_is_one_of_the_clients() -> None:
    def kinds(kind: type[EngineError]) -> list[type[EngineError]]:
        return [one for below in kind.__subclasses__() for one in (below, *kinds(below))]

    async def run(kind: type[EngineError]) -> None:
        transport = FanoutTransport(Failing(kind("m")))
        async with httpx2.AsyncClient(transport=transport) as made:
            with pytest.raises(httpx2.TransportError):
                await made.get("http://provider.test/")

    assert StreamReset in kinds(EngineError)
    for kind in kinds(EngineError):
        asyncio.run(run(kind))


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
    plain.wait_ended()


def test_the_clients_timeout_applies_between_two_parts(plain: Upstream) -> None:
    plain.script("a", stalls(role, say("Hel")))

    async def run() -> list[openai.types.chat.ChatCompletionChunk]:
        async with client(plain, timeout=0.5) as made:
            stream = await made.chat.completions.create(model="a", messages=HI, stream=True)
            return [chunk async for chunk in stream]

    with pytest.raises(openai.APITimeoutError):
        asyncio.run(run())
    plain.wait_ended()


def test_an_unreachable_provider_is_a_connection_error(plain: Upstream) -> None:
    plain.url = "http://nowhere.invalid"

    async def run() -> None:
        async with client(plain) as made:
            await made.chat.completions.create(model="a", messages=HI)

    with pytest.raises(openai.APIConnectionError):
        asyncio.run(run())


def test_a_response_is_read_to_its_end(plain: Upstream) -> None:
    plain.script("a", answers("Hello"))

    async def run() -> httpx2.Response:
        async with httpx2.AsyncClient(transport=FanoutTransport()) as made:
            return await made.post(f"{plain.url}/v1/chat/completions", json={"model": "a"})

    response = asyncio.run(run())
    assert response.json()["choices"][0]["message"]["content"] == "Hello"


def test_a_body_that_breaks_is_a_read_error(plain: Upstream) -> None:
    plain.script("a", [role, say("Hel"), cut])

    async def run() -> None:
        body = {"model": "a", "stream": True}
        async with httpx2.AsyncClient(transport=FanoutTransport()) as made:
            await made.post(f"{plain.url}/v1/chat/completions", json=body)

    with pytest.raises(httpx2.ReadError):
        asyncio.run(run())
