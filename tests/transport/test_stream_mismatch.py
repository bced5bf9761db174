"""Responses in another form than the request asked for: they are paid, so they arrive."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from fanout.config.deployment import Deployment, make_deployment
from fanout.config.model import ModelParams
from fanout.errors import Broken, ProviderError, RateLimited
from fanout.gateway.factory import make_transport
from fanout.schema.accumulator import ChunkAccumulator
from fanout.schema.validation import parse_chat
from fanout.settings import Settings
from fanout.transport.client import Transport
from tests.support.scripted_engine import Reply, Script, ScriptedEngine
from tests.support.virtual_clock import run

GOLDEN = Path(__file__).parents[1] / "providers" / "golden"
HELLO = parse_chat({"messages": [{"role": "user", "content": "Hi"}]})
BOM = b"\xef\xbb\xbf"
VENDORS = ["openai", "groq", "anthropic", "gemini", "cohere"]
STREAMS = {
    "openai": "openai/parallel-tools-stream",
    "groq": "openai/parallel-tools-stream",
    "anthropic": "anthropic/parallel-tools",
    "gemini": "gemini/text",
    "cohere": "cohere/parallel-tools",
}


def deployed(vendor: str, body: Iterable[bytes]) -> tuple[Transport, Deployment]:
    params = ModelParams(model=f"{vendor}/m", api_key="k", api_base="http://a.test/v1")
    reply = Reply(200, list(body))
    engine = ScriptedEngine(a=Script(reply, reply))
    return make_transport(Settings(), engine), make_deployment("m", params, {}, {})


def plain(vendor: str, *body: bytes) -> Any:
    transport, deployment = deployed(vendor, body)

    async def call() -> Any:
        return (await transport.chat(deployment, HELLO)).completion

    return run(call())


def streamed(vendor: str, *body: bytes) -> Any:
    transport, deployment = deployed(vendor, body)
    accumulator = ChunkAccumulator()

    async def call() -> None:
        async with transport.stream(deployment, HELLO) as opened:
            async for chunk in opened.chunks:
                accumulator.add(chunk)

    run(call())
    return accumulator.completion()


def recorded(vendor: str) -> bytes:
    return (GOLDEN / STREAMS[vendor] / "stream.txt").read_bytes()


def values(vendor: str) -> list[bytes]:
    """The JSON of each event."""
    lines = recorded(vendor).splitlines()
    return [line.removeprefix(b"data: ") for line in lines if line.startswith(b"data: {")]


def with_marks(vendor: str) -> bytes:
    return b"\n\n".join(BOM + event for event in recorded(vendor).split(b"\n\n"))


def without_empty_lines(vendor: str) -> bytes:
    return b"\n".join(line for line in recorded(vendor).splitlines() if line) + b"\n"


def json_lines(vendor: str) -> bytes:
    return b"\n".join(values(vendor)) + b"\n"


def json_list(vendor: str) -> bytes:
    return b"[" + b",\n".join(values(vendor)) + b"]"


@pytest.mark.parametrize("frame", [with_marks, without_empty_lines, json_lines, json_list])
@pytest.mark.parametrize("vendor", VENDORS)
def test_a_stream_in_another_framing_arrives(vendor: str, frame: Callable[[str], bytes]) -> None:
    """A byte order mark for each event, no empty lines between events, JSON lines, and a list."""
    expected = streamed(vendor, recorded(vendor))
    assert expected["choices"][0]["finish_reason"]
    assert streamed(vendor, frame(vendor)) == expected


@pytest.mark.parametrize("frame", [recorded, with_marks, json_lines, json_list])
@pytest.mark.parametrize("vendor", VENDORS)
def test_a_stream_instead_of_a_response_is_joined(
    vendor: str, frame: Callable[[str], bytes]
) -> None:
    assert plain(vendor, frame(vendor)) == streamed(vendor, recorded(vendor))


@pytest.mark.parametrize("vendor", [name for name in VENDORS if name != "gemini"])
def test_half_a_stream_is_no_response(vendor: str) -> None:
    events = recorded(vendor).split(b"\n\n")
    with pytest.raises(Broken, match="before the response was complete"):
        plain(vendor, b"\n\n".join(events[: len(events) // 2]))


def test_an_error_inside_a_stream_is_that_error() -> None:
    fault = json.dumps({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}).encode()
    for body in (b"data: " + fault, values("openai")[0] + b"\n" + fault):
        with pytest.raises(RateLimited, match="slow down"):
            plain("openai", body + b"\n\n")


@pytest.mark.parametrize("body", [b"<html>data: 1</html>", b'{"a":\n{"b": 1}}', b"[]", b"[1]", b""])
def test_what_is_no_stream_is_no_response(body: bytes) -> None:
    with pytest.raises(ProviderError, match="not in the format"):
        plain("openai", body)


@pytest.mark.parametrize("odd", [..., None, "", 7])
def test_a_stream_of_google_may_end_without_a_finish_reason(odd: Any) -> None:
    """The tokens of the response are in the usage once there are some."""
    body = recorded("gemini")
    events = [json.loads(value) for value in values("gemini")]
    whole = streamed("gemini", body)
    del events[-1]["candidates"][0]["finishReason"]
    if odd is not ...:
        events[-1]["candidates"][0]["finishReason"] = odd
    unmarked = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    ended = streamed("gemini", unmarked)
    if odd != 7:  # whether the response is whole is unknown
        whole = json.loads(json.dumps(whole).replace('"stop"', '"length"'))
    assert json.loads(json.dumps(ended)) == json.loads(json.dumps(whole))
    events[-1]["usageMetadata"] = {"promptTokenCount": 4, "totalTokenCount": 4}
    events[-1]["candidates"][0].pop("finishReason", None)
    broken = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    with pytest.raises(Broken):
        streamed("gemini", broken)
