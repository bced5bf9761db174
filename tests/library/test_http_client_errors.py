"""Errors with `http_client=`: what a client of httpx raises is Fanout's error."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

import fanout
from fanout.errors import (
    AllFailed,
    Oversized,
    RateLimited,
    RequestError,
    TimedOut,
    Unreachable,
)
from tests.library.client_caller import Caller
from tests.library.ways import HI, at, content, kind_of
from tests.support.forward_proxy import open_proxy
from tests.support.mutual_tls import open_mutual_tls, open_refusing_tls
from tests.support.provider_steps import (
    answers,
    refuse,
    stalls,
)
from tests.support.scripted_provider import Upstream


def raised_by(twin: Caller, to: dict[str, Any], **using: Any) -> tuple[type[object], str]:
    """The class of the error of one call, and its message."""
    with pytest.raises(fanout.FanoutError) as raised:
        twin("completion", "openai/m", HI, using=using, num_retries=0, **to)
    return kind_of(raised.value), str(raised.value)


def test_a_providers_error_is_fanouts(upstream: Upstream, twin: Caller) -> None:
    upstream.script("m", [refuse(429, "slower", {"retry-after": "7"})])
    kind, text = raised_by(twin, at(upstream))
    assert kind is RateLimited
    assert "slower" in text


def test_a_hook_that_raises_for_the_status_changes_nothing(
    upstream: Upstream, twin: Caller
) -> None:
    async def later(response: Any) -> None:
        await response.aread()
        response.raise_for_status()

    def now(response: Any) -> None:
        response.read()
        response.raise_for_status()

    upstream.script("m", [refuse(429, "slower")], answers("Hi"))
    hooks = {"response": [later if twin.is_async else now]}
    kind, text = raised_by(twin, at(upstream), event_hooks=hooks)
    assert kind is RateLimited
    assert "slower" in text
    found = twin("completion", "openai/m", HI, using={"event_hooks": hooks}, **at(upstream))
    assert content(found) == "Hi"


def test_a_hook_that_raises_without_reading_loses_only_the_words(
    upstream: Upstream, twin: Caller
) -> None:
    async def later(response: Any) -> None:
        response.raise_for_status()

    def now(response: Any) -> None:
        response.raise_for_status()

    upstream.script("m", [refuse(429, "slower")])
    hooks = {"response": [later if twin.is_async else now]}
    assert raised_by(twin, at(upstream), event_hooks=hooks)[0] is RateLimited


def test_what_a_hook_raises_is_named_and_is_the_cause(upstream: Upstream, twin: Caller) -> None:
    async def later(_: Any) -> None:
        raise KeyError("missing")

    def now(_: Any) -> None:
        raise KeyError("missing")

    hooks = {"request": [later if twin.is_async else now]}
    with pytest.raises(RequestError, match=r"`http_client` raised KeyError\('missing'\)") as raised:
        twin("completion", "openai/m", HI, using={"event_hooks": hooks}, **at(upstream))
    assert isinstance(raised.value.__cause__, KeyError)
    assert raised.value.param == "http_client"


def test_the_clients_read_timeout_is_a_timeout(upstream: Upstream, twin: Caller) -> None:
    upstream.script("m", stalls())
    kind, text = raised_by(twin, at(upstream), timeout=0.1)
    assert kind is TimedOut
    assert "the HTTP client's read timeout" in text
    upstream.wait_ended()


@pytest.mark.parametrize("url", ["https://provider.test/v1", "http://provider.test/v1"])
def test_a_proxy_that_wants_a_password_is_named_in_the_error(url: str, twin: Caller) -> None:
    with open_proxy("secret") as proxy:
        kind, text = raised_by(twin, {"api_base": url, "api_key": "k"}, proxy=proxy.url)
    assert kind is Unreachable
    assert "the HTTP proxy refused the connection (HTTP 407)" in text


def test_a_certificate_that_is_not_trusted_is_named_in_the_error(
    tmp_path: Path, twin: Caller
) -> None:
    with open_mutual_tls(tmp_path) as mutual:
        kind, text = raised_by(twin, at(mutual.upstream))
        default = fanout.batch_completion("openai/m", [HI], num_retries=0, **at(mutual.upstream))
    assert kind is Unreachable
    assert "its TLS certificate is not trusted" in text
    assert "`SSL_CERT_FILE`" in str(default[0])


def test_a_client_certificate_that_is_missing_is_named_in_the_error(
    tmp_path: Path, twin: Caller
) -> None:
    """The alert of TLS 1.3 comes after the handshake, instead of a response."""
    with open_refusing_tls(tmp_path) as (url, bundle):
        to = {"api_base": f"{url}/v1", "api_key": "k"}
        kind, text = raised_by(twin, to, verify=ssl.create_default_context(cafile=bundle))
    assert kind is Unreachable
    assert "it requires a client certificate: give `http_client` one" in text


def test_a_proxy_that_is_not_there_is_named_in_the_error(twin: Caller) -> None:
    to = {"api_base": "https://provider.test/v1", "api_key": "k"}
    kind, text = raised_by(twin, to, proxy="http://127.0.0.1:1")
    assert kind is Unreachable
    assert "the connection was refused, by it or by the proxy of `http_client`" in text


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "http://a..b/v1"])
def test_an_address_that_leads_nowhere_is_unreachable(url: str, twin: Caller) -> None:
    assert raised_by(twin, {"api_base": url, "api_key": "k"})[0] is Unreachable


def test_a_key_that_no_header_can_carry_is_unreachable(upstream: Upstream, twin: Caller) -> None:
    kind, text = raised_by(twin, {**at(upstream), "api_key": "sk-ключ\n"})
    assert kind is Unreachable
    assert "sk-" not in text


def test_a_response_that_is_too_long_is_not_held(twin: Caller) -> None:
    def handler(_: Any) -> Any:
        body = gzip.compress(b"x" * 40_000_000)  # more than the 32 MB that one response may have
        return twin.package.Response(200, headers={"content-encoding": "gzip"}, content=body)

    assert raised_by(twin, {"api_key": "k"}, **twin.mock(handler))[0] is Oversized


def test_a_body_that_breaks_is_an_error_of_fanouts(twin: Caller) -> None:
    def handler(_: Any) -> Any:
        content = later() if twin.is_async else now()
        return twin.package.Response(200, content=content)

    async def later() -> AsyncIterator[bytes]:
        yield b"half"
        raise twin.package.ReadError("marker")

    def now() -> Iterator[bytes]:
        yield b"half"
        raise twin.package.ReadError("marker")

    kind, text = raised_by(twin, {"api_key": "k"}, **twin.mock(handler))
    assert kind is fanout.errors.Broken
    assert "marker" not in text


def test_a_closed_client_is_an_error_that_says_so(upstream: Upstream) -> None:
    for kind in (httpx2.Client, httpx.Client):
        client = kind()
        client.close()
        options: dict[str, Any] = {**at(upstream), "http_client": client}
        with pytest.raises(RequestError, match="`http_client` is closed"):
            fanout.completion("openai/m", HI, **options)
        found = fanout.batch_completion("openai/m", [HI], **options)
        assert [str(one).split(":")[0] for one in found] == ["`http_client` is closed"]
        with pytest.raises((RequestError, AllFailed), match="`http_client` is closed"):
            fanout.batch_completion_models(["openai/m", "openai/n"], HI, **options)
    assert upstream.calls == []


def test_a_stream_read_after_the_client_is_closed_says_so(upstream: Upstream) -> None:
    upstream.script("m", answers())

    async def main() -> None:
        async with httpx2.AsyncClient() as client:
            options: dict[str, Any] = {**at(upstream), "http_client": client}
            stream = (await fanout.abatch_completion("openai/m", [HI], stream=True, **options))[0]
        with pytest.raises(RequestError, match="`http_client` is closed"):
            async for _ in stream:
                pass

    asyncio.run(main())


@pytest.mark.parametrize("value", [object(), "httpx", httpx2.MockTransport(lambda _: None)])  # type: ignore[arg-type]
def test_what_is_no_client_is_rejected(value: object) -> None:
    with pytest.raises(RequestError, match="must be a client of httpx or httpx2") as raised:
        fanout.completion("openai/m", HI, http_client=value)  # type: ignore[call-overload]
    assert raised.value.param == "http_client"


def test_a_class_derived_from_a_client_is_one(upstream: Upstream) -> None:
    class Corporate(httpx.Client):
        pass

    upstream.script("m", answers("Hi"))
    with Corporate() as client:
        options: dict[str, Any] = {**at(upstream), "http_client": client}
        assert content(fanout.completion("openai/m", HI, **options)) == "Hi"


def test_one_client_serves_many_calls_over_its_connections(upstream: Upstream) -> None:
    upstream.script("m", answers("Hi"))
    before = upstream.connections
    with httpx2.Client() as client:
        options: dict[str, Any] = {**at(upstream), "http_client": client}
        for _ in range(3):
            fanout.completion("openai/m", HI, **options)
    assert upstream.connections == before + 1
