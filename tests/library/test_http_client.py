"""`http_client=`: the user's own client of httpx or httpx2 sends the requests."""

from __future__ import annotations

import asyncio
import gzip
import json
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import httpx2
import pytest

import fanout
from fanout.errors import (
    Malformed,
    RateLimited,
)
from tests.library.client_caller import KINDS, Caller
from tests.library.test_interrupted import script
from tests.library.ways import HI, at, content, kind_of, says, spoken
from tests.support.forward_proxy import open_proxy
from tests.support.mutual_tls import MutualTLS, open_mutual_tls
from tests.support.patience import PATIENCE
from tests.support.provider_steps import (
    answers,
    called,
    hang,
    opens,
    refuse,
    reply,
    role,
    say,
    stalls,
    stop,
    wait,
)
from tests.support.scripted_provider import Upstream
from tests.support.wire_formats import WIRE_FORMATS

# ---- every function ----


def test_completion_is_sent_by_the_client(upstream: Upstream, caller: Caller) -> None:
    upstream.script("m", answers("Hi"))
    sent: list[Any] = []
    found = caller("completion", "openai/m", HI, using=caller.hooks(sent), **at(upstream))
    assert content(found) == "Hi"
    assert [str(request.url) for request in sent] == [f"{upstream.url}/v1/chat/completions"]


def test_batch_completion_is_sent_by_the_client_in_order(
    upstream: Upstream, caller: Caller
) -> None:
    upstream.script("m", answers("Hi"))
    sent: list[Any] = []
    prompts = [says(str(number)) for number in range(20)]
    found = caller(
        "batch_completion", "openai/m", prompts, using=caller.hooks(sent), **at(upstream)
    )
    assert [content(one) for one in found] == ["Hi"] * 20
    assert len(sent) == 20


def test_a_race_is_sent_by_the_client_and_its_loser_is_closed(
    upstream: Upstream, caller: Caller
) -> None:
    asked = upstream.gate()
    upstream.script("slow", stalls(role, say("I"), opens(asked)))
    upstream.script("fast", [wait(asked), *answers("F")])
    sent: list[Any] = []
    models = ["openai/slow", "openai/fast"]
    using = caller.hooks(sent)
    found = caller("batch_completion_models", models, HI, using=using, **at(upstream))
    assert (content(found), found.model, len(sent)) == ("F", "openai/fast", 2)
    upstream.wait_disconnected("slow")


def test_all_responses_are_sent_by_the_client_and_a_failure_is_in_its_place(
    upstream: Upstream, caller: Caller
) -> None:
    upstream.script("a", answers("A"))
    upstream.script("b", [refuse(429, "busy")])
    models = ["openai/a", "openai/b"]
    found = caller(
        "batch_completion_models_all_responses", models, HI, num_retries=0, **at(upstream)
    )
    assert content(found[0]) == "A"
    assert kind_of(found[1]) is RateLimited


def test_a_stream_arrives_piece_by_piece(upstream: Upstream, caller: Caller) -> None:
    upstream.script("m", answers("Hel", "lo"))
    chunks = caller.read("completion", "openai/m", HI, **at(upstream))
    assert spoken(chunks) == "Hello"


def test_a_chunk_arrives_before_the_response_has_ended(upstream: Upstream, twin: Caller) -> None:
    gate = upstream.gate()
    upstream.script("m", [role, say("Hel"), wait(gate), say("lo"), stop])

    async def main() -> str:
        client = twin.kind()
        options: dict[str, Any] = {**at(upstream), "http_client": client}
        stream = await fanout.acompletion("openai/m", HI, stream=True, **options)
        chunks = []
        async for chunk in stream:
            chunks.append(chunk)
            if spoken(chunks) == "Hel":
                gate.open()
        await client.aclose() if twin.is_async else client.close()
        return spoken(chunks)

    assert asyncio.run(main()) == "Hello"


# ---- cancelled ----


@pytest.mark.parametrize("kind", [httpx2.AsyncClient, httpx.AsyncClient])
def test_an_async_clients_call_is_closed_before_its_response_starts(
    upstream: Upstream, kind: Any
) -> None:
    upstream.script("slow", stalls())
    upstream.script("fast", [called(upstream, "slow"), *answers("F")])
    caller = Caller(kind, is_twin=True)
    found = caller("batch_completion_models", ["openai/slow", "openai/fast"], HI, **at(upstream))
    assert content(found) == "F"
    upstream.wait_disconnected("slow")


@pytest.mark.parametrize("kind", [httpx2.Client, httpx.Client])
def test_a_sync_clients_caller_does_not_wait_for_the_loser_which_is_closed_when_it_responds(
    upstream: Upstream, kind: Any
) -> None:
    asked, gate = upstream.gate(), upstream.gate()
    upstream.script("slow", [opens(asked), wait(gate), role, say("late"), hang])
    upstream.script("fast", [wait(asked), *answers("F")])
    caller = Caller(kind, is_twin=True)
    models = ["openai/slow", "openai/fast"]

    async def main() -> Any:
        with kind() as client:
            options: dict[str, Any] = {**at(upstream), "http_client": client}
            found = await fanout.abatch_completion_models(models, HI, **options)
            assert upstream.calls_to("slow")[0].disconnected_at is None
            gate.open()
            await asyncio.to_thread(upstream.wait_disconnected, "slow")
            return found

    assert caller.is_async is False
    assert content(asyncio.run(main())) == "F"


@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c_ends_the_call_and_the_process(upstream: Upstream, kind: Any) -> None:
    upstream.script("a", stalls())
    name = f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
    body = f"""
        import httpx, httpx2
        try:
            completion("openai/a", HI, http_client={name}(), **AT)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """
    process = script(upstream, body)
    try:
        upstream.wait_called("a")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert out == "interrupted\n"
    upstream.wait_disconnected("a")


