"""Scripts of a provider with OpenAI's chat completions, for tests of the Responses API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.scripted_provider import Call, Script, Step
from tests.support.wire_formats import USAGE

WEATHER = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city":"Paris"}'},
}


def responds(message: Mapping[str, Any], finish_reason: str = "stop", **choice: Any) -> Script:
    """A complete response with this message, plain or in pieces of three characters."""

    async def step(call: Call) -> None:
        head = {"id": f"chatcmpl-{call.model}", "created": 1_700_000_000, "model": call.model}
        end = {"finish_reason": finish_reason, "index": 0}
        if not call.streams:
            whole = {"role": "assistant", "content": None, "refusal": None, **message}
            body = {
                **head,
                "object": "chat.completion",
                "choices": [{"message": whole, **end, **choice}],
                "usage": USAGE,
            }
            call.whole(200, json.dumps(body).encode(), {"content-type": "application/json"})
            return
        parts = [{"index": 0, "delta": delta, **choice} for delta in deltas(message)]
        for choices in ([part] for part in [*parts, {"delta": {}, **end}]):
            chunk = {**head, "object": "chat.completion.chunk", "choices": choices}
            call.piece(b"data: %b\n\n" % json.dumps(chunk).encode())
        last = {**head, "object": "chat.completion.chunk", "choices": [], "usage": USAGE}
        call.piece(b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(last).encode())
        call.end()

    return [step]


def deltas(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The message in the pieces of a stream."""
    yield {"role": "assistant", "content": ""}
    for name in ("reasoning_content", "content", "refusal"):
        for text in pieces(message.get(name) or ""):
            yield {name: text}
    if message.get("annotations"):
        yield {"annotations": message["annotations"]}
    if message.get("images"):
        yield {"images": message["images"]}
    for index, call in enumerate(message.get("tool_calls") or ()):
        kind = call["type"]
        field = "input" if kind == "custom" else "arguments"
        yield {"tool_calls": [{"index": index, **call, kind: {**call[kind], field: ""}}]}
        for text in pieces(call[kind][field]):
            yield {"tool_calls": [{"index": index, kind: {field: text}}]}


def pieces(text: str) -> list[str]:
    """The text in pieces of three characters."""
    return [text[i : i + 3] for i in range(0, len(text), 3)]


def breaks(*deltas: Mapping[str, Any]) -> list[Step]:
    """A stream that ends without its end after these deltas."""

    async def step(call: Call) -> None:
        for delta in deltas:
            call.piece(call.wire_format.delta(call.model, delta))
        call.end()

    return [step]
