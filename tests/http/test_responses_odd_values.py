"""Odd values in requests and responses of the Responses API: a clear error, and never a bug."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import MsgspecError

from fanout.endpoints.base import RequestBody
from fanout.endpoints.responses.surface import SURFACE
from fanout.errors import FanoutError
from fanout.providers.base import BadWire, Target, WireError
from fanout.providers.openai.responses.response import decode_response
from fanout.providers.openai.responses.stream import ResponsesDecoder
from fanout.wire.http import WireEvent, WireResponse

RECORDED = json.loads((Path(__file__).parent / "responses_requests.json").read_text())
ODD: list[Any] = [None, -1, True, "", "x\né", [], {}, [None], [[1]], {"type": []}, 10**20]
TARGET = Target("n", "o3-pro")
ITEMS: list[dict[str, Any]] = [
    {
        "type": "reasoning",
        "id": "rs",
        "summary": [{"type": "summary_text", "text": "t"}],
        "encrypted_content": "g",
    },
    {
        "type": "message",
        "content": [
            {"type": "output_text", "text": "x", "annotations": [{"type": "url_citation"}]},
            {"type": "refusal", "refusal": "no"},
        ],
    },
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "custom_tool_call", "call_id": "d", "name": "f", "input": "x"},
]
RESPONSE: dict[str, Any] = {
    "id": "r",
    "created_at": 1,
    "status": "completed",
    "incomplete_details": {"reason": "x"},
    "model": "m",
    "output": ITEMS,
    "usage": {"input_tokens": 1, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 1}},
}
EVENTS: list[dict[str, Any]] = [
    {"type": "response.created", "response": RESPONSE},
    {"type": "response.output_text.delta", "output_index": 0, "delta": "x", "logprobs": []},
    *({"type": "response.output_item.added", "output_index": 1, "item": item} for item in ITEMS),
    {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": "x"},
    *({"type": "response.output_item.done", "output_index": 2, "item": item} for item in ITEMS),
    {"type": "response.output_text.annotation.added", "annotation": {"type": "url_citation"}},
    {"type": "response.completed", "response": RESPONSE},
]


def changed(value: Any) -> Iterator[Any]:
    """The value with each odd one in place of each of its parts."""
    for path in paths(value):
        for odd in ODD:
            copied = copy.deepcopy(value)
            place = copied
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = odd
            yield copied


def paths(value: Any) -> Iterator[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        yield (key,)
        if isinstance(inner, dict | list):
            yield from ((key, *rest) for rest in paths(inner))


def test_a_request_is_read_or_rejected() -> None:
    request = copy.deepcopy(RECORDED["codex-2-after-tool"]["body"])
    request["input"] = request["input"][-3:]
    request["tools"] = [{"type": "custom", "name": "c"}, *request["tools"][1:3]]
    request["text"] = {"format": {"type": "json_object"}, "verbosity": "low"}
    read = 0
    for body in changed(request):
        try:
            found = SURFACE.read(RequestBody(body, json.dumps(body).encode()))
        except FanoutError as error:
            SURFACE.error_body(error, "")
            continue
        read += 1
        assert all(name.isprintable() and name.isascii() for name in found.dropped)
    assert read > 100


def test_a_response_is_read_or_rejected() -> None:
    for value in changed(RESPONSE):
        try:
            decode_response(WireResponse(200, {}, json.dumps(value).encode()), TARGET)
        except (BadWire, WireError, MsgspecError):
            continue
    for event in (odd for usual in EVENTS for odd in changed(usual)):
        decoder = ResponsesDecoder(TARGET)
        try:
            for one in (EVENTS[0], event, EVENTS[-1]):
                list(decoder.feed(WireEvent(json.dumps(one).encode())))
        except (BadWire, WireError, MsgspecError):
            continue
