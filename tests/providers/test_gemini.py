"""Gemini's golden files against Google's own SDK, and what only Gemini has."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from google import genai
from google.genai import types
from msgspec.structs import replace
from pydantic.alias_generators import to_camel

from fanout.providers import registry
from fanout.providers.base import BadWire, Target, WireError
from fanout.providers.gemini.framer import StreamFramer
from fanout.providers.gemini.provider import PROVIDER
from fanout.providers.gemini.response import FAILURES, FINISH_REASONS, ChatDecoder
from fanout.providers.gemini.rules import has_levels
from fanout.providers.gemini.settings import BUDGETS, LEVELS
from fanout.schema.accumulator import ChunkAccumulator
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireEvent, WireResponse

GOLDEN = Path(__file__).parent / "golden" / "gemini"
TARGET = Target("our-name", "their-model")


def cases(file: str) -> list[Any]:
    found = sorted(GOLDEN.glob(f"*/{file}"))
    return [pytest.param(path, id=f"{path.parent.name}-{path.stem}") for path in found]


def sdk(response: bytes, seen: list[httpx.Request]) -> genai.Client:
    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=response, headers={"content-type": "application/json"})

    client = httpx.Client(transport=httpx.MockTransport(answer))
    options = types.HttpOptions(
        base_url=PROVIDER.base_url, api_version="v1beta", httpx_client=client
    )
    return genai.Client(api_key="made-up", vertexai=False, http_options=options)


def config_of(body: dict[str, Any]) -> types.GenerateContentConfig:
    """The SDK has all fields but `contents` in one object, which rejects unknown fields."""
    rest = {name: body[name] for name in body if name not in {"contents", "generationConfig"}}
    return types.GenerateContentConfig.model_validate(rest | body.get("generationConfig", {}))


def spelled_alike(value: Any) -> Any:
    """Google reads field names in either case and base64 of either alphabet; the SDK mixes them."""
    if isinstance(value, dict):
        return {to_camel(name): spelled_alike(item) for name, item in value.items()}
    if isinstance(value, list):
        return [spelled_alike(item) for item in value]
    return value.replace("+", "-").replace("/", "_") if isinstance(value, str) else value


@pytest.mark.parametrize("path", cases("wire.json") + cases("wire_stream.json"))
def test_the_sdk_accepts_and_sends_the_same_request(path: Path) -> None:
    wire = json.loads(path.read_text())
    body, address = wire["body"], wire["path"]
    contents = [types.Content.model_validate(content) for content in body["contents"]]
    model, _, method = unquote(address).removeprefix("/v1beta/").rpartition(":")
    seen: list[httpx.Request] = []
    if method.startswith("stream"):
        event = b'data: {"candidates": [{"finishReason": "STOP"}]}\n\n'
        models = sdk(event, seen).models
        list(models.generate_content_stream(model=model, contents=contents, config=config_of(body)))
    else:
        models = sdk(b'{"candidates": [{"finishReason": "STOP"}]}', seen).models
        models.generate_content(model=model, contents=contents, config=config_of(body))
    sent = json.loads(seen[0].content)
    if not sent["generationConfig"]:
        del sent["generationConfig"]  # the SDK sends it even if it is empty
    assert spelled_alike(sent) == spelled_alike(body)
    assert unquote(str(seen[0].url)) == PROVIDER.base_url + unquote(address)
    assert seen[0].headers["x-goog-api-key"] == "made-up"


@pytest.mark.parametrize("path", cases("response.json"))
def test_the_sdk_reads_the_golden_response(path: Path) -> None:
    chat = json.loads((path.parent / "chat.json").read_text())
    types.GenerateContentResponse.model_validate_json(path.read_bytes())  # rejects unknown fields
    response = sdk(path.read_bytes(), []).models.generate_content(model="m", contents="?")
    usage = response.usage_metadata
    assert usage
    assert chat["usage"]["total_tokens"] == usage.total_token_count
    assert chat["id"] == response.response_id
    if response.candidates:
        assert len(chat["choices"]) == len(response.candidates)
        content = response.candidates[0].content
        parts = (content and content.parts) or []
        text = "".join(part.text or "" for part in parts if not part.thought)
        assert (chat["choices"][0]["message"]["content"] or "") == text


@pytest.mark.parametrize("path", cases("stream.txt"))
def test_the_sdk_reads_the_golden_stream(path: Path) -> None:
    stream = path.read_bytes()
    events = [line for line in stream.splitlines() if line.startswith(b"data: ")]
    for event in events:
        types.GenerateContentResponse.model_validate_json(event.removeprefix(b"data: "))
    events_read = list(sdk(stream, []).models.generate_content_stream(model="m", contents="?"))
    assert len(events_read) == len(events)


def test_every_finish_reason_of_the_sdk_is_known_or_becomes_stop() -> None:
    stops = {"FINISH_REASON_UNSPECIFIED", "OTHER", "IMAGE_OTHER", "NO_IMAGE", "TOO_MANY_TOOL_CALLS"}
    known = {reason.value for reason in types.FinishReason}
    assert known == stops | FINISH_REASONS.keys() | FAILURES.keys()


def test_every_thinking_level_is_one_of_the_sdks() -> None:
    assert set(LEVELS.values()) <= {level.value for level in types.ThinkingLevel}
    assert BUDGETS.keys() == LEVELS.keys()


@pytest.mark.parametrize(
    ("model", "levels"),
    [
        ("gemini-2.5-pro", False),
        ("models/gemini-2.0-flash", False),
        ("gemini-3-pro-preview", True),
        ("gemini-3.5-flash", True),
        ("gemini-flash-latest", True),
    ],
)
def test_models_have_thinking_levels_since_gemini_3(model: str, *, levels: bool) -> None:
    assert has_levels(model) is levels


def decode(**body: Any) -> Any:
    return PROVIDER.chat.decode(WireResponse(200, {}, json.dumps(body).encode()), TARGET)


@pytest.mark.parametrize(("reason", "status"), FAILURES.items())
def test_a_failed_response_is_an_error(reason: str, status: int) -> None:
    with pytest.raises(WireError, match="no such tool") as raised:
        decode(candidates=[{"finishReason": reason, "finishMessage": "no such tool"}])
    assert raised.value.status == status


@pytest.mark.parametrize(("reason", "ours"), [*FINISH_REASONS.items(), ("OTHER", "stop")])
def test_a_finish_reason_becomes_openais(reason: str, ours: str) -> None:
    answer = decode(candidates=[{"content": {"parts": [{"text": "x"}]}, "finishReason": reason}])
    assert answer["choices"][0]["finish_reason"] == ours


def test_a_call_cut_by_the_limit_has_the_finish_reason_length() -> None:
    parts = [{"functionCall": {"name": "f"}}]
    answer = decode(candidates=[{"content": {"parts": parts}, "finishReason": "MAX_TOKENS"}])
    choice = answer["choices"][0]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    assert choice["message"]["tool_calls"][0]["id"] == "call_0"


def test_a_response_without_candidates_or_a_reason_is_malformed() -> None:
    with pytest.raises(BadWire):
        decode(usageMetadata={"promptTokenCount": 3})


def test_usage_after_the_end_is_sent_and_google_tools_count_as_prompt() -> None:
    decoder = ChatDecoder(TARGET)
    list(decoder.feed(WireEvent(b'{"candidates": [{"finishReason": "STOP"}]}')))
    late = b'{"usageMetadata": {"promptTokenCount": 3, "toolUsePromptTokenCount": 4}}'
    (chunk,) = decoder.feed(WireEvent(late))
    assert chunk["usage"] == {"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7}
    assert chunk["choices"] == []


@pytest.mark.parametrize(
    ("name", "value", "tier"),
    [
        ("serviceTier", "flex", "flex"),
        ("serviceTier", "standard", "default"),
        ("serviceTier", "PRIORITY", "priority"),
        ("serviceTier", "paid", None),
        ("serviceTier", 3, None),
        ("trafficType", "ON_DEMAND_FLEX", "flex"),
        ("trafficType", "ON_DEMAND", "default"),
        ("trafficType", "PROVISIONED_THROUGHPUT", None),
    ],
)
def test_the_tier_in_the_usage_is_openais(name: str, value: object, tier: str | None) -> None:
    candidates = [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 1, name: value}
    whole = decode(candidates=candidates, usageMetadata=usage)
    assert whole.get("service_tier") == tier
    assert whole["usage"]["prompt_tokens"] == 3
    event = json.dumps({"candidates": candidates, "usageMetadata": usage}).encode()
    chunks = list(ChatDecoder(TARGET).feed(WireEvent(event)))
    assert chunks[-1].get("service_tier") == tier


def test_the_tier_of_a_whole_response_is_also_in_a_header() -> None:
    body = {
        "candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1},
    }
    headers = {"x-gemini-service-tier": "flex"}
    response = WireResponse(200, headers, json.dumps(body).encode())
    assert PROVIDER.chat.decode(response, TARGET)["service_tier"] == "flex"


@pytest.mark.parametrize("provider", ["gemini", "vertex_ai"])
def test_results_are_in_the_order_of_their_calls(provider: str) -> None:
    """Without ids, Google pairs the results of one function with its calls by their order."""
    calls = [
        {
            "id": f"call_{one}-made",
            "type": "function",
            "function": {"name": name, "arguments": "{}"},
        }
        for one, name in (("a", "f"), ("b", "f"), ("c", "g"))
    ]
    results = {
        one: {"role": "tool", "tool_call_id": f"call_{one}-made", "content": one} for one in "abc"
    }
    asked = {"role": "assistant", "content": None, "tool_calls": calls}
    wires = []
    for order in itertools.permutations("abc"):
        messages = [{"role": "user", "content": "Go"}, asked, *(results[one] for one in order)]
        request = parse_chat({"model": "m", "messages": messages})
        target = Target("m", "gemini-2.5-flash", options={"project": "p", "location": "us"})
        wires.append(registry.find(provider).chat.encode(request, target, False))
    parts = json.loads(wires[0].body)["contents"][-1]["parts"]
    assert [part["functionResponse"]["response"]["output"] for part in parts] == ["a", "b", "c"]
    assert len({wire.body for wire in wires}) == 1


def test_a_stream_has_not_ended_before_its_last_candidate() -> None:
    decoder = ChatDecoder(TARGET)
    first = b'{"candidates": [{"content": {}}, {"index": 1, "finishReason": "STOP"}]}'
    list(decoder.feed(WireEvent(first)))
    assert not decoder.ended
    list(decoder.feed(WireEvent(b'{"candidates": [{"finishReason": "STOP"}]}')))
    assert decoder.ended


def candidate(index: int | None, text: str, reason: str | None = None) -> dict[str, Any]:
    content = {"parts": [{"text": text}]} if text else {}
    found = {"index": index, "content": content, "finishReason": reason}
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([[(0, "A")], [(1, "B")], [(0, "a", "STOP")], [(1, "b", "STOP")]], ["Aa", "Bb"]),
        ([[(0, "A"), (1, "B")], [(0, "a", "STOP")], [(1, "b", "STOP")]], ["Aa", "Bb"]),
        ([[(0, "A", "STOP")], [(1, "B", "STOP")]], ["A", "B"]),
        ([[(1, "A")], [(1, "a")], [(1, "", "STOP")]], ["Aa"]),
        ([[(1, "A")], [(None, "a")], [(None, "", "STOP")]], ["Aa"]),
        ([[(0, "A")], [(None, "a")], [(1, "", "STOP")]], ["Aa"]),
    ],
)
def test_texts_of_two_candidates_are_never_joined_although_one_was_asked_for(
    events: list[list[tuple[Any, ...]]], expected: list[str]
) -> None:
    decoder, accumulator = ChatDecoder(replace(TARGET, one_choice=True)), ChunkAccumulator()
    for event in events:
        data = json.dumps({"candidates": [candidate(*one) for one in event]}).encode()
        for chunk in decoder.feed(WireEvent(data)):
            accumulator.add(chunk)
    assert decoder.ended
    found = accumulator.completion()["choices"]
    assert [one["index"] for one in found] == list(range(len(expected)))
    assert [one["message"]["content"] for one in found] == expected
    assert {one["finish_reason"] for one in found} == {"stop"}


FAULT = {"error": {"code": 503, "message": "The model is {overloaded}.", "status": "UNAVAILABLE"}}
BEGUN = b'data: {"candidates": [{"content": {"parts": [{"text": "He"}]}}]}\r\n\r\n'
BARE = BEGUN + json.dumps(FAULT, indent=2).encode()
EVENT = BEGUN + b"data: " + json.dumps(FAULT).encode() + b"\r\n\r\n"


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 30])
@pytest.mark.parametrize("stream", [EVENT, BARE, BARE + b"\n", BARE[len(BEGUN) :] + b"\r\n"])
def test_an_error_in_a_stream_is_raised_with_googles_message(stream: bytes, size: int) -> None:
    """As an event, or as bare JSON without a blank line after it, which Google often sends."""
    framer, decoder = StreamFramer(), ChatDecoder(TARGET)
    pieces = [stream[i : i + size] for i in range(0, len(stream), size)]
    with pytest.raises(WireError, match=r"The model is \{overloaded\}\.") as raised:
        [list(decoder.feed(event)) for piece in pieces for event in framer.feed(piece)]
    assert raised.value.status == 503
    assert not decoder.ended


def test_a_bare_error_is_one_event() -> None:
    framer = StreamFramer()
    found = [event for piece in (BARE, b"\n", b"\n") for event in framer.feed(piece)]
    assert [json.loads(event.data) for event in found][1:] == [FAULT]


def ask(*messages: dict[str, Any]) -> Any:
    request = parse_chat({"model": "our-name", "messages": [*messages]})
    return PROVIDER.chat.encode(request, TARGET, False)


def calling(**function: str) -> dict[str, Any]:
    call = {"id": "c1", "type": "function", "function": {"name": "f", **function}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def test_a_result_without_a_call_is_a_text_of_the_users() -> None:
    result = {"role": "tool", "tool_call_id": "c2", "content": "1"}
    body = json.loads(ask(calling(arguments="{}"), result).body)
    assert body["contents"][-1]["parts"][-1] == {"text": "Result of a tool:\n\n1"}


def test_a_tool_loop_can_send_back_what_it_gets() -> None:
    """A response in the history becomes the same parts that Google sent."""
    response = json.loads((GOLDEN / "tools" / "response.json").read_text())
    chat = json.loads((GOLDEN / "tools" / "chat.json").read_text())
    body = json.loads(ask({"role": "user", "content": "?"}, chat["choices"][0]["message"]).body)
    assert body["contents"][1] == {
        "role": "model",
        "parts": response["candidates"][0]["content"]["parts"],
    }
