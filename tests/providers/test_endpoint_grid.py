"""
The grid through each endpoint: a response goes back as `/v1/messages` or `/v1/responses` gave it.

What a vendor gets must be what it would get of the same conversation in chat completions, whose
grid is `test_history_grid.py`, and must pass the judge of its reference. The clients' own types
read each response, whole and streamed, and make the next request of it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

import anthropic
import openai.types.responses
from anthropic._models import construct_type as anthropic_value
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from openai._models import construct_type as openai_value

from fanout.endpoints.base import RequestBody, TranslatedRequest, find_surface
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.response_chunks import chunks_of
from fanout.schema.validation import parse_chat
from tests.providers.strict import anthropic_api
from tests.providers.strict.responses import all_messages
from tests.providers.test_history_grid import TARGETS, Judge, judged_as, tools_for

LIKE_OTHERS = {
    *("azure", "cerebras", "codestral", "dashscope", "fireworks_ai", "github", "local", "minimax"),
    *("nvidia_nim", "together_ai", "volcengine", "zai"),
}
"""Vendors whose rules of messages others of the grid have, too."""

GRID = [
    target
    for number, target in enumerate(TARGETS)
    if target[0] not in LIKE_OTHERS and target[:2] not in [one[:2] for one in TARGETS[:number]]
]
SURFACES = {name: find_surface(name) for name in ("messages", "responses")}
PNG = "iVBORw0KGgo="
URL = f"data:image/png;base64,{PNG}"
BLOCK: Any = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": PNG},
}
IMAGE: Any = {"type": "image_url", "image_url": {"url": URL}}
SCHEMA = {"type": "object", "properties": {}}
ITEM: Any = {"type": "input_image", "image_url": URL}

LOST = frozenset({
    "annotations", "audio", "citations", "content_parts", "context", "executed_tools",
    "function_call", "images", "parsed", "provider_specific_fields", "reasoning_steps",
    "search_results",
})  # fmt: skip
"""Fields of a message that have no place in the other APIs; Responses has annotations."""

OTHER = {
    *(
        (name, label)
        for name in SURFACES
        for label in ("openai function-call plain", "openai audio")
    ),
    ("messages", "openai broken arguments"),  # the SDK's parser of a stream leaves out what is cut
}
"""Responses whose content is in such a field, or changed: no vendor gets the same."""


def read(name: str, body: dict[str, Any]) -> TranslatedRequest:
    return SURFACES[name].read(RequestBody(body, json.dumps(body).encode(), {}))


# ---- what the client gets ----


def returned(name: str, message: dict[str, Any], *, stream: bool) -> Any:
    """The content, or the output items, that a client has of a response and sends back."""
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    whole: Any = {"id": "chatcmpl-1", "created": 1, "model": "m", "choices": [choice]}
    asks = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
    asks |= {"thinking": {"type": "adaptive"}}
    body = asks if name == "messages" else {"input": "Hi"}
    request = read(name, {"model": "m", "stream": stream, **body})
    if stream:
        encoder = SURFACES[name].encoder(request)
        data = b"".join(map(encoder.feed, chunks_of(whole))) + encoder.end()
        events = [json.loads(line[6:]) for line in data.split(b"\n") if line[:7] == b"data: {"]
        if name == "messages":
            return accumulated(events).to_dict()["content"]
        response: Any = events[-1]["response"]
    else:
        response = json.loads(json.dumps(SURFACES[name].respond(request, whole)))
    if name == "messages":
        return Message.model_validate(response).to_dict()["content"]
    made: Any = openai_value(type_=openai.types.responses.Response, value=response)
    return made.to_dict()["output"]


def accumulated(events: list[dict[str, Any]]) -> Any:
    """The message that Anthropic's SDK makes of a stream."""
    message: Any = None
    pieces: dict[int, bytes] = {}
    for value in events:
        event: Any = anthropic_value(type_=RawMessageStreamEvent, value=value)
        message = accumulate_event(
            event=event,
            current_snapshot=message,
            json_bufs=pieces,
            output_format=anthropic.NOT_GIVEN,
        )
    return message


# ---- what it sends next ----


