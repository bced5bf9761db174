"""Cohere's golden files against Cohere's own SDK, and what only Cohere has."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import cohere
import httpx
import pytest
from pydantic import TypeAdapter

from fanout.providers.base import BadWire, Target, WireError
from fanout.providers.cohere.provider import PROVIDER
from fanout.providers.cohere.request import BUDGETS
from fanout.providers.cohere.stream import ChatDecoder
from fanout.schema.request import ChatRequest
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireEvent, WireResponse
from tests.support.pydantic_fields import unknown_fields

GOLDEN = Path(__file__).parent / "golden" / "cohere"
TARGET = Target("our-name", "their-model")


def cases(file: str) -> list[Any]:
    found = sorted(GOLDEN.glob(f"*/{file}"))
    return [pytest.param(path, id=f"{path.parent.name}-{path.stem}") for path in found]


def sdk(response: bytes, kind: str, seen: list[httpx.Request]) -> cohere.ClientV2:
    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=response, headers={"content-type": kind})

    client = httpx.Client(transport=httpx.MockTransport(answer))
    return cohere.ClientV2(api_key="made-up", base_url=PROVIDER.base_url, httpx_client=client)


@pytest.mark.parametrize("path", cases("wire.json") + cases("wire_stream.json"))
def test_the_sdk_accepts_and_sends_the_same_request(path: Path) -> None:
    wire = json.loads(path.read_text())
    body = wire["body"]
    stream = body["stream"]
    method = cohere.ClientV2.chat_stream if stream else cohere.ClientV2.chat
    takes = inspect.signature(method, eval_str=True).parameters
    arguments = {name: value for name, value in body.items() if name != "stream"}
    assert arguments.keys() <= takes.keys()
    for name, value in arguments.items():
        parsed = TypeAdapter(takes[name].annotation).validate_python(value)
        assert not list(unknown_fields(parsed)), name
    seen: list[httpx.Request] = []
    if stream:
        list(sdk(b"", "text/event-stream", seen).chat_stream(**arguments))
    else:
        response = b'{"id":"1","finish_reason":"COMPLETE","message":{"role":"assistant"}}'
        sdk(response, "application/json", seen).chat(**arguments)
    assert json.loads(seen[0].content) == body
    assert seen[0].url.path == wire["path"]
    assert seen[0].url.host == PROVIDER.base_url.removeprefix("https://")


@pytest.mark.parametrize("path", cases("response.json"))
def test_the_sdk_reads_the_golden_response(path: Path) -> None:
    response = sdk(path.read_bytes(), "application/json", []).chat(model="m", messages=[])
    assert not list(unknown_fields(response))
    text = "".join(block.text for block in response.message.content or () if block.type == "text")
    chat = json.loads((path.parent / "chat.json").read_text())
    assert (chat["choices"][0]["message"]["content"] or "") == text
    assert response.usage
    assert response.usage.tokens
    assert chat["usage"]["prompt_tokens"] == response.usage.tokens.input_tokens


@pytest.mark.parametrize("path", cases("stream.txt"))
def test_the_sdk_reads_the_golden_stream(path: Path) -> None:
    stream = path.read_bytes()
    client = sdk(stream, "text/event-stream", [])
    events = list(client.chat_stream(model="m", messages=[]))
    assert len(events) == stream.count(b"data: {")
    unknown = {place for event in events for place in unknown_fields(event)}
    # The API begins with an empty message; the SDK has a field only for its role.
    assert unknown <= {
        f"$.delta.message.{name}" for name in ("content", "tool_plan", "tool_calls", "citations")
    }
    kinds = {type(event).__name__.removesuffix("V2ChatStreamResponse") for event in events}
    assert {"MessageStart", "MessageEnd"} <= kinds


def decode(finish_reason: str) -> Any:
    body = {"id": "1", "finish_reason": finish_reason, "message": {"role": "assistant"}}
    return PROVIDER.chat.decode(WireResponse(200, {}, json.dumps(body).encode()), TARGET)


@pytest.mark.parametrize(("reason", "status"), [("ERROR", 500), ("TIMEOUT", 504)])
def test_a_failed_response_is_an_error(reason: str, status: int) -> None:
    with pytest.raises(WireError) as raised:
        decode(reason)
    assert raised.value.status == status


def test_an_unknown_finish_reason_becomes_stop() -> None:
    choice = decode("ENLIGHTENMENT")["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == ""


def feed(decoder: ChatDecoder, **event: Any) -> list[Any]:
    return list(decoder.feed(WireEvent(json.dumps(event).encode(), event["type"])))


def test_an_error_in_a_stream_is_raised_with_coheres_message() -> None:
    decoder = ChatDecoder(TARGET)
    feed(decoder, type="message-start", id="1", delta={"message": {"role": "assistant"}})
    with pytest.raises(WireError, match="the model is gone") as raised:
        feed(
            decoder,
            type="message-end",
            delta={"finish_reason": "ERROR", "error": "the model is gone"},
        )
    assert raised.value.status == 500
    assert not decoder.ended


def test_arguments_of_a_call_that_never_began_are_malformed() -> None:
    delta = {"message": {"tool_calls": {"function": {"arguments": "{"}}}}
    with pytest.raises(BadWire):
        feed(ChatDecoder(TARGET), type="tool-call-delta", index=0, delta=delta)


def test_events_without_content_are_ignored() -> None:
    assert not feed(ChatDecoder(TARGET), type="debug", prompt="<|START|>")
    assert not feed(ChatDecoder(TARGET), type="invented-tomorrow", delta=[1, 2])


def test_every_effort_has_a_budget_and_more_effort_never_a_smaller_one() -> None:
    efforts = ["minimal", "low", "medium", "high", "xhigh", "max"]
    assert list(BUDGETS) == efforts
    budgets = [budget or float("inf") for budget in BUDGETS.values()]
    assert budgets == sorted(budgets)


@pytest.mark.parametrize(("asked", "sent"), [(0, 0.01), (0.5, 0.5), (1, 0.99)])
def test_top_p_stays_in_the_range_that_cohere_accepts(asked: float, sent: float) -> None:
    assert body_of(top_p=asked)["p"] == sent


def test_a_schema_keeps_its_own_description() -> None:
    schema = {"type": "object", "description": "its own"}
    asked = {"name": "x", "description": "the format's", "schema": schema}
    sent = body_of(response_format={"type": "json_schema", "json_schema": asked})
    assert sent["response_format"] == {"type": "json_object", "json_schema": schema}


def body_of(**more: Any) -> Any:
    messages = [{"role": "user", "content": "Hi."}]
    request: ChatRequest = parse_chat({"model": "our-name", "messages": messages, **more})
    return json.loads(PROVIDER.chat.encode(request, TARGET, False).body)
