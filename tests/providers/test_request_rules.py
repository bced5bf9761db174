"""What vendors' references forbid in a request: media, users, thinking with tools."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.errors import RequestError, Unsupported
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.providers.rows import ROWS
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest
from tests.providers.strict import anthropic_api, bedrock_api, gemini_api

U = {"role": "user", "content": "Hello."}
SONNET = "claude-sonnet-4-5"
BEDROCK = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
CLAUDES = [("anthropic", SONNET, anthropic_api.check), ("bedrock", BEDROCK, bedrock_api.check)]
PNG = "data:image/png;base64,AAAA"


def encode(provider: str, model: str, *messages: dict[str, Any], **more: Any) -> WireRequest:
    drop_params = more.pop("drop_params", False)
    request = parse_chat({"model": "our-name", "messages": [*messages], **more})
    return registry.find(provider).chat.encode(
        request, Target("our-name", model, drop_params), False
    )


def body_of(provider: str, model: str, *messages: dict[str, Any], **more: Any) -> Any:
    return json.loads(encode(provider, model, *messages, **more).body)


# ---- users, media, documents ----


@pytest.mark.parametrize(
    ("user", "is_hidden"),
    [
        ("jane.doe@example.com", True), ("Jane <jane@example.com>", True), ("+47 912 34 567", True),
        ("(415) 555-2671", True), ("4155552671", True), ("u" * 300, True), ("user-17", False),
        ("550e8400-e29b-41d4-a716-446655440000", False), ("acme:42", False),
    ],
)  # fmt: skip
def test_a_user_who_is_an_address_or_a_number_is_sent_as_a_hash(
    user: str, *, is_hidden: bool
) -> None:
    wire = encode("anthropic", SONNET, U, user=user)
    sent = json.loads(wire.body)["metadata"]["user_id"]
    anthropic_api.check(SONNET, json.loads(wire.body))
    assert (sent != user) == is_hidden
    assert wire.dropped == (("user",) if is_hidden else ())
    assert encode("anthropic", SONNET, U, user=user) == wire


@pytest.mark.parametrize(
    ("written", "sent"),
    [("image/jpg", "image/jpeg"), ("IMAGE/JPG", "image/jpeg"), ("image/x-png", "image/png")],
)
def test_a_media_type_is_sent_by_its_registered_name(written: str, sent: str) -> None:
    part = {"type": "image_url", "image_url": {"url": f"data:{written};base64,AAAA"}}
    message = {"role": "user", "content": [part]}
    body = body_of("gemini", "gemini-2.5-flash", message)
    assert body["contents"][0]["parts"] == [{"inlineData": {"mimeType": sent, "data": "AAAA"}}]
    body = body_of("anthropic", SONNET, message)
    assert body["messages"][0]["content"][0]["source"]["media_type"] == sent
    body = body_of("bedrock", BEDROCK, message)
    assert body["messages"][0]["content"][0]["image"]["format"] == sent.removeprefix("image/")


def test_an_image_of_a_type_that_a_vendor_cannot_read_is_rejected_by_name() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/bmp;base64,AAAA"}}
    for provider, model in [("anthropic", SONNET), ("bedrock", BEDROCK)]:
        with pytest.raises(Unsupported, match="image/bmp") as rejected:
            encode(provider, model, {"role": "user", "content": [part]})
        assert rejected.value.param == "messages[0].content[0].image_url.url"


def test_a_document_alone_has_a_text_beside_it() -> None:
    file = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}
    message = {"role": "user", "content": [{"type": "file", "file": file}]}
    bedrock_api.check(BEDROCK, body_of("bedrock", BEDROCK, message))


# ---- tools and thinking ----


def loop(**fields: Any) -> list[dict[str, Any]]:
    """A call of the assistant's with its result."""
    function = {"name": "f", "arguments": "{}"}
    calls = [{"id": "call_1", "type": "function", "function": function}]
    answer = {"role": "assistant", "content": None, "tool_calls": calls, **fields}
    return [U, answer, {"role": "tool", "tool_call_id": "call_1", "content": "1"}]


