"""The engine over real sockets: protocols, shared connections, and errors."""

from __future__ import annotations

import asyncio
from time import perf_counter

import pytest
import trustme

from fanout.transport.connection_pool import PyqwestEngine
from fanout.transport.engine import (
    ConnectionLost,
    Outgoing,
)
from fanout.wire.http import WireResponse
from tests.support.patience import TRIES
from tests.support.provider_steps import (
    answers,
    cut,
    end,
    hang,
    head,
    reply,
    role,
    say,
    stalls,
    stop,
    wait,
)
from tests.support.scripted_provider import Script, Upstream, open_upstream
from tests.transport.engine_calls import (
    SendWay,
    each_way,
    engine,
    outgoing,
    send_streamed,
    serve_tls,
)

LIMIT = 0.1
"""Seconds within which a cancelled call must be closed."""

# ---- protocols ----


@each_way
def test_a_provider_that_speaks_only_http_1_is_called_over_http_1(
    http1: Upstream, ca: trustme.CA, way: SendWay
) -> None:
    http1.script("a", answers("Hello"))

    async def run() -> list[WireResponse]:
        async with engine(ca) as made:
            return [await way(made, outgoing(http1, "a")) for _ in range(20)]

    responses = asyncio.run(run())
    assert [response.status for response in responses] == [200] * 20
    assert b"Hello" in responses[0].body
    assert [call.protocol for call in http1.calls] == ["http/1.1"] * 20
    assert http1.connections < 10  # one tried HTTP/2; the others are reused


def test_a_server_without_alpn_is_called_over_http_1(ca: trustme.CA) -> None:
    async def run(upstream: Upstream) -> WireResponse:
        async with engine(ca) as made:
            return await made.send(outgoing(upstream, "a"))

    with open_upstream(serve_tls(ca)) as upstream:
        upstream.script("a", answers("Hello"))
        assert asyncio.run(run(upstream)).status == 200
        assert [call.protocol for call in upstream.calls] == ["http/1.1"]


@each_way
def test_http_2_carries_many_calls_over_one_connection(
    http2: Upstream, ca: trustme.CA, way: SendWay
) -> None:
    http2.script("a", answers("Hello", after=0.05))

    async def run() -> list[WireResponse]:
        async with engine(ca) as made, asyncio.TaskGroup() as group:
            request = outgoing(http2, "a", stream=way is send_streamed)
            await way(made, request)
            tasks = [group.create_task(_later(way, made, request)) for _ in range(50)]
        return [task.result() for task in tasks]

    responses = asyncio.run(run())
    assert [response.status for response in responses] == [200] * 50
    assert all(b"Hello" in response.body for response in responses)
    assert {call.protocol for call in http2.calls} == {"h2"}
    assert http2.connections == 1


async def _later(way: SendWay, made: PyqwestEngine, request: Outgoing) -> WireResponse:
    return await way(made, request)


def test_more_calls_than_a_connection_may_carry_open_another(
    http2: Upstream, ca: trustme.CA
) -> None:
    all_called = http2.gate()
    http2.script("a", [wait(all_called), *answers()])

    async def run() -> int:
        async with engine(ca) as made, asyncio.TaskGroup() as group:
            tasks = [group.create_task(made.send(outgoing(http2, "a"))) for _ in range(250)]
            await asyncio.to_thread(http2.wait, lambda: len(http2.calls) == 250)
            all_called.open()
        return sum(task.result().status == 200 for task in tasks)

    assert asyncio.run(run()) == 250
    assert http2.connections == 3


def test_large_requests_and_responses_pass_over_http_2(http2: Upstream, ca: trustme.CA) -> None:
    http2.script("a", [reply(200, b"x" * 10_000)])

    async def run() -> WireResponse:
        async with engine(ca) as made:
            small = outgoing(http2, "a")
            big = b'{"model": "a", "pad": "' + b"x" * 3_000_000 + b'"}'
            return await made.send(Outgoing("POST", small.url, small.headers, big))

    assert len(asyncio.run(run()).body) == 10_000
    assert len(http2.calls[0].raw) > 3_000_000


def test_a_lost_connection_is_replaced(http2: Upstream, ca: trustme.CA) -> None:
    http2.script("a", answers("Hello"), [cut], answers("again"))

    async def run() -> WireResponse:
        async with engine(ca) as made:
            await made.send(outgoing(http2, "a"))
            with pytest.raises(ConnectionLost):
                await made.send(outgoing(http2, "a"))
            return await made.send(outgoing(http2, "a"))

    assert b"again" in asyncio.run(run()).body
    assert http2.connections == 2


