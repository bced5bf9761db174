"""A body is complete when its bytes say so: the engine does not wait for the end of its stream."""

from __future__ import annotations

import asyncio

import pytest
import trustme

from fanout.transport.connection_pool import PyqwestEngine
from fanout.wire.http import WireResponse
from tests.support.provider_steps import end, hang, wait
from tests.support.scripted_provider import Call, Script, Step, Upstream
from tests.transport.engine_calls import engine, outgoing

BODY = b'{"content": "a } in a text", "more": {}}'
JSON = {"content-type": "application/json; charset=utf-8"}
KNOWN = {"content-type": "application/octet-stream", "content-length": str(len(BODY))}


def parts(headers: dict[str, str], *bodies: bytes) -> Script:
    """A head and parts of a body, without its end."""

    async def step(call: Call) -> None:
        call.write_head(200, headers)
        for body in bodies:
            call.piece(body)
            await call.writer.drain()

    return [step]


async def send(made: PyqwestEngine, upstream: Upstream) -> WireResponse:
    return await made.send(outgoing(upstream, "a"))


@pytest.mark.parametrize("headers", [JSON, KNOWN], ids=["JSON", "known length"])
def test_a_complete_body_is_returned_before_its_stream_ends_and_the_stream_is_not_reset(
    http2: Upstream, ca: trustme.CA, headers: dict[str, str]
) -> None:
    gate = http2.gate()
    http2.script("a", [*parts(headers, BODY[:20], BODY[20:]), wait(gate), end])

    async def run() -> WireResponse:
        async with engine(ca) as made:
            response = await send(made, http2)
            gate.open()
            await asyncio.to_thread(http2.wait, lambda: http2.calls[0].ended)
            return response

    assert asyncio.run(run()).body == BODY
    assert http2.calls[0].disconnected_at is None


def test_a_stream_that_never_ends_is_closed(http2: Upstream, ca: trustme.CA) -> None:
    http2.script("a", [*parts(JSON, BODY), hang])

    async def run() -> None:
        async with engine(ca) as made:
            await send(made, http2)
            await asyncio.to_thread(http2.wait_disconnected, "a")

    asyncio.run(run())


@pytest.mark.parametrize(
    "bodies",
    [
        [b'{"a": "}', b'"}'],
        [b'{"a": {}', b"}"],
        [b" ", b'\n{"a": "b"}\n'],
        [b'{"a": "', *[b"b" * 16_000] * 5, b'"}'],
        [b"[1", b"]"],
        [b"not {JSON}", b" at all"],
        [b'{"a": ' * 2000 + b"1" + b"}" * 1000, b"}" * 1000],
    ],
    ids=["in a text", "in an object", "space", "large", "an array", "not JSON", "deep"],
)
@pytest.mark.parametrize("kind", ["plain", "http2"])
def test_a_body_in_parts_is_read_whole(
    kind: str, bodies: list[bytes], ca: trustme.CA, request: pytest.FixtureRequest
) -> None:
    upstream: Upstream = request.getfixturevalue(kind)
    chunked = {"transfer-encoding": "chunked"} if kind == "plain" else {}
    steps: list[Step] = [*parts({**JSON, **chunked}, *bodies), end]
    upstream.script("a", steps)

    async def run() -> list[bytes]:
        async with engine(ca) as made:
            return [(await send(made, upstream)).body for _ in range(10)]

    assert asyncio.run(run()) == [b"".join(bodies)] * 10
    assert upstream.connections <= 3  # one may be opened before the last is back in the pool
