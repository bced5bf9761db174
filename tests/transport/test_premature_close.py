"""After a whole body, a broken connection costs nothing; a part of a body is no response."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.config.deployment import Deployment, make_deployment
from fanout.config.model import ModelParams
from fanout.errors import ProviderError
from fanout.gateway.factory import make_transport
from fanout.schema.accumulator import ChunkAccumulator
from fanout.schema.validation import parse_chat
from fanout.settings import Settings
from fanout.transport import stalled_response
from fanout.transport.engine import (
    ConnectionLost,
    Engine,
    Incoming,
    Outgoing,
    StreamedResponse,
)
from fanout.wire.http import WireRequest, WireResponse
from tests.providers.test_contract import cases, stream_of
from tests.providers.test_tolerant_reading import deployment_of as of_case
from tests.support.http2_server import StreamCall, frame
from tests.support.provider_steps import cut, raw, reset
from tests.support.scripted_engine import whole
from tests.support.scripted_provider import Call, Step, Upstream
from tests.transport.engine_calls import engine

HELLO = parse_chat({"messages": [{"role": "user", "content": "Hi"}]})
WHOLE = whole("Hello" * 20_000)  # too large to be tried as JSON after each part
INTERNAL_ERROR, GOAWAY = 2, 7


def deployment_of(upstream: Upstream) -> Deployment:
    params = ModelParams(model="openai/a", api_key="k", api_base=f"{upstream.url}/v1")
    return make_deployment("m", params, {}, {})


def http1(body: bytes, *headers: bytes) -> Step:
    return raw(b"HTTP/1.1 200 OK\r\n" + b"\r\n".join([*headers, b"", body]))


def http2(*headers: tuple[str, str], body: bytes = WHOLE) -> Step:
    async def step(call: Call) -> None:
        call.write_head(200, dict(headers))
        for start in range(0, len(body), 16_000):
            call.piece(body[start : start + 16_000])
        await call.writer.drain()

    return step


async def reset_stream(call: Call) -> None:
    assert isinstance(call, StreamCall)
    call.reset(INTERNAL_ERROR)


async def go_away(call: Call) -> None:
    call.writer.write(frame(GOAWAY, 0, 0, bytes(7) + b"\1" + INTERNAL_ERROR.to_bytes(4, "big")))


async def end_stream(call: Call) -> None:
    call.end()


PACKED = gzip.compress(WHOLE)
CHUNK = b"%x\r\n%b\r\n" % (len(WHOLE), WHOLE)
TOO_LONG = b"content-length: %d" % (len(WHOLE) + 9)
BREAKS: dict[str, list[tuple[str, list[Step]]]] = {
    "http1": [
        ("length", [http1(WHOLE, TOO_LONG), cut]),
        ("reset", [http1(WHOLE, TOO_LONG), reset]),
        ("chunk", [http1(CHUNK, b"transfer-encoding: chunked"), cut]),
        ("gzip", [http1(PACKED[:-8], b"content-encoding: gzip"), cut]),
    ],
    "http2": [
        ("length", [http2(("content-length", str(len(WHOLE) + 9))), end_stream]),
        ("reset", [http2(), reset_stream]),
        ("closed", [http2(), cut]),
        ("away", [http2(), go_away, cut]),
        ("gzip", [http2(("content-encoding", "gzip"), body=PACKED[:-8]), end_stream]),
    ],
}


async def too_long(call: Call) -> None:
    """A short response with a wrong length, over HTTP/2 in one frame, which the client rejects."""
    body = whole("Hello")
    if isinstance(call, StreamCall):
        call.one_frame(body, {"content-length": str(len(body) + 9)})
    else:
        call.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(body) + 9) + body)
        call.writer.close()


def test_a_server_whose_http2_loses_a_response_is_called_over_http1(
    ca: trustme.CA, http2: Upstream
) -> None:
    http2.script("a", [too_long], [too_long])

    async def run() -> str | None:
        async with engine(ca) as made:
            chat = make_transport(Settings(), made).chat
            with pytest.raises(ProviderError, match="may be billed"):
                await chat(deployment_of(http2), HELLO)
            return (await chat(deployment_of(http2), HELLO)).completion["choices"][0]["message"][
                "content"
            ]

    assert asyncio.run(run()) == "Hello"
    assert [call.protocol for call in http2.calls] == ["h2", "http/1.1"]


DAMAGED = PACKED[:-8] + bytes(8)


@pytest.mark.parametrize("kind", BREAKS)
def test_a_whole_response_over_tls_is_delivered_and_not_sent_again(
    kind: str, ca: trustme.CA, request: pytest.FixtureRequest
) -> None:
    upstream: Upstream = request.getfixturevalue(kind)

    async def run(steps: list[Step]) -> tuple[int, str | None, bool]:
        upstream.calls.clear()
        upstream.script("a", steps)
        async with engine(ca) as made:
            chat = make_transport(Settings(), made).chat
            found = await chat(deployment_of(upstream), HELLO)
        text = found.completion["choices"][0]["message"]["content"]
        return len(upstream.calls), text, found.broken_end

    expected = (1, "Hello" * 20_000, True)
    found = {how: asyncio.run(run(steps)) for how, steps in BREAKS[kind]}
    assert found == dict.fromkeys(found, expected)


@pytest.mark.parametrize("kind", BREAKS)
def test_a_body_that_is_damaged_is_not_delivered(
    kind: str, ca: trustme.CA, request: pytest.FixtureRequest
) -> None:
    """The checksum of the compression is wrong, so the text may be, too."""
    upstream: Upstream = request.getfixturevalue(kind)
    packed: list[Step] = [http1(DAMAGED, b"content-encoding: gzip"), cut]
    if kind == "http2":
        packed = [http2(("content-encoding", "gzip"), body=DAMAGED), end_stream]
    upstream.script("a", packed)

    async def run() -> None:
        async with engine(ca) as made:
            await make_transport(Settings(), made).chat(deployment_of(upstream), HELLO)

    with pytest.raises(ProviderError, match="connection to the provider broke"):
        asyncio.run(run())


def test_the_response_to_a_creation_is_used_and_a_file_of_lines_is_not() -> None:
    """A batch whose creation is known is not looked for; of a file, lines may be missing."""
    deployment = of_case(cases("response.json")[0].values[0])

    def exchanged(method: str, body: bytes) -> bytes:
        transport = make_transport(Settings(), Cut(body))
        wire = WireRequest("/batches", b"{}", method)
        return asyncio.run(transport.exchange(deployment, wire)).body

    assert exchanged("POST", b'{"id": "batch_1"}') == b'{"id": "batch_1"}'
    for method, body in (("POST", b'{"id": "ba'), ("GET", b'{"custom_id": "1"}')):
        with pytest.raises(ProviderError, match="connection"):
            exchanged(method, body)


class Slow(Engine):
    """An engine whose stream pauses, longer than a complete response is waited for."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def send(self, request: Outgoing) -> WireResponse:
        raise NotImplementedError

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        yield StreamedResponse(200, {}, self._body())

    async def _body(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
            await asyncio.sleep(0.05)
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        """Nothing is open."""


def test_a_stream_on_an_open_connection_ends_but_not_between_choices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A vendor may generate the choices one after the other."""
    monkeypatch.setattr(stalled_response, "QUIET", 0.01)

    def piece(index: int) -> bytes:
        choice = {"index": index, "delta": {"content": f"c{index}"}, "finish_reason": "stop"}
        return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"

    async def texts(n: int, count: int) -> list[str]:
        request = parse_chat({"messages": [{"role": "user", "content": "Hi"}], "n": n})
        transport = make_transport(Settings(), Slow([piece(index) for index in range(n)]))
        params = ModelParams(model="openai/a", api_key="k", api_base="http://provider.test/v1")
        deployment = make_deployment("m", params, {}, {})
        found: list[str] = []
        async with transport.stream(deployment, request) as opened:
            async for chunk in opened.chunks:
                found += [one["delta"].get("content") or "" for one in chunk["choices"]]
                if len("".join(found)) >= 2 * count and n > 1:
                    break
        return [one for one in found if one]

    async def run() -> list[list[str]]:
        async with asyncio.timeout(10):
            return [await texts(1, 1), await texts(2, 2)]

    assert asyncio.run(run()) == [["c0"], ["c0", "c1"]]


# ---- any body, cut at any byte ----


class Cut(Engine):
    """An engine whose connection breaks after these bytes."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        self._received = WireResponse(status, {}, body)

    async def send(self, request: Outgoing) -> WireResponse:
        error = ConnectionLost("the connection broke")
        error.received = self._received
        raise error

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        yield StreamedResponse(self._received.status, {}, self._pieces())

    async def _pieces(self) -> AsyncIterator[bytes]:
        yield self._received.body
        raise ConnectionLost("the connection broke")

    async def aclose(self) -> None:
        """Nothing is open."""


def result(case: Path, body: bytes, *, stream: bool, status: int = 200) -> Any:
    """The messages and finish reasons, or the error."""
    transport, deployment = make_transport(Settings(), Cut(body, status)), of_case(case)

    async def call() -> Any:
        if not stream:
            return (await transport.chat(deployment, HELLO)).completion["choices"]
        accumulator = ChunkAccumulator()
        async with transport.stream(deployment, HELLO) as opened:
            async for chunk in opened.chunks:
                accumulator.add(chunk)
        return accumulator.completion()["choices"]

    try:
        choices = asyncio.run(call())
    except ProviderError as error:
        return type(error).__name__, error.upstream
    return [(choice["message"], choice["finish_reason"]) for choice in choices]


BROKEN = ("Broken", None)
BODIES = [
    *((case.values[0], "whole") for case in cases("response.json")),
    *(
        (case.values[0], "stream")
        for case in cases("stream.txt") + cases("stream.hex")
        if case.id != "gemini-candidates"  # more of them than `HELLO` asks for
    ),
]


def values_of(stream: bytes) -> list[bytes]:
    return [line[6:] for line in stream.splitlines() if line.startswith(b"data: {")]


def body_of(case: Path, kind: str, framing: str) -> bytes:
    if kind == "whole":
        return (case / "response.json").read_bytes()
    body = stream_of(case)
    if framing == "lines" and (found := values_of(body)):
        return b"\n".join(found) + b"\n"
    return body


STEADY = settings(derandomize=True, deadline=None, max_examples=200)


@STEADY
@given(data=st.data())
def test_a_cut_body_is_whole_or_an_error(data: st.DataObject) -> None:
    case, kind = data.draw(st.sampled_from(BODIES))
    framing, stream = data.draw(st.sampled_from(["events", "lines"])), data.draw(st.booleans())
    body = body_of(case, kind, framing)
    expected = result(case, body, stream=stream)
    found = result(case, body[: data.draw(st.integers(0, len(body)))], stream=stream)
    assert found in (BROKEN, expected)
    assert expected != BROKEN


@STEADY
@given(data=st.data())
def test_a_cut_error_is_that_error_or_a_broken_connection(data: st.DataObject) -> None:
    case, stream = data.draw(st.sampled_from(BODIES))[0], data.draw(st.booleans())
    errors = json.loads((case.parent / "errors.json").read_text())
    error = data.draw(st.sampled_from([one for one in errors if isinstance(one["body"], dict)]))
    body, status = json.dumps(error["body"]).encode(), error.get("status") or 400
    expected = result(case, body, stream=stream, status=status)
    found = result(case, body[: data.draw(st.integers(0, len(body)))], stream=stream, status=status)
    assert found in (BROKEN, expected)
    assert expected[1] == status


@pytest.mark.parametrize("body", [b"", b" ", b"1", b'"Hello"', b"null", b"[]", b"[1]", b"true"])
def test_a_value_that_is_no_document_is_not_whole(body: bytes) -> None:
    case = cases("response.json")[0].values[0]
    for stream in (False, True):
        for status in (200, 400):
            assert result(case, body, stream=stream, status=status) == BROKEN