# ---- cancelling ----


@pytest.mark.parametrize("kind", ["plain", "http1", "http2"])
@pytest.mark.parametrize("script", [[hang], [head, hang], [role, say("Hel"), hang]])
@pytest.mark.parametrize("known", [1, 20])
@each_way
def test_cancelling_a_call_closes_its_stream_at_once(
    kind: str,
    script: Script,
    known: int,
    ca: trustme.CA,
    way: SendWay,
    request: pytest.FixtureRequest,
) -> None:
    upstream: Upstream = request.getfixturevalue(kind)
    upstream.script("a", script)
    upstream.script("b", answers())

    async def leave(made: PyqwestEngine) -> float:
        call = outgoing(upstream, "a", stream=True)
        upstream.calls.clear()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_later(way, made, call))
            await asyncio.to_thread(upstream.wait_called, "a")
            left = perf_counter()
            task.cancel()
        await asyncio.to_thread(upstream.wait_disconnected, "a")
        return (upstream.calls[0].disconnected_at or 0.0) - left

    async def run() -> float:
        async with engine(ca) as made:
            for _ in range(known):
                await made.send(outgoing(upstream, "b"))
            least = await leave(made)
            for _ in range(TRIES):
                if least >= LIMIT:
                    least = min(least, await leave(made))
            return least

    assert asyncio.run(run()) < LIMIT


def test_other_calls_keep_their_connection_when_one_is_cancelled(
    http2: Upstream, ca: trustme.CA
) -> None:
    closed = http2.gate()
    http2.script("a", stalls(role, say("Hel")))
    http2.script("b", [role, say("Hel"), wait(closed), say("lo"), stop])

    async def run() -> WireResponse:
        async with engine(ca) as made, asyncio.TaskGroup() as group:
            kept = group.create_task(send_streamed(made, outgoing(http2, "b", stream=True)))
            await asyncio.to_thread(http2.wait_called, "b")
            async with made.stream(outgoing(http2, "a", stream=True)) as incoming:
                await anext(aiter(incoming.body))
            await asyncio.to_thread(http2.wait_disconnected, "a")
            closed.open()
        return kept.result()

    assert b"lo" in asyncio.run(run()).body
    assert http2.connections == 1


# ---- what is never done ----


@each_way
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_returned_and_not_followed(
    way: SendWay, plain: Upstream, status: int
) -> None:
    plain.script("a", [reply(status, b"", {"location": f"{plain.url}/elsewhere"})])

    async def run() -> WireResponse:
        async with engine() as made:
            return await way(made, outgoing(plain, "a"))

    response = asyncio.run(run())
    assert (response.status, response.headers["location"]) == (status, f"{plain.url}/elsewhere")
    assert len(plain.calls) == 1


def test_cookies_are_not_kept(plain: Upstream) -> None:
    plain.script("a", [reply(200, b"{}", {"set-cookie": "a=b", "content-length": "2"})])

    async def run() -> None:
        async with engine() as made:
            await made.send(outgoing(plain, "a"))
            await made.send(outgoing(plain, "a"))

    asyncio.run(run())
    assert "cookie" not in plain.calls[1].headers


def test_an_unread_stream_is_closed_at_the_end_of_its_block(plain: Upstream) -> None:
    plain.script("a", [*stalls(role, say("Hel"))])

    async def run() -> None:
        async with engine() as made, made.stream(outgoing(plain, "a", stream=True)) as incoming:
            assert incoming.status == 200

    asyncio.run(run())
    plain.wait_disconnected("a")


@pytest.mark.parametrize(("idle_timeout", "connections"), [(0.05, 2), (90.0, 1)])
def test_a_connection_that_is_idle_for_longer_than_the_limit_is_not_used_again(
    plain: Upstream, idle_timeout: float, connections: int
) -> None:
    plain.script("a", answers("Hello"))

    async def run() -> None:
        made = PyqwestEngine(idle_timeout=idle_timeout)
        with open_upstream() as other:
            other.script("b", answers("Hello", after=0.3))
            for upstream, model in ((plain, "a"), (other, "b"), (plain, "a")):
                await made.send(outgoing(upstream, model))
        await made.aclose()

    asyncio.run(run())
    assert plain.connections == connections


def test_the_connection_of_an_ended_stream_is_reused(plain: Upstream) -> None:
    plain.script("a", [role, end])

    async def run() -> None:
        async with engine() as made:
            for _ in range(20):
                await send_streamed(made, outgoing(plain, "a", stream=True))

    asyncio.run(run())
    assert len(plain.calls) == 20
    assert plain.connections < 10