def next_request(name: str, given: list[dict[str, Any]], tools: dict[str, Any]) -> dict[str, Any]:
    """The next turn: the results of the calls, of which the first has an image, and a question."""
    functions = [tool["function"]["name"] for tool in tools.get("tools", ())]
    if name == "messages":
        uses = [block["id"] for block in given if block["type"] == "tool_use"]
        contents = [[{"type": "text", "text": "r0"}, BLOCK], *(f"r{n}" for n in range(1, 9))]
        results = [
            {"type": "tool_result", "tool_use_id": use, "content": content}
            for use, content in zip(uses, contents, strict=False)
        ]
        return {
            "max_tokens": 9,
            "system": "Be brief.",
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Hello."}, BLOCK]},
                {"role": "assistant", "content": given},
                {"role": "user", "content": [*results, {"type": "text", "text": "And?"}]},
            ],
            "tools": [{"name": one, "input_schema": SCHEMA} for one in functions],
        }
    calls = [item["call_id"] for item in given if item["type"] == "function_call"]
    outputs = [[{"type": "input_text", "text": "r0"}, ITEM], *(f"r{n}" for n in range(1, 9))]
    items = [
        {"type": "function_call_output", "call_id": call, "output": output}
        for call, output in zip(calls, outputs, strict=False)
    ]
    first = {"role": "user", "content": [{"type": "input_text", "text": "Hello."}, ITEM]}
    return {
        "max_output_tokens": 9,
        "instructions": "Be brief.",
        "input": [first, *given, *items, {"role": "user", "content": "And?"}],
        "tools": [{"type": "function", "name": one, "parameters": SCHEMA} for one in functions],
    }


def chat_request(name: str, message: dict[str, Any], tools: dict[str, Any]) -> dict[str, Any]:
    """The same conversation in chat completions, without what the endpoint cannot have."""
    has_annotations = name == "responses" and message.get("annotations")
    lost = LOST - {"annotations"} if has_annotations else LOST
    kept = {field: value for field, value in message.items() if field not in lost}
    calls = kept.get("tool_calls") or []
    if name == "messages":
        texts = [text for text in (kept.get("content"), kept.pop("refusal", None)) if text]
        parts = [{"type": "text", "text": text} for text in texts]
        kept["content"] = parts if len(parts) > 1 else "".join(texts)
    kept["content"] = kept.get("content") or (None if calls or kept.get("refusal") else "")
    contents: list[Any] = [[{"type": "text", "text": "r0"}, IMAGE]]
    contents += [f"r{number}" for number in range(1, 9)]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": content}
        for call, content in zip(calls, contents, strict=False)
    ]
    user = {"role": "user", "content": [{"type": "text", "text": "Hello."}, IMAGE]}
    messages = [{"role": "system", "content": "Be brief."}, user, kept, *results]
    functions = [
        {"type": "function", "function": {**tool["function"], "parameters": SCHEMA}}
        for tool in tools.get("tools", ())
    ]
    more: dict[str, Any] = {"tools": functions} if functions else {}
    limit = "max_tokens" if name == "messages" else "max_completion_tokens"
    return {"messages": [*messages, {"role": "user", "content": "And?"}], limit: 9, **more}


# ---- the grid ----


def sent(provider: str, model: str, request: Any, *, stream: bool = False) -> Any:
    codec = registry.find(provider).chat
    return json.loads(codec.encode(request, Target("m", model), stream).body)