THOUGHT = {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}]}
FOREIGN = {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": None}]}
TEXT = {"role": "assistant", "content": "So."}


@pytest.mark.parametrize(("provider", "model", "judge"), CLAUDES)
@pytest.mark.parametrize(
    ("messages", "thinks"),
    [
        ([U], True),
        ([U, TEXT, U], True),
        (loop(), False),
        (loop(**FOREIGN), False),
        ([*loop(), U], False),
        ([*loop(), TEXT, U], True),
        ([*loop(), {"role": "assistant", "content": " "}, U], False),
        ([*loop(), {"role": "assistant", "content": None, **FOREIGN}, U], False),
        ([*loop(), {"role": "assistant", "content": [{"type": "text", "text": ""}]}, U], False),
        ([*loop(), {"role": "assistant", "content": None, "refusal": "No."}, U], True),
        (loop(**THOUGHT), True),
        ([*loop(**THOUGHT), *loop()[1:]], True),
        ([*loop(**THOUGHT), TEXT, *loop()], False),
    ],
)
def test_thinking_is_left_off_if_the_last_turn_has_none(
    provider: str, model: str, judge: Any, messages: list[dict[str, Any]], *, thinks: bool
) -> None:
    wire = encode(provider, model, *messages, reasoning_effort="low", max_tokens=4000)
    body = json.loads(wire.body)
    judge(model, body)
    sent = body.get("thinking") or body.get("additionalModelRequestFields", {}).get("thinking")
    assert bool(sent) == thinks
    assert ("reasoning_effort" in wire.dropped) != thinks


@pytest.mark.parametrize("said", [{"content": "So."}, {"content": None, "refusal": "No."}])
def test_a_last_message_of_the_assistant_is_a_400_where_it_cannot_be_continued(said: Any) -> None:
    for model in ("sonar", "sonar-pro"):
        with pytest.raises(Unsupported, match="the last message must be") as rejected:
            encode("perplexity", model, U, {"role": "assistant", **said})
        assert rejected.value.param == "messages[1].role"


def test_adaptive_thinking_needs_no_earlier_thoughts() -> None:
    body = body_of("anthropic", "claude-opus-4-7", *loop(), reasoning_effort="low")
    assert body["thinking"]["type"] == "adaptive"


F = {"type": "function", "function": {"name": "f"}}
FORCED: list[Any] = [
    "required",
    {"type": "function", "function": {"name": "f"}},
    {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [F]}},
]


@pytest.mark.parametrize("choice", FORCED)
def test_a_budget_of_thinking_and_a_required_call_are_a_400_by_name(choice: Any) -> None:
    asked = {"reasoning_effort": "low", "max_tokens": 4000, "tools": [F], "tool_choice": choice}
    for provider, model, judge in CLAUDES:
        with pytest.raises(Unsupported, match="tool cannot be required") as rejected:
            encode(provider, model, U, **asked)
        assert rejected.value.param == "reasoning_effort"
        wire = encode(provider, model, U, drop_params=True, **asked)
        judge(model, json.loads(wire.body))
        assert b"thinking" not in wire.body


@pytest.mark.parametrize("choice", FORCED)
def test_adaptive_thinking_and_a_required_call_are_both_sent(choice: Any) -> None:
    model = "claude-opus-4-7"
    body = body_of("anthropic", model, U, reasoning_effort="low", tools=[F], tool_choice=choice)
    anthropic_api.check(model, body)
    assert body["thinking"]["type"] == "adaptive"
    assert body["tool_choice"]["type"] in {"any", "tool"}


@pytest.mark.parametrize("choice", FORCED)
@pytest.mark.parametrize(
    ("provider", "model", "can_force"),
    [("anthropic", "claude-opus-5-5", False), ("anthropic", "claude-fable-5-1", False),
     ("anthropic", "claude-mythos-5-1", False), ("anthropic", "claude-fable-5", True),
     ("anthropic", "claude-opus-5", True), ("anthropic", "claude-sonnet-5-5", True),
     ("bedrock", "anthropic.claude-opus-5-5", False), ("bedrock", BEDROCK, True)],
)  # fmt: skip
def test_a_model_that_cannot_be_forced_to_call_a_tool_is_named(
    provider: str, model: str, choice: Any, *, can_force: bool
) -> None:
    """Also with `drop_params`: a response without a call would not be what the client asked for."""
    asked = {"tools": [F], "tool_choice": choice}
    if can_force:
        assert encode(provider, model, U, **asked).dropped == ()
        return
    for drop_params in (False, True):
        with pytest.raises(Unsupported, match="cannot be forced") as rejected:
            encode(provider, model, U, drop_params=drop_params, **asked)
        assert rejected.value.param == "tool_choice"


def test_converse_declares_the_functions_that_were_called_before() -> None:
    messages = [*loop(), TEXT, U]
    wire = encode("bedrock", BEDROCK, *messages)
    body = json.loads(wire.body)
    bedrock_api.check(BEDROCK, body)
    assert [tool["toolSpec"]["name"] for tool in body["toolConfig"]["tools"]] == ["f"]
    assert wire.dropped == ("tools",)


def test_claude_gets_the_functions_that_were_called_before_and_may_call_none() -> None:
    wire = encode("anthropic", SONNET, *loop(), TEXT, U)
    body = json.loads(wire.body)
    anthropic_api.check(SONNET, body)
    assert [tool["name"] for tool in body["tools"]] == ["f"]
    assert body["tool_choice"] == {"type": "none"}
    assert wire.dropped == ("tools",)


