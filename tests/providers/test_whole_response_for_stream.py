"""A provider that responds to `"stream": true` with a whole JSON response."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fanout.config.deployment import make_deployment
from fanout.config.model import ModelParams
from fanout.errors import Malformed, ProviderError
from fanout.gateway.factory import make_transport
from fanout.schema.accumulator import ChunkAccumulator
from fanout.schema.chat import ChatChunk
from fanout.schema.validation import parse_chat
from fanout.settings import Settings
from tests.support.scripted_engine import Reply, Script, ScriptedEngine, whole
from tests.support.virtual_clock import run

GOLDEN = Path(__file__).parent / "golden"
HELLO = parse_chat({"messages": [{"role": "user", "content": "Hi"}]})
JSON = {"content-type": "application/json"}


def cases() -> list[Any]:
    found = sorted(path.parent for path in GOLDEN.glob("*/*/response.json"))
    return [pytest.param(path, id=f"{path.parent.name}-{path.name}") for path in found]


def chunks(vendor: str, pieces: list[bytes], target: dict[str, Any]) -> list[ChatChunk]:
    """The chunks of a streamed call to which the provider responds with these bytes."""
    options = target.get("options", {})
    params = {"api_key": "marker-key", "api_base": "http://a.test/v1", **options}
    model = target.get("model", "their-model")
    deployment = make_deployment(
        "our-name", ModelParams(model=f"{vendor}/{model}", **params), {}, {}
    )
    reply = Reply(200, pieces, headers=JSON)
    transport = make_transport(Settings(), ScriptedEngine(a=Script(reply, reply)))

    async def call() -> list[ChatChunk]:
        async with transport.stream(deployment, HELLO) as opened:
            return [chunk async for chunk in opened.chunks]

    return run(call())


@pytest.mark.parametrize("case", cases())
def test_a_whole_response_becomes_a_stream_of_its_own_pieces(case: Path) -> None:
    """Content, reasoning, tool calls, finish reasons and usage: together, they are the response."""
    there = case / "target.json"
    target = json.loads(there.read_text()) if there.exists() else {}
    body = (case / "response.json").read_bytes()
    found = chunks(case.parent.name, [body], target)
    accumulator = ChunkAccumulator()
    for chunk in found:
        assert chunk["object"] == "chat.completion.chunk"
        accumulator.add(chunk)
    together: Any = accumulator.completion()
    chat = json.loads((case / "chat.json").read_text())
    assert without_nulls(together["choices"]) == without_nulls(chat["choices"])
    assert together.get("usage") == chat.get("usage")
    last = [choice["finish_reason"] for chunk in found for choice in chunk["choices"]]
    assert [reason for reason in last if reason] == [c["finish_reason"] for c in chat["choices"]]


def without_nulls(value: Any) -> Any:
    """The value without its empty fields; a choice's `delta` (Perplexity) is no part of it."""
    if isinstance(value, dict):
        kept = {name: without_nulls(one) for name, one in value.items() if name != "delta"}
        return {name: one for name, one in kept.items() if one not in (None, "")}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


def test_the_calls_of_a_whole_response_get_their_index() -> None:
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for n in range(2)
    ]
    choice = {"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": calls}}
    body = {"choices": [{**choice, "finish_reason": "tool_calls"}], "id": "c-1", "created": 5}
    found: list[Any] = chunks("openai", [json.dumps(body).encode()], {})
    deltas = found[0]["choices"][0]["delta"]["tool_calls"]
    assert [call["index"] for call in deltas] == [0, 1]
    assert {chunk["id"] for chunk in found} == {"c-1"}


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n \n"])
@pytest.mark.parametrize("size", [1, 7])
def test_it_may_come_in_any_pieces_and_after_white_space(start: bytes, size: int) -> None:
    body = start + whole("Hello")
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    found: list[Any] = chunks("openai", pieces, {})
    assert found[0]["choices"][0]["delta"]["content"] == "Hello"


@pytest.mark.parametrize("body", [b"{", b"{}", b"[]", b'{"hello": 1}', b'{"choices": 1}'])
def test_json_that_is_neither_a_response_nor_an_error_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        chunks("openai", [body], {})


def test_an_error_without_any_known_name_keeps_its_words_and_its_status() -> None:
    with pytest.raises(ProviderError) as caught:
        chunks("openai", [b'{"error": {"message": "the cat sleeps", "code": 429}}'], {})
    assert (caught.value.status, str(caught.value)) == (429, "`our-name`: the cat sleeps")
