"""`open_request` renews a request of another client, and cancels it if its block raises."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from fanout import (
    GatewayError,
    GatewayRequest,
    GatewayUnreachable,
    RequestError,
    aopen_request,
    open_request,
)
from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import answers, role, say, stalls
from tests.support.scripted_provider import Upstream

KEY = "sk-mine"
BODY: Any = {"model": "a", "messages": [{"role": "user", "content": "Hi"}], "stream": True}


@pytest.fixture(scope="module")
def gateway(provider: Upstream) -> Iterator[RunningGateway]:
    general = {"master_key": KEY}
    with serve({"model_list": [entry(provider, "a")], "general_settings": general}) as served:
        yield served


@pytest.fixture
def url(gateway: RunningGateway) -> str:
    return f"{gateway.url}/v1"


def test_a_lease_is_renewed_while_the_block_runs(url: str, upstream: Upstream) -> None:
    upstream.script("a", answers("Hello", " there", after=4.0))  # twice the lease
    with openai.OpenAI(api_key=KEY, base_url=url) as client, open_request(url, KEY, lease=2) as one:
        sent: Any = {**BODY, "extra_headers": one.headers, "extra_body": one.body}
        chunks = list(client.chat.completions.create(**sent))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Hello there"


def test_after_the_block_the_lease_is_not_renewed(url: str, upstream: Upstream) -> None:
    upstream.script("a", stalls(role, say("Once")))
    with openai.OpenAI(api_key=KEY, base_url=url) as client:
        with open_request(url, KEY, lease=2) as one:
            sent: Any = {**BODY, "extra_headers": one.headers, "extra_body": one.body}
            stream = client.chat.completions.create(**sent)
        with pytest.raises(openai.APIError) as raised:
            list(stream)
    assert raised.value.code == "lease_expired"


def test_a_block_that_raises_cancels_its_request(url: str, upstream: Upstream) -> None:
    upstream.script("a", stalls(role, say("Once")))
    with openai.OpenAI(api_key=KEY, base_url=url) as client:
        with pytest.raises(KeyboardInterrupt), open_request(url, KEY) as one:  # noqa: PT012
            stream = client.chat.completions.create(**BODY, extra_headers=one.headers)
            raise KeyboardInterrupt
        with pytest.raises(openai.APIError) as raised:
            list(stream)
    assert raised.value.code == "request_cancelled"


def test_an_asynchronous_block_that_is_cancelled_cancels_its_request(
    url: str, upstream: Upstream
) -> None:
    upstream.script("a", stalls(role))

    async def ask() -> None:
        async with (
            openai.AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0) as client,
            aopen_request(url, KEY, lease=600, request_id="async-1") as one,
        ):
            sent: Any = {**BODY, "extra_headers": one.headers, "extra_body": one.body}
            await client.chat.completions.create(**sent)

    async def main() -> None:
        task = asyncio.ensure_future(ask())
        await asyncio.to_thread(upstream.wait_called, "a")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not await GatewayRequest(url, KEY, request_id="async-1").acancel()

    asyncio.run(main())
    upstream.wait_disconnected("a")


def test_the_error_of_an_asynchronous_block_is_raised_as_it_is(url: str) -> None:
    error = ValueError("mine")
    error.__cause__ = KeyError("cause")

    async def main() -> None:
        async with aopen_request(url, KEY, lease=600):
            raise error

    with pytest.raises(ValueError, match="mine") as raised:
        asyncio.run(main())
    assert raised.value is error
    assert isinstance(error.__cause__, KeyError)


def test_a_request_is_cancelled_from_another_thread(url: str, upstream: Upstream) -> None:
    upstream.script("a", stalls(role, say("Once")))
    with openai.OpenAI(api_key=KEY, base_url=url) as client, open_request(url, KEY) as one:
        stream = client.chat.completions.create(**BODY, extra_headers=one.headers)
        assert one.cancel()
        assert not one.cancel()
        with pytest.raises(openai.APIError) as raised:
            list(stream)
    assert raised.value.code == "request_cancelled"


def test_a_gateway_that_rejects_the_key_or_is_not_there_is_an_error(url: str) -> None:
    with pytest.raises(GatewayError, match="401") as raised:
        GatewayRequest(url, "sk-wrong").cancel()
    assert raised.value.status == 401
    assert isinstance(raised.value, openai.AuthenticationError)
    with pytest.raises(GatewayUnreachable, match="respond: the connection was refused") as refused:
        GatewayRequest("http://127.0.0.1:1/v1", KEY).cancel()
    assert isinstance(refused.value, openai.APIConnectionError)


def test_a_gateway_that_is_not_there_does_not_hide_the_blocks_error() -> None:
    with pytest.raises(ZeroDivisionError), open_request("http://127.0.0.1:1/v1", KEY, lease=2):
        _ = 1 / 0


@pytest.mark.parametrize("lease", [0, 1.9, 3_601])
def test_a_lease_outside_its_limits_is_an_error_before_anything_is_sent(lease: float) -> None:
    with pytest.raises(RequestError, match="`lease` must be 2 to 3600 seconds"):
        open_request("http://127.0.0.1:1/v1", lease=lease).__enter__()


def test_an_id_that_the_gateway_would_replace_is_an_error_before_anything_is_sent() -> None:
    for name in ("job 1", "a/b", ".", "..", "", "é", "a\n", "x" * 129):
        with pytest.raises(RequestError, match=r"`request_id` .* letters .* digits and `_\.:-`"):
            open_request("http://127.0.0.1:1/v1", request_id=name).__enter__()
        with pytest.raises(RequestError, match="`request_id`"):
            open_request("http://127.0.0.1:1/v1", request_id=7).__enter__()  # type: ignore[arg-type]
        with pytest.raises(RequestError, match="`request_id`"):
            aopen_request("http://127.0.0.1:1/v1", request_id=name)


def test_an_id_that_is_not_replaced_can_be_cancelled(url: str, upstream: Upstream) -> None:
    upstream.script("a", stalls(role, say("Once")))
    with openai.OpenAI(api_key=KEY, base_url=url) as client:
        for name in ("...", "a.b_c:d-9", "x" * 128):
            with open_request(url, KEY, request_id=name) as one:
                stream = client.chat.completions.create(**BODY, extra_headers=one.headers)
                assert one.cancel()
            stream.close()


def test_the_repr_has_no_key(url: str) -> None:
    request = GatewayRequest(url, KEY, request_id="r-1")
    assert repr(request) == "GatewayRequest('r-1')"


def test_each_request_has_an_id_of_its_own(url: str) -> None:
    ids = {GatewayRequest(url).id for _ in range(100)}
    assert len(ids) == 100