def result(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    messages = loop()
    messages[-1] = {**messages[-1], "content": [{"type": "text", "text": "A map."}, *parts]}
    return messages


IMAGE = {"type": "image_url", "image_url": {"url": PNG}}


def test_the_result_of_a_tool_may_have_an_image_where_the_vendor_has_a_place_for_it() -> None:
    body = body_of("anthropic", SONNET, *result(IMAGE))
    anthropic_api.check(SONNET, body)
    content = body["messages"][2]["content"][0]["content"]
    assert [block["type"] for block in content] == ["text", "image"]
    body = body_of("bedrock", BEDROCK, *result(IMAGE))
    bedrock_api.check(BEDROCK, body)
    content = body["messages"][2]["content"][0]["toolResult"]["content"]
    assert [list(block) for block in content] == [["text"], ["image"]]
    body = body_of("gemini", "gemini-3-pro-preview", *result(IMAGE))
    gemini_api.check("gemini-3-pro-preview", body)
    response = body["contents"][2]["parts"][0]["functionResponse"]
    assert response["response"] == {"output": "A map."}
    assert response["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]
    for provider in ("openrouter", "hosted_vllm"):
        assert body_of(provider, "m", *result(IMAGE))["messages"][2] == result(IMAGE)[2]


def test_elsewhere_an_image_in_a_result_is_the_users_next_message() -> None:
    body = body_of("gemini", "gemini-2.5-flash", *result(IMAGE))
    gemini_api.check("gemini-2.5-flash", body)
    output, image = body["contents"][2:]
    assert output["parts"][0]["functionResponse"]["response"] == {"output": "A map."}
    assert image["role"] == "user"
    assert [list(part) for part in image["parts"]] == [["text"], ["inlineData"]]
    body = body_of("cohere", "m", *result(IMAGE))
    output, image = body["messages"][2:]
    assert (output["role"], image["role"]) == ("tool", "user")
    assert [part["type"] for part in image["content"]] == ["text", "image_url"]


@pytest.mark.parametrize("provider", ["anthropic", "bedrock", "gemini"])
def test_a_request_of_empty_messages_is_a_400(provider: str) -> None:
    with pytest.raises(RequestError) as rejected:
        encode(provider, BEDROCK, {"role": "user", "content": ""})
    assert rejected.value.param == "messages"


# ---- values that ask for nothing ----

NULLS = ["audio", "frequency_penalty", "functions", "logit_bias", "logprobs", "max_tokens",
         "max_completion_tokens", "metadata", "modalities", "n", "parallel_tool_calls",
         "prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_retention",
         "reasoning", "reasoning_effort", "response_format", "safety_identifier", "seed",
         "service_tier", "stop", "store", "temperature", "thinking", "tool_choice", "tools",
         "top_k", "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
         "a_field_of_tomorrow"]  # fmt: skip
EMPTY: list[tuple[str, Any]] = [
    *((name, None) for name in NULLS),
    ("function_call", "auto"), ("function_call", "none"), ("functions", []),
    ("logit_bias", {}), ("metadata", {}), ("modalities", []), ("prompt_cache_key", ""),
    ("safety_identifier", ""), ("stop", []), ("stop", ""), ("tools", []), ("user", ""),
]  # fmt: skip
LIKE_OPENAI = [
    ("azure", "gpt-4o"),
    ("openai", "gpt-5"),
    ("openai", "gpt-5.1"),
    ("openai", "o3"),
    *((name, "their-model") for name in sorted({row.name for row in ROWS.values()})),
]


@pytest.mark.parametrize(("provider", "model"), LIKE_OPENAI)
def test_a_field_that_asks_for_nothing_is_not_sent(provider: str, model: str) -> None:
    plain = encode(provider, model, U)
    for name, value in EMPTY:
        assert encode(provider, model, U, **{name: value}) == plain, (name, value)


@pytest.mark.parametrize(("provider", "model"), LIKE_OPENAI)
def test_a_null_in_a_message_is_not_sent(provider: str, model: str) -> None:
    nulls = dict.fromkeys(["name", "refusal", "audio", "function_call", "tool_calls", "annotations",
                           "reasoning_content", "a_field_of_tomorrow"])  # fmt: skip
    messages: list[Any] = [{**U, "name": None}, {"role": "assistant", "content": "So.", **nulls}, U]
    plain: list[Any] = [U, {"role": "assistant", "content": "So."}, U]
    assert encode(provider, model, *messages) == encode(provider, model, *plain)


@pytest.mark.parametrize("tier", ["auto", "default"])
def test_the_usual_service_tier_can_be_asked_for_everywhere(tier: str) -> None:
    for provider, model in LIKE_OPENAI:
        encode(provider, model, U, service_tier=tier)


ALLOWED_NONE = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [F]}}


@pytest.mark.parametrize("choice", ["auto", "none", ALLOWED_NONE])
@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", SONNET), ("bedrock", BEDROCK), ("bedrock", "meta.llama3-3-70b-instruct-v1:0"),
        ("cohere", "command-a-03-2025"), ("gemini", "gemini-2.5-flash"),
        ("vertex_ai", "gemini-2.5-flash"), ("vertex_ai", "claude-sonnet-4-5@20250929"),
        ("openai", "gpt-4o"), ("groq", "their-model"), ("mistral", "their-model"),
    ],
)  # fmt: skip
def test_a_choice_without_tools_that_asks_for_nothing_is_not_sent(
    provider: str, model: str, choice: Any
) -> None:
    """Agents send `none` without tools in their last step."""
    if choice is ALLOWED_NONE and provider in {"openai", "groq", "mistral"}:
        return  # OpenAI's own form
    body = body_of(provider, model, U, tool_choice=choice)
    assert not body.keys() & {"tool_choice", "toolConfig", "tools"}
