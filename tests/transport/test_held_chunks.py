"""A chunk that waits for the next one is neither lost nor late: whatever follows, or nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from fanout.config.deployment import make_deployment
from fanout.config.model import ModelParams
from fanout.errors import ProviderError
from fanout.gateway.factory import make_transport
from fanout.schema.validation import parse_chat
from fanout.settings import Settings
from fanout.transport.engine import ConnectionLost, EngineError
from fanout.transport.held_chunks import HOLD_SECONDS
from tests.support.scripted_engine import Reply, Script, ScriptedEngine
from tests.support.virtual_clock import now, run

VENDORS = ["openai", "azure", "openai_like", "mistral", "bedrock"]
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error": {"message": "boom", "code": 500}}\n\n'


def piece(index: int, text: str = "", reason: str | None = None) -> bytes:
    delta = {"content": text} if text else {}
    choices = [{"index": index, "delta": delta, "finish_reason": reason}]
    return b"data: " + json.dumps({"id": "r", "choices": choices}).encode() + b"\n\n"


def received(
    vendor: str, body: Sequence[bytes | float | EngineError], n: int = 1
) -> tuple[list[tuple[float, int, str]], str]:
    """When each text arrived, its choice and its letters; and the error's class or an empty one."""
    model = "openai.gpt-oss-20b-1:0" if vendor == "bedrock" else "m"
    params: Any = {"model": f"{vendor}/{model}", "api_key": "k", "api_base": "http://a.test/v1"}
    deployment = make_deployment("m", ModelParams(**params), {}, {})
    reply = Reply(200, body)
    transport = make_transport(Settings(), ScriptedEngine(a=Script(reply, reply)))
    request = parse_chat({"messages": [{"role": "user", "content": "Hi"}], "n": n})
    found: list[tuple[float, int, str]] = []

    async def call() -> str:
        async with transport.stream(deployment, request) as opened:
            try:
                async for chunk in opened.chunks:
                    texts = [
                        (one["index"], one["delta"].get("content")) for one in chunk["choices"]
                    ]
                    found.extend((now(), index, text) for index, text in texts if text)
            except ProviderError as error:
                return type(error).__name__
        return ""

    return found, run(call())


CUT = ConnectionLost("cut")
ENDS: dict[str, tuple[list[Any], bool]] = {
    "error": ([ERROR], True),
    "cut": ([CUT], True),
    "closed": ([], True),
    "finish without a mark": ([piece(0, reason="stop")], False),
    "done": ([DONE], False),
}


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(("indexes", "n"), [((0, 1), 1), ((0, 2), 2), ((1, 2), 2)], ids=str)
def test_no_end_of_a_stream_loses_a_text(
    vendor: str, end: str, indexes: tuple[int, int], n: int
) -> None:
    last, fails = ENDS[end]
    found, error = received(vendor, [piece(indexes[0], "A"), piece(indexes[1], "B"), *last], n)
    assert "".join(text for _, _, text in found) == "AB"
    if n == 1 and end != "finish without a mark":
        assert bool(error) is fails
        assert {index for _, index, _ in found} == {0}


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(("indexes", "n"), [((0, 1), 1), ((0, 2), 2), ((1, 2), 2)], ids=str)
@pytest.mark.parametrize("pause", [HOLD_SECONDS / 2, 2.0, 60.0])
def test_a_text_waits_for_the_next_chunk_only_shortly(
    vendor: str, indexes: tuple[int, int], n: int, pause: float
) -> None:
    first, second = indexes
    body: list[Any] = [
        piece(first, "A"),
        pause,
        piece(second, "B"),
        pause,
        piece(second + 1, reason="stop"),
    ]
    found, _ = received(vendor, [*body, DONE], n)
    assert [text for _, _, text in found] == ["A", "B"]
    limits = [HOLD_SECONDS if first else 0.0, pause + HOLD_SECONDS]
    assert all(at <= limit for (at, _, _), limit in zip(found, limits, strict=True))


async def read(chunks: AsyncIterator[Any]) -> None:
    async for _ in chunks:
        pass


@pytest.mark.parametrize("index", [0, 1])
def test_a_caller_that_leaves_stops_the_reading(index: int) -> None:
    """Also while a chunk waits, which is read in a task of its own."""
    body: list[Any] = [piece(0, "A"), piece(index, "B"), 3600.0, DONE]

    async def call() -> float:
        params: Any = {"model": "openai_like/m", "api_base": "http://a.test/v1"}
        deployment = make_deployment("m", ModelParams(**params), {}, {})
        reply = Reply(200, body)
        transport = make_transport(Settings(), ScriptedEngine(a=Script(reply, reply)))
        request = parse_chat({"messages": [{"role": "user", "content": "Hi"}]})
        async with transport.stream(deployment, request) as opened:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(read(opened.chunks), HOLD_SECONDS * 3)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return now()

    assert run(call()) == HOLD_SECONDS * 3
