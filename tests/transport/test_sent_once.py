"""A request that was sent is not sent again by the engine, however its connection breaks."""

from __future__ import annotations

import asyncio

import pytest
import trustme

from fanout.transport.engine import ConnectionLost
from fanout.wire.http import WireResponse
from tests.support.http2_server import StreamCall
from tests.support.provider_steps import answers, cut, head, reset
from tests.support.scripted_provider import Call, Script, Upstream
from tests.transport.engine_calls import SendWay, each_way, engine, outgoing, send_streamed


def resets(code: int) -> Script:
    """The call's stream is reset with this code after the request was read."""

    async def step(call: Call) -> None:
        assert isinstance(call, StreamCall)
        call.reset(code)

    return [step]


REFUSED_STREAM, INTERNAL_ERROR, HTTP_1_1_REQUIRED = 7, 2, 13

BREAKS: dict[str, Script] = {
    "closed": [cut],
    "aborted": [reset],
    "after the head": [head, cut],
    "reset": resets(INTERNAL_ERROR),
}


@each_way
@pytest.mark.parametrize("earlier", [0, 1])
@pytest.mark.parametrize(
    ("kind", "how"),
    [
        (kind, how)
        for kind in ("plain", "http1", "http2")
        for how in BREAKS
        if kind == "http2" or how != "reset"  # HTTP/1.1 has no streams
    ],
)
def test_a_request_that_was_sent_is_not_sent_again_when_its_connection_breaks(
    way: SendWay,
    kind: str,
    earlier: int,
    how: str,
    ca: trustme.CA,
    request: pytest.FixtureRequest,
) -> None:
    upstream: Upstream = request.getfixturevalue(kind)
    upstream.script("a", *[answers("Hello")] * earlier, BREAKS[how], answers("again"))

    async def run() -> WireResponse:
        async with engine(ca) as made:
            call = outgoing(upstream, "a", stream=way is send_streamed)
            for _ in range(earlier):
                await way(made, call)
            with pytest.raises(ConnectionLost):
                await way(made, call)
            assert len(upstream.calls) == earlier + 1
            return await way(made, call)

    assert b"again" in asyncio.run(run()).body
    assert len(upstream.calls) == earlier + 2
    expected = "h2" if kind == "http2" else "http/1.1"
    assert {call.protocol for call in upstream.calls} == {expected}


@each_way
def test_a_stream_that_the_server_rejects_unread_is_sent_again_over_http_2(
    way: SendWay, http2: Upstream, ca: trustme.CA
) -> None:
    http2.script("a", resets(REFUSED_STREAM), answers("Hello"))

    async def run() -> WireResponse:
        async with engine(ca) as made:
            return await way(made, outgoing(http2, "a", stream=way is send_streamed))

    assert b"Hello" in asyncio.run(run()).body
    assert [call.protocol for call in http2.calls] == ["h2", "h2"]


@each_way
def test_a_server_may_require_http_1(way: SendWay, http2: Upstream, ca: trustme.CA) -> None:
    http2.script("a", resets(HTTP_1_1_REQUIRED), answers("Hello"))

    async def run() -> WireResponse:
        async with engine(ca) as made:
            return await way(made, outgoing(http2, "a", stream=way is send_streamed))

    assert b"Hello" in asyncio.run(run()).body
    assert [call.protocol for call in http2.calls] == ["h2", "http/1.1"]


def test_the_first_calls_to_a_server_without_http_2_ask_once_which_version_it_speaks(
    http1: Upstream, ca: trustme.CA
) -> None:
    http1.script("a", answers("Hello"))

    async def run() -> None:
        async with engine(ca) as made, asyncio.TaskGroup() as group:
            for _ in range(30):
                group.create_task(made.send(outgoing(http1, "a")))

    asyncio.run(run())
    assert len(http1.calls) == 30
    assert http1.connections < 30 + 15  # each call's own; not another one for each question