def comparable(value: Any, name: str = "") -> Any:
    """The same whatever spaces arguments have, and without what asks for a stream."""
    if isinstance(value, Mapping):
        rest = {k: v for k, v in value.items() if k not in {"stream", "stream_options"}}
        return {field: comparable(inner, field) for field, inner in rest.items()}
    if isinstance(value, list):
        return [comparable(one) for one in value]
    if name == "arguments" and isinstance(value, str) and value.startswith("{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def faults(provider: str, model: str, judge: Judge, request: Any, expected: Any) -> Iterator[Any]:
    body = sent(provider, model, request)
    try:
        judge(judged_as(provider, model, judge), body)
    except AssertionError as error:
        yield error
    if expected is not None and comparable(body) != comparable(expected):
        yield body, expected
    if expected is None and comparable(sent(provider, model, request, stream=True)) != comparable(
        body
    ):
        yield "the stream's request differs"


def test_any_response_of_any_endpoint_can_be_sent_to_any_provider_in_the_next_turn() -> None:
    """
    Where the request could pass through to Anthropic as it is, its judge accepts it so.

    As in the grid of chat completions, a third of the rows that share a codec gets a message.
    """
    found: list[Any] = []
    count = 0
    for number, (label, message) in enumerate(all_messages()):
        targets = [
            target
            for place, target in enumerate(GRID)
            if target[1] != "their-model" or place % 3 == number % 3
        ]
        for name in SURFACES:
            ways = [returned(name, message, stream=stream) for stream in (False, True)]
            for given in ways[:1] if ways[0] == ways[1] else ways:
                count += 1
                found += [
                    (label, name, *one) for one in cells(targets, name, label, message, given)
                ]
    assert found == [], len(found)
    assert count > 2 * len(all_messages())


def cells(
    targets: list[tuple[str, str, Judge]],
    name: str,
    label: str,
    message: dict[str, Any],
    given: Any,
) -> Iterator[Any]:
    """The faults of one response with these providers."""
    kinds = {item["type"] for item in given}
    is_other = kinds == {"reasoning"} or (name, label) in OTHER
    requests: dict[str, tuple[Any, Any]] = {}
    for provider, model, judge in targets:
        tools = tools_for(provider, model, message)
        if (key := json.dumps(tools)) not in requests:
            body = {"model": "m", **next_request(name, given, tools), "drop_params": False}
            [asked] = read(name, body).request.conversations
            plain = parse_chat({"model": "m", **chat_request(name, message, tools)})
            requests[key] = asked, plain
            if name == "messages" and tools and asked.original:
                anthropic_api.check("m", json.loads(asked.original.body({"model": b'"m"'})))
        request, chat = requests[key]
        expected = None if is_other else sent(provider, model, chat)
        for fault in faults(provider, model, judge, request, expected):
            yield provider, model, fault


def test_a_long_conversation_of_all_responses_is_accepted_through_any_endpoint() -> None:
    """Every turn came from another provider."""
    for name in SURFACES:
        turns: list[Any] = []
        for _, message in all_messages():
            body = next_request(name, returned(name, message, stream=False), {})
            turns += body["messages" if name == "messages" else "input"]
        limit = {"max_tokens": 9, "messages": turns} if name == "messages" else {"input": turns}
        [request] = read(name, {"model": "m", **limit, "drop_params": False}).request.conversations
        for provider, model, judge in GRID:
            assert [*faults(provider, model, judge, request, None)] == [], (name, provider, model)


# ---- any history ----

TEXT: Any = {"type": "text", "text": "Hi"}
MESSAGES: list[dict[str, Any]] = [
    {"role": role, "content": content}
    for role, contents in {
        "user": [
            "", "  ", "Hi", [TEXT, {"type": "text", "text": ""}], [BLOCK],
            [{"type": "tool_result", "tool_use_id": "a", "content": [BLOCK]}],
            [{"type": "tool_result", "tool_use_id": "b"}, TEXT],
            [{"type": "tool_result", "tool_use_id": "c", "content": "no", "is_error": True}],
            [{"type": "tool_result", "tool_use_id": "z", "content": []}, BLOCK],
        ],
        "assistant": [
            "", "Hi", [TEXT, TEXT], [],
            [{"type": "thinking", "thinking": "hm", "signature": "fanout-unsigned"}],
            [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}, TEXT],
            [{"type": "redacted_thinking", "data": "ZGF0"}, TEXT],
            [TEXT, {"type": "tool_use", "id": "a", "name": "f", "input": {}}],
            [
                {"type": "tool_use", "id": "b", "name": "", "input": {}},
                {"type": "tool_use", "id": "c", "name": "a.b", "input": {"x": 1}},
            ],
        ],
        "system": ["Be brief.", [TEXT]],
    }.items()
    for content in contents
]  # fmt: skip
OUTPUT: Any = {"type": "function_call_output"}
ITEMS: list[dict[str, Any]] = [
    *({"role": role, "content": text} for role in ("user", "assistant") for text in ("", "Hi")),
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": [ITEM]},
    {"role": "user", "content": [{"type": "input_text", "text": ""}, ITEM]},
    {"type": "message", "role": "assistant", "content": []},
    {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "theirs"},
    {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
    {"type": "function_call", "call_id": "b", "name": "a.b", "arguments": '{"x'},
    {"type": "function_call", "call_id": "c", "name": "", "arguments": ""},
    {**OUTPUT, "call_id": "a", "output": [ITEM]},
    {**OUTPUT, "call_id": "b", "output": ""},
    {**OUTPUT, "call_id": "c", "output": [{"type": "input_text", "text": "1"}, ITEM]},
    {**OUTPUT, "call_id": "z", "output": []},
]


def test_any_history_in_any_endpoints_form_is_sent_as_every_vendor_takes_it() -> None:
    """Clients trim a history, lose results, and send empty texts; the last turn is the user's."""
    drawn = random.Random(0)  # noqa: S311
    found: list[Any] = []
    for _ in range(40):
        messages = [*drawn.choices(MESSAGES, k=5), {"role": "user", "content": "And?"}]
        items = [*drawn.choices(ITEMS, k=6), {"role": "user", "content": "And?"}]
        bodies: dict[str, dict[str, Any]] = {
            "messages": {"max_tokens": 9, "messages": messages},
            "responses": {"input": items},
        }
        for name, body in bodies.items():
            asked = read(name, {"model": "m", **body, "drop_params": False})
            [request] = asked.request.conversations
            for provider, model, judge in GRID:
                wrong = faults(provider, model, judge, request, None)
                found += [(provider, model, fault, body) for fault in wrong]
    assert found == [], len(found)