async def read_one_chunk(upstream: Upstream, twin: Caller, **using: Any) -> None:
    """Read one chunk of a stream, leave it, and wait until the provider has lost its caller."""
    client = twin.kind(**using)
    options: dict[str, Any] = {**at(upstream), "http_client": client}
    async with await fanout.acompletion("openai/m", HI, stream=True, **options) as stream:
        await anext(stream)
    await asyncio.to_thread(upstream.wait_disconnected, "m")
    await client.aclose() if twin.is_async else client.close()


def test_a_stream_that_is_left_early_is_closed(upstream: Upstream, twin: Caller) -> None:
    upstream.script("m", stalls(role, say("Hel")))
    asyncio.run(read_one_chunk(upstream, twin))


def test_a_stream_over_tls_that_is_left_early_is_closed(mutual: MutualTLS, twin: Caller) -> None:
    mutual.upstream.script("m", stalls(role, say("Hel")))
    asyncio.run(read_one_chunk(mutual.upstream, twin, verify=mutual.context()))


# ---- what the client brings ----


def test_the_clients_headers_and_query_are_sent_and_fanouts_headers_rule(
    upstream: Upstream, caller: Caller
) -> None:
    upstream.script("m", answers())
    using = {"headers": {"x-team": "search", "authorization": "Bearer other"}, "params": {"t": "1"}}
    caller("completion", "openai/m", HI, using=using, **at(upstream))
    sent = upstream.calls_to("m")[0]
    assert (sent.headers["x-team"], sent.headers["authorization"]) == ("search", "Bearer sk-test")
    assert sent.headers["content-type"] == "application/json"
    assert sent.path == "/v1/chat/completions?t=1"


def test_the_clients_authentication_and_cookies_are_sent(
    upstream: Upstream, caller: Caller
) -> None:
    upstream.script("m", answers())
    using = {"auth": ("user", "password"), "cookies": {"sso": "1"}}
    caller("completion", "openai/m", HI, using=using, **at(upstream))
    headers = upstream.calls_to("m")[0].headers
    assert headers["authorization"].startswith("Basic ")
    assert headers["cookie"] == "sso=1"


def test_httpxs_default_timeout_is_replaced_and_the_users_is_kept(
    upstream: Upstream, caller: Caller
) -> None:
    upstream.script("m", answers())
    sent: list[Any] = []
    caller("completion", "openai/m", HI, using=caller.hooks(sent), **at(upstream))
    using = {**caller.hooks(sent), "timeout": 7.0}
    caller("completion", "openai/m", HI, using=using, **at(upstream))
    assert [request.extensions["timeout"]["read"] for request in sent] == [3600.0, 7.0]


def test_a_recording_is_played_by_a_mock_transport(caller: Caller) -> None:
    def handler(request: Any) -> Any:
        asked = json.loads(request.content)
        body = WIRE_FORMATS["openai"].whole(asked["model"], "Recorded")
        headers = {"content-encoding": "gzip"}
        return caller.package.Response(200, headers=headers, content=gzip.compress(body))

    found = caller("completion", "openai/m", HI, using=caller.mock(handler), api_key="k")
    assert content(found) == "Recorded"


def test_a_redirect_is_not_followed_although_the_client_would(
    upstream: Upstream, caller: Caller
) -> None:
    upstream.script("m", [reply(307, b"", {"location": f"{upstream.url}/elsewhere"})])
    using = {"follow_redirects": True}
    with pytest.raises(fanout.FanoutError) as raised:
        caller("completion", "openai/m", HI, using=using, num_retries=0, **at(upstream))
    assert kind_of(raised.value) is Malformed
    assert len(upstream.calls) == 1


# ---- certificates and proxies ----


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MutualTLS]:
    with open_mutual_tls(tmp_path_factory.mktemp("tls")) as opened:
        yield opened


def test_the_client_shows_its_certificate(mutual: MutualTLS, caller: Caller) -> None:
    mutual.upstream.script("m", answers("Hel", "lo"))
    to, using = at(mutual.upstream), {"verify": mutual.context()}
    assert content(caller("completion", "openai/m", HI, using=using, **to)) == "Hello"
    assert spoken(caller.read("completion", "openai/m", HI, using=using, **to)) == "Hello"


def test_without_its_certificate_no_call_reaches_the_provider(
    mutual: MutualTLS, caller: Caller
) -> None:
    mutual.upstream.reset()
    using = {"verify": mutual.context(certificate=False)}
    with pytest.raises(fanout.FanoutError) as raised:
        caller("completion", "openai/m", HI, using=using, num_retries=0, **at(mutual.upstream))
    assert raised.value.status == 502
    assert "requires a client certificate" in str(raised.value)  # whether an alert comes or a reset
    assert "give `http_client` one" in str(raised.value)
    assert mutual.upstream.calls == []


def test_the_clients_proxy_carries_every_call(mutual: MutualTLS, caller: Caller) -> None:
    mutual.upstream.script("m", answers("Hi"))
    with open_proxy() as proxy:
        using = {"verify": mutual.context(), "proxy": proxy.url}
        prompts = [says("1"), says("2")]
        options = {"max_workers": 1, **at(mutual.upstream)}
        found = caller("batch_completion", "openai/m", prompts, using=using, **options)
    assert [content(one) for one in found] == ["Hi", "Hi"]
    host = mutual.upstream.url.removeprefix("https://")
    assert proxy.targets == [f"CONNECT {host}"]  # one tunnel, which both calls share
    assert b"sk-test" not in b"".join(proxy.heads)
