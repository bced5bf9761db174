"""Anthropic's golden files against Anthropic's own SDK, and what only Anthropic has."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, get_args

import httpx2
import pytest
from anthropic import Anthropic
from anthropic.types import (
    AssistantMessageParam,
    Message,
    RawMessageStreamEvent,
    StopReason,
    UserMessageParam,
)
from anthropic.types.message_create_params import (
    MessageCreateParamsNonStreaming,
    MessageCreateParamsStreaming,
)
from anthropic.types.model import Model
from anthropic.types.shared import ErrorObject, ErrorResponse
from msgspec.structs import replace
from pydantic import TypeAdapter

from fanout.errors import RequestError
from fanout.providers.anthropic.errors import STATUSES
from fanout.providers.anthropic.models import FOREIGN, Traits, find_traits
from fanout.providers.anthropic.provider import PROVIDER
from fanout.providers.anthropic.response import FINISH_REASONS
from fanout.providers.base import BadWire, Header, Target, WireError
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireEvent, WireResponse
from tests.support.pydantic_fields import unknown_fields

GOLDEN = Path(__file__).parent / "golden" / "anthropic"
SONNET = Target("our-name", "claude-sonnet-4-5")

# The SDK uses a version of the API that no longer has these; ours still does.
SAMPLING = {"temperature", "top_p", "top_k"}

HI: list[UserMessageParam] = [{"role": "user", "content": "Hi"}]


def cases(file: str) -> list[Any]:
    found = sorted(GOLDEN.glob(f"*/{file}"))
    return [pytest.param(path, id=f"{path.parent.name}-{path.stem}") for path in found]


def sdk(response: bytes, kind: str, seen: list[httpx2.Request]) -> Anthropic:
    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, content=response, headers={"content-type": kind})

    client = httpx2.Client(transport=httpx2.MockTransport(answer))
    return Anthropic(api_key="made-up", base_url=PROVIDER.base_url, http_client=client)


def encode(body: dict[str, Any], model: str = SONNET.model) -> Any:
    request = parse_chat({"messages": HI, **body})
    return json.loads(PROVIDER.chat.encode(request, Target("our-name", model), False).body)


def decode(content: list[Any], reason: str = "end_turn") -> Any:
    response = {
        "type": "message",
        "id": "msg_1",
        "model": "claude-sonnet-4-5",
        "content": content,
        "stop_reason": reason,
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    answer = PROVIDER.chat.decode(WireResponse(200, {}, json.dumps(response).encode()), SONNET)
    return answer["choices"][0]


def stream(*events: dict[str, Any]) -> list[Any]:
    decoder = PROVIDER.chat.decoder(SONNET)
    return [c for e in events for c in decoder.feed(WireEvent(json.dumps(e).encode()))]


def deltas(*events: dict[str, Any]) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in stream(*events)]


# ---- golden files against the SDK ----


def through_the_sdks_types(body: dict[str, Any]) -> dict[str, Any]:
    """
    The request after parsing with the SDK's types, which leave out unknown fields.

    Messages are parsed one by one: pydantic reads the SDK's lazy lists once, and a union of
    messages would read them for each of its members.
    """
    shell = _through(STREAMED if "stream" in body else PLAIN, body | {"messages": []})
    roles = {"user": USER, "assistant": ASSISTANT}
    messages = [_through(roles[m["role"]], m) for m in body["messages"]]
    return {**shell, "messages": messages}


PLAIN: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsNonStreaming)
STREAMED: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsStreaming)
USER: TypeAdapter[Any] = TypeAdapter(UserMessageParam)
ASSISTANT: TypeAdapter[Any] = TypeAdapter(AssistantMessageParam)


def _through(adapter: TypeAdapter[Any], value: Any) -> Any:
    return _parsed(adapter, json.dumps(value))


@cache
def _parsed(adapter: TypeAdapter[Any], text: str) -> Any:
    """The value of a JSON text; grids of requests have the same messages thousands of times."""
    return adapter.dump_python(adapter.validate_python(json.loads(text)), mode="json")


@pytest.mark.parametrize("path", cases("wire.json") + cases("wire_stream.json"))
def test_the_sdks_types_have_every_field_of_the_request(path: Path) -> None:
    body = json.loads(path.read_text())["body"]
    sent = {name: value for name, value in body.items() if name not in SAMPLING}
    assert through_the_sdks_types(sent) == sent


def test_the_sdks_types_would_notice_a_misspelled_field() -> None:
    """Otherwise the test above could not fail."""
    block = {"type": "text", "text": "Hi", "cache_controll": {"type": "ephemeral"}}
    sent = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [block]}]}
    assert through_the_sdks_types(sent) != sent


@pytest.mark.parametrize("path", cases("response.json"))
def test_the_sdk_reads_the_golden_message(path: Path) -> None:
    message = Message.model_validate_json(path.read_bytes())
    assert list(unknown_fields(message)) == []


@pytest.mark.parametrize("path", cases("stream.txt"))
def test_the_sdk_knows_every_golden_event(path: Path) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    for block in path.read_text().strip().split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        if event["type"] != "ping":
            assert list(unknown_fields(adapter.validate_python(event))) == []


@pytest.mark.parametrize("path", cases("stream.txt"))
def test_the_sdk_assembles_a_stream_to_the_same_message(path: Path) -> None:
    seen: list[httpx2.Request] = []
    client = sdk(path.read_bytes(), "text/event-stream", seen)
    with client.messages.stream(model="m", max_tokens=1, messages=HI) as events:
        streamed = events.get_final_message()
    whole = Message.model_validate_json((path.parent / "response.json").read_bytes())
    for name in ("id", "model", "stop_reason", "stop_sequence", "stop_details"):
        assert getattr(streamed, name) == getattr(whole, name), name
    assert [b.to_dict() for b in streamed.content] == [b.to_dict() for b in whole.content]
    assert streamed.usage.output_tokens == whole.usage.output_tokens


def test_the_url_is_the_sdks() -> None:
    seen: list[httpx2.Request] = []
    client = sdk((GOLDEN / "text" / "response.json").read_bytes(), "application/json", seen)
    client.messages.create(model="m", max_tokens=1, messages=HI)
    request = parse_chat({"messages": HI})
    wire = PROVIDER.chat.encode(request, SONNET, False)
    assert PROVIDER.base_url + wire.path == str(seen[0].url)
    assert wire.method == seen[0].method
    assert PROVIDER.headers.keys() <= seen[0].headers.keys()
    assert PROVIDER.auth == Header("x-api-key")


def test_error_bodies_are_the_sdks() -> None:
    theirs = [c["body"] for c in json.loads((GOLDEN / "errors.json").read_text())]
    read = [b for b in theirs if isinstance(b, dict) and b.get("type") == "error"]
    kinds = [ErrorResponse.model_validate(b).error.type for b in read if _is_known(b)]
    assert len(set(kinds)) >= 5


def _is_known(body: dict[str, Any]) -> bool:
    kind: str = body["error"]["type"]
    return kind != "request_too_large"  # documented, not among the SDK's


def test_every_kind_of_error_of_the_sdk_has_a_status() -> None:
    union = get_args(get_args(ErrorObject)[0])
    kinds = {get_args(model.model_fields["type"].annotation)[0] for model in union}
    assert len(kinds) >= 9
    assert kinds <= STATUSES.keys()


def test_every_stop_reason_of_the_sdk_is_translated() -> None:
    assert set(get_args(StopReason)) == FINISH_REASONS.keys()


# ---- models ----

EFFORTS = frozenset({"low", "medium", "high", "max"})
ALL_EFFORTS = EFFORTS | {"xhigh"}
NEWEST = Traits(128_000, "adaptive", None, ALL_EFFORTS, "fixed", budgets=False, prefill=False)
UNFORCED = replace(NEWEST, forced=False)
CAN_STOP = replace(NEWEST, off="disabled")
V46 = Traits(128_000, "adaptive", "disabled", EFFORTS, "either", prefill=False)
V45 = Traits(64_000, "budget", "disabled", frozenset(), "either")
MODELS = {
    "claude-fable-5-2": UNFORCED,
    "claude-mythos-5-2": UNFORCED,
    "claude-fable-5-1": UNFORCED,
    "claude-mythos-5-1": UNFORCED,
    "claude-fable-5": NEWEST,
    "claude-mythos-5": NEWEST,
    "claude-mythos-preview": NEWEST,
    "claude-opus-5-5": UNFORCED,
    "claude-sonnet-5-5": replace(NEWEST, off="between_tools"),
    "claude-haiku-5-5": CAN_STOP,
    "claude-opus-5": CAN_STOP,
    "claude-sonnet-5": CAN_STOP,
    "claude-opus-4-8": CAN_STOP,
    "claude-opus-4-7": CAN_STOP,
    "claude-opus-4-6": V46,
    "claude-sonnet-4-6": V46,
    "claude-opus-4-5": V45,
    "claude-opus-4-5-20251101": V45,
    "claude-sonnet-4-5": V45,
    "claude-sonnet-4-5-20250929": V45,
    "claude-haiku-4-5": V45,
    "claude-haiku-4-5-20251001": V45,
}
OTHERS = {
    "claude-opus-4-1-20250805": Traits(32_000, "budget", sampling="either"),
    "claude-opus-4-20250514": Traits(32_000, "budget", sampling="either", structured=False),
    "claude-sonnet-4-20250514": Traits(64_000, "budget", sampling="either", structured=False),
    "claude-3-7-sonnet-20250219": Traits(64_000, "budget", structured=False),
    "claude-3-5-haiku-20241022": Traits(8192, "never", structured=False),
    "claude-3-opus-20240229": Traits(4096, "never", structured=False),
    "claude-something-new": CAN_STOP,
    "gemma-3-4b-it": FOREIGN,
}


@pytest.mark.parametrize(("name", "traits"), (MODELS | OTHERS).items())
def test_a_models_traits_are_the_documented_ones(name: str, traits: Traits) -> None:
    assert find_traits(name) == traits


def test_every_model_of_the_sdk_is_known_by_name() -> None:
    assert set(get_args(get_args(Model)[0])) == MODELS.keys()


@pytest.mark.parametrize(
    ("limit", "budget"), [(1025, 1024), (3000, 1500), (8192, 4096), (None, 4096)]
)
def test_a_budget_leaves_room_for_the_response(limit: int | None, budget: int) -> None:
    asked = {"reasoning_effort": "high"} | ({"max_tokens": limit} if limit else {})
    assert encode(asked)["thinking"] == {"type": "enabled", "budget_tokens": budget}


def test_a_default_that_the_model_does_not_accept_is_left_out() -> None:
    body = encode({"temperature": 1.0, "top_p": 1}, "claude-opus-5-5")
    assert not SAMPLING & body.keys()


def test_effort_is_added_to_the_clients_own_thinking_if_the_model_has_levels() -> None:
    thinking = {"type": "adaptive", "display": "omitted"}
    body = encode({"thinking": thinking, "reasoning_effort": "max"}, "claude-opus-4-6")
    assert (body["thinking"], body["output_config"]) == (thinking, {"effort": "max"})


def test_effort_and_a_schema_share_output_config() -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    body = encode({"response_format": wanted, "reasoning_effort": "low"}, "claude-opus-5")
    form = {"type": "json_schema", "schema": schema}
    assert body["output_config"] == {"effort": "low", "format": form}


# ---- requests ----


def test_a_choice_without_tools_is_sent_only_if_it_demands_one() -> None:
    assert "tool_choice" not in encode({"tool_choice": "auto"})
    assert "tool_choice" not in encode({"tool_choice": "none", "parallel_tool_calls": False})
    assert encode({"tool_choice": "required"})["tool_choice"] == {"type": "any"}


def test_one_call_at_a_time_is_sent_even_without_a_choice() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    body = encode({"tools": tools, "parallel_tool_calls": False})
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


@pytest.mark.parametrize("case", ["reasoning-tools", "reasoning", "parallel-tools", "tools"])
def test_a_response_sent_back_equals_the_models_blocks(case: str) -> None:
    """Signed thinking depends on this: a tool loop sends our message with the next request."""
    chat = json.loads((GOLDEN / case / "chat.json").read_text())
    question = {"role": "user", "content": "Hi"}
    body = encode({"messages": [question, chat["choices"][0]["message"], question]})
    response = json.loads((GOLDEN / case / "response.json").read_text())
    assert body["messages"][1] == {"role": "assistant", "content": response["content"]}


def user(part: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [part]}


def image(url: str) -> dict[str, Any]:
    return user({"type": "image_url", "image_url": {"url": url}})


def file(**fields: str) -> dict[str, Any]:
    return user({"type": "file", "file": fields})


def test_thinking_that_is_not_an_object_is_rejected() -> None:
    with pytest.raises(RequestError) as rejected:
        encode({"thinking": True})
    assert rejected.value.param == "thinking"


@pytest.mark.parametrize(
    ("message", "place"),
    [
        (image("data:image/png,abc"), "content[0].image_url.url"),
        (image("file:///etc/passwd"), "content[0].image_url.url"),
        (file(filename="a.pdf"), "content[0].file"),
        (file(file_data="AAAA"), "content[0].file.file_data"),
        (file(file_data="data:text/plain;base64,/w=="), "content[0].file.file_data"),
        (file(file_data="data:text/plain;base64,?"), "content[0].file.file_data"),
    ],
)
def test_an_unreadable_field_is_rejected_by_its_path(message: Any, place: str) -> None:
    with pytest.raises(RequestError) as rejected:
        encode({"messages": [{"role": "user", "content": "Hi"}, message]})
    assert rejected.value.param == f"messages[1].{place}"


# ---- responses ----


@pytest.mark.parametrize(
    ("theirs", "ours"), [*FINISH_REASONS.items(), ("something_new", "stop"), (None, "stop")]
)
def test_a_stop_reason_becomes_a_finish_reason(theirs: str, ours: str) -> None:
    blocks: list[Any] = [{"type": "text", "text": "Hi"}]
    if ours == "tool_calls":  # without a call, it is `stop`
        blocks.append({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}})
    assert decode(blocks, theirs)["finish_reason"] == ours


SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}


def test_blocks_of_the_vendors_own_tools_are_ignored() -> None:
    text = {"type": "text", "text": "Found."}
    assert decode([SEARCH, text], "pause_turn")["message"] == {
        "role": "assistant",
        "content": "Found.",
    }
    start = {"type": "content_block_start", "index": 0, "content_block": SEARCH}
    piece = {"type": "input_json_delta", "partial_json": '{"query":'}
    delta = {"type": "content_block_delta", "index": 0, "delta": piece}
    assert stream(start, delta, {"type": "content_block_stop", "index": 0}) == []


@pytest.mark.parametrize(
    "event",
    [
        {"type": "ping"},
        {"type": "something_new", "index": 0},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "citations_delta", "citation": {}},
        },
    ],
    ids=["ping", "unknown", "citation"],
)
def test_an_unknown_event_is_ignored(event: dict[str, Any]) -> None:
    assert stream(event) == []


def test_arguments_at_a_calls_start_are_sent_at_its_end() -> None:
    use = {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}
    start = {"type": "content_block_start", "index": 4, "content_block": use}
    pieces = deltas(start, {"type": "content_block_stop", "index": 4})
    assert [piece["tool_calls"][0]["function"] for piece in pieces] == [
        {"name": "f", "arguments": ""},
        {"arguments": '{"a":1}'},
    ]


def test_text_at_a_blocks_start_is_sent() -> None:
    block = {"type": "text", "text": "Hi"}
    text = {"type": "content_block_start", "index": 0, "content_block": block}
    thought = {"type": "thinking", "thinking": "Hm", "signature": "s"}
    opened = {"type": "content_block_start", "index": 1, "content_block": thought}
    assert deltas(text, opened, {"type": "content_block_stop", "index": 1}) == [
        {"content": "Hi"},
        {"reasoning_content": "Hm"},
        {"thinking_blocks": [thought]},
    ]


def test_usage_that_the_end_does_not_repeat_is_kept_from_the_start() -> None:
    usage = {"input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 1}
    message = {"id": "m", "model": "claude", "content": [], "usage": usage}
    chunks = stream(
        {"type": "message_start", "message": message},
        {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    )
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {
        "prompt_tokens": 12,
        "completion_tokens": 3,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 7},
    }


@pytest.mark.parametrize("last", [[], [b'{"type":"message_stop"}']], ids=["cut", "whole"])
def test_a_stop_reason_ends_the_stream_and_the_usage_is_sent_once(last: list[bytes]) -> None:
    decoder = PROVIDER.chat.decoder(SONNET)
    begin = {"type": "message_start", "message": {"usage": {"input_tokens": 1}}}
    stop = {"stop_reason": "end_turn"}
    end = {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 2}}
    assert list(decoder.feed(WireEvent(json.dumps(begin).encode())))
    assert not decoder.ended
    events = [json.dumps(end).encode(), *last]
    chunks = [chunk for data in events for chunk in decoder.feed(WireEvent(data))]
    assert decoder.ended
    assert [bool(chunk.get("usage")) for chunk in chunks] == [False, True]


# ---- errors ----


@pytest.mark.parametrize(("kind", "status"), [*STATUSES.items(), ("something_new", 502)])
def test_an_error_instead_of_a_response_has_the_http_status_of_its_type(
    kind: str, status: int
) -> None:
    body = json.dumps({"type": "error", "error": {"type": kind, "message": "No."}}).encode()
    with pytest.raises(WireError) as streamed:
        list(PROVIDER.chat.decoder(SONNET).feed(WireEvent(body, "error")))
    with pytest.raises(WireError) as plain:
        PROVIDER.chat.decode(WireResponse(200, {}, body), SONNET)
    for error in (streamed.value, plain.value):
        assert (error.status, error.detail.type, error.detail.message) == (status, kind, "No.")


@pytest.mark.parametrize(("code", "status"), [(503, 503), (7, 502), ("busy", 502)])
def test_llama_cpps_error_in_a_stream_has_no_error_object_around_it(code: Any, status: int) -> None:
    """https://github.com/ggml-org/llama.cpp, tools/server: `format_anthropic_sse`."""
    fault = {"code": code, "message": "Loading model", "type": "unavailable_error"}
    event = WireEvent(json.dumps(fault).encode(), "error")
    with pytest.raises(WireError, match="Loading model") as error:
        list(PROVIDER.chat.decoder(SONNET).feed(event))
    assert error.value.status == status


def test_a_response_of_another_type_is_malformed() -> None:
    with pytest.raises(BadWire, match="`completion`"):
        PROVIDER.chat.decode(WireResponse(200, {}, b'{"type":"completion"}'), SONNET)


def test_a_thinking_delta_outside_a_thinking_block_is_malformed() -> None:
    piece = {"type": "thinking_delta", "thinking": "Hm"}
    with pytest.raises(BadWire, match="block 3"):
        stream({"type": "content_block_delta", "index": 3, "delta": piece})
