"""Earlier messages, one rule of a vendor after another: their fields, and the order of roles."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.errors import Unsupported
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.providers.other_rows import OTHER_ROWS
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest
from tests.providers.strict import (
    anthropic_api,
    bedrock_api,
    cohere_api,
    gemini_api,
    openai_api,
    vertex_api,
)

U = {"role": "user", "content": "Hello."}
BEDROCK = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def encode(provider: str, model: str, *messages: dict[str, Any], **more: Any) -> WireRequest:
    request = parse_chat({"model": "our-name", "messages": [*messages], **more})
    return registry.find(provider).chat.encode(request, Target("our-name", model), False)


def body_of(provider: str, model: str, *messages: dict[str, Any], **more: Any) -> Any:
    return json.loads(encode(provider, model, *messages, **more).body)


def called(*ids: str, arguments: str = "{}", **fields: Any) -> list[dict[str, Any]]:
    """A message with these calls, and their results."""
    function = {"name": "get_weather", "arguments": arguments}
    calls = [{"id": one, "type": "function", "function": function} for one in ids]
    results = [{"role": "tool", "tool_call_id": one, "content": one} for one in ids]
    return [{"role": "assistant", "content": None, "tool_calls": calls, **fields}, *results]


# ---- fields of earlier responses ----

MADE = {
    "annotations": [{"type": "url_citation"}],
    "citations": ["https://a.test"],
    "content_parts": [{"type": "image_url", "image_url": {"url": "https://a.test/a.png"}}],
    "context": {"intent": "?"},
    "extra_content": {"google": {"thought_signature": "s"}},
    "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}],
    "provider_specific_fields": {"a": 1},
    "reasoning_content": "hm",
    "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
    "a_field_of_tomorrow": {"a": 1},
}
TAKES = {
    ("deepseek", "reasoning_content"): "reasoning_content",
    ("fireworks_ai", "reasoning_content"): "reasoning_content",
    ("hosted_vllm", "reasoning_content"): "reasoning",
    ("cerebras", "reasoning_content"): "reasoning",
    ("together_ai", "reasoning_content"): "reasoning",
    ("xai", "reasoning_content"): "reasoning_content",
    ("openrouter", "reasoning_content"): "reasoning",
    ("openrouter", "annotations"): "annotations",
    ("openrouter", "images"): "images",
    ("ollama", "reasoning_content"): "reasoning",
    ("openai_like", "reasoning_content"): "reasoning_content",
    ("openai_like", "extra_content"): "extra_content",
}
ROWS_HERE = ["azure", "cerebras", "deepseek", "fireworks_ai", "groq", "hosted_vllm", "mistral",
             "ollama", "openai", "openai_like", "openrouter", "perplexity", "together_ai",
             "xai"]  # fmt: skip
STRICT = {"azure", "cerebras", "fireworks_ai", "groq", "mistral", "openai", "perplexity", "xai"}


@pytest.mark.parametrize("provider", ROWS_HERE)
@pytest.mark.parametrize("name", MADE)
def test_a_field_of_another_vendors_response_reaches_only_vendors_that_know_it(
    provider: str, name: str
) -> None:
    answer = {"role": "assistant", "content": "Hi", name: MADE[name]}
    wire = encode(provider, "gpt-4o", U, answer, U)
    sent = json.loads(wire.body)["messages"][1]
    theirs = TAKES.get((provider, name))
    if name == "a_field_of_tomorrow" and provider not in STRICT:
        theirs = name  # the vendor decides
    expected = {"role": "assistant", "content": "Hi"} | ({theirs: MADE[name]} if theirs else {})
    assert sent == expected
    logged = "*" if name == "a_field_of_tomorrow" else name  # which may be a client's text
    assert wire.dropped == (() if theirs == name else (f"messages[].{logged}",))


@pytest.mark.parametrize("provider", sorted(OTHER_ROWS))
def test_what_another_vendor_has_made_reaches_gateways_and_servers_of_ones_own_alone(
    provider: str,
) -> None:
    own = openai_api.OWN.get(provider, set())
    made = {**MADE, "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}
    call = {"id": "abcdefghi", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    for name in ("extra_content", "reasoning_details"):
        calls = [{**call, name: made[name]}]
        called = {"role": "assistant", "content": "Hi", name: made[name], "tool_calls": calls}
        result = {"role": "tool", "tool_call_id": call["id"], "content": "r"}
        wire = encode(provider, "their-model", U, called, result, U)
        _, sent, *_ = json.loads(wire.body)["messages"]
        assert [name in sent, name in sent["tool_calls"][0]] == [name in own] * 2
        noted = {f"messages[].{name}", f"messages[].tool_calls[].{name}"}
        assert noted & set(wire.dropped) == (set() if name in own else noted)


def test_a_refusal_stays_a_text_for_vendors_that_have_none() -> None:
    answer = {"role": "assistant", "content": None, "refusal": "No."}
    assert body_of("openai", "gpt-4o", U, answer, U)["messages"][1] == answer
    for provider in ("groq", "mistral", "cerebras", "xai"):
        sent = body_of(provider, "m", U, answer, U)["messages"][1]
        assert sent == {"role": "assistant", "content": "No."}


def test_a_spoken_response_is_its_id_for_openai_and_its_words_for_others() -> None:
    audio = {"id": "audio_1", "data": "AAAA", "expires_at": 1, "transcript": "Hello there."}
    answer = {"role": "assistant", "content": None, "audio": audio}
    sent = body_of("openai", "gpt-4o-audio-preview", U, answer, U)["messages"][1]
    assert sent == {"role": "assistant", "content": None, "audio": {"id": "audio_1"}}
    for provider, model in [("groq", "m"), ("anthropic", "claude-x"), ("gemini", "gemini-x"),
                            ("cohere", "m"), ("bedrock", BEDROCK), ("azure", "gpt-4o-audio"),
                            ("openrouter", "m"), ("openai_like", "m")]:  # fmt: skip
        wire = encode(provider, model, U, answer, U)
        assert b"Hello there." in wire.body
        assert wire.dropped == ("messages[].audio",)


@pytest.mark.parametrize("provider", ["anthropic", "bedrock", "gemini", "cohere", "mistral"])
def test_names_of_messages_are_left_out_where_there_are_none(provider: str) -> None:
    model = BEDROCK if provider == "bedrock" else "claude-x"
    wire = encode(provider, model, U | {"name": "ada"}, U)
    assert b"ada" not in wire.body
    assert wire.dropped == ("messages[].name",)
    assert b"ada" in encode("openai", "gpt-4o", U | {"name": "ada"}).body


def test_a_mark_for_a_cache_reaches_only_vendors_that_know_it() -> None:
    mark = {"type": "ephemeral"}
    system = {
        "role": "system",
        "content": [{"type": "text", "text": "Be brief.", "cache_control": mark}],
    }
    for provider, model in [("anthropic", "claude-x"), ("openrouter", "m"), ("bedrock", BEDROCK)]:
        wire = encode(provider, model, system, U)
        assert b"cache_control" in wire.body or b"cachePoint" in wire.body
        assert wire.dropped == ()
    for provider, model in [("groq", "m"), ("cerebras", "m"), ("openai", "gpt-4o"),
                            ("mistral", "m"), ("gemini", "gemini-x"), ("cohere", "m"),
                            ("bedrock", "meta.llama3-3-70b-instruct-v1:0")]:  # fmt: skip
        wire = encode(provider, model, system, U)
        assert b"cache" not in wire.body
        assert b"Be brief." in wire.body
        assert wire.dropped in {
            ("messages[].content[].cache_control",),
            ("messages[].cache_control",),
        }, provider


@pytest.mark.parametrize(
    ("provider", "model"),
    [("groq", "m"), ("openai", "gpt-4o"), ("openai_like", "m"), ("gemini", "gemini-2.5-flash"),
     ("cohere", "m"), ("bedrock", "meta.llama"), ("anthropic", "claude-x"), ("openrouter", "m")],
)  # fmt: skip
@pytest.mark.parametrize("place", ["tool", "function"])
def test_a_mark_on_a_tool_is_sent_or_noted(provider: str, model: str, place: str) -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    function = {"name": "f"} | (mark if place == "function" else {})
    tool = {"type": "function", "function": function} | (mark if place == "tool" else {})
    wire = encode(provider, model, U, tools=[tool])
    is_sent = b"cache_control" in wire.body
    assert is_sent == (provider in {"anthropic", "openrouter", "openai_like"})
    assert wire.dropped == (() if is_sent else ("tools[].cache_control",))


def test_a_mark_for_the_whole_prompt_reaches_only_vendors_that_know_it() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    assert b"cache_control" in encode("anthropic", "claude-x", U, **mark).body
    wire = encode("groq", "m", U, **mark)
    assert b"cache_control" not in wire.body
    assert wire.dropped == ("cache_control",)


def test_deepseek_gets_a_content_of_texts_as_one_text() -> None:
    parts = [{"type": "text", "text": "Hi."}, {"type": "text", "text": "Ho."}]
    sent = body_of("deepseek", "deepseek-chat", {"role": "user", "content": parts})
    assert sent["messages"] == [{"role": "user", "content": "Hi.\nHo."}]


def test_deepseek_gets_reasoning_with_each_call_also_of_another_model() -> None:
    """It rejects a conversation with calls if one message of the assistant has none."""
    messages = [U, *called("call_1"), {"role": "assistant", "content": "So."}, U]
    answers = [
        message
        for message in body_of("deepseek", "deepseek-chat", *messages)["messages"]
        if message["role"] == "assistant"
    ]
    assert [answer["reasoning_content"] for answer in answers] == [" ", " "]
    own = called("call_1", reasoning_content="hm")
    sent = body_of("deepseek", "deepseek-chat", U, *own)["messages"][1]
    assert sent["reasoning_content"] == "hm"
    plain = [U, {"role": "assistant", "content": "So."}, U]
    assert body_of("deepseek", "deepseek-chat", *plain)["messages"] == plain


@pytest.mark.parametrize("content", ["", []])
def test_xai_gets_no_empty_content_beside_calls(content: Any) -> None:
    assert body_of("xai", "grok-4", U, *called("a", content=content))["messages"][1] == {
        "role": "assistant",
        "content": None,
        "tool_calls": called("a")[0]["tool_calls"],
    }


@pytest.mark.parametrize(("provider", "model"), [("openai", "gpt-4o"), ("groq", "m")])
def test_an_empty_list_of_parts_is_an_empty_text(provider: str, model: str) -> None:
    sent = body_of(provider, model, U, {"role": "assistant", "content": []}, U)["messages"]
    assert sent[1]["content"] == ""


# ---- roles ----


def test_mistral_gets_a_turn_between_a_tools_result_and_the_user() -> None:
    wire = encode("mistral", "mistral-large-latest", U, *called("D681PevKs"), U)
    roles = [message["role"] for message in json.loads(wire.body)["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]
    openai_api.check("mistral", json.loads(wire.body))


def test_mistral_continues_a_last_message_of_the_assistant() -> None:
    body = body_of("mistral", "m", U, {"role": "assistant", "content": "I say"})
    assert body["messages"][-1] == {"role": "assistant", "content": "I say", "prefix": True}


JUDGES: list[tuple[str, str, Any]] = [
    ("anthropic", "claude-sonnet-4-5", anthropic_api.check),
    ("bedrock", BEDROCK, bedrock_api.check),
    ("gemini", "gemini-2.5-flash", gemini_api.check),
    ("cohere", "command-a", cohere_api.check),
    ("mistral", "mistral", openai_api.check),
    ("perplexity", "perplexity", openai_api.check),
    ("xai", "xai", openai_api.check),
]
EMPTY: list[Any] = ["", " ", "\n\t", None, []]


@pytest.mark.parametrize(("provider", "model", "judge"), JUDGES)
@pytest.mark.parametrize("content", EMPTY, ids=repr)
def test_an_empty_turn_is_left_out_and_its_neighbors_joined(
    provider: str, model: str, judge: Any, content: Any
) -> None:
    body = body_of(provider, model, U, {"role": "assistant", "content": content}, U)
    judge(model, body)


@pytest.mark.parametrize(("provider", "model", "judge"), JUDGES)
def test_a_conversation_may_begin_with_the_assistant_and_have_late_instructions(
    provider: str, model: str, judge: Any
) -> None:
    hello = {"role": "assistant", "content": "How can I help?"}
    late = {"role": "system", "content": "Be brief."}
    judge(model, body_of(provider, model, hello, U, hello, late, U))


@pytest.mark.parametrize(("provider", "model", "judge"), JUDGES)
def test_a_system_prompt_alone_is_the_users(provider: str, model: str, judge: Any) -> None:
    if provider in {"mistral", "perplexity", "xai"}:
        return  # OpenAI's role is sent; these take it
    wire = encode(provider, model, {"role": "system", "content": "Say hello."})
    judge(model, json.loads(wire.body))
    assert b"Say hello." in wire.body
    assert wire.dropped == ("messages[].role",)


def test_a_late_turn_of_a_developer_is_the_systems_where_the_role_is_unknown() -> None:
    message = {"role": "developer", "content": "Be brief."}
    for provider in ("openai_like", "mistral", "deepseek", "hosted_vllm"):
        assert body_of(provider, "m", message, U)["messages"][0]["role"] == "system"
    request = parse_chat({"model": "m", "messages": [message, U]})
    for base, role in [
        ("", "developer"),
        ("https://api.openai.com/v1", "developer"),
        ("https://eu.api.openai.com/v1", "developer"),
        ("http://127.0.0.1:8000/v1", "system"),
        ("https://openai.com.example.test/v1", "system"),
    ]:
        target = Target("our-name", "gpt-4o", options={"api_base": base} if base else {})
        wire = registry.find("openai").chat.encode(request, target, False)
        assert json.loads(wire.body)["messages"][0]["role"] == role


CUSTOM: dict[str, Any] = {
    "id": "call_1",
    "type": "custom",
    "custom": {"name": "shell", "input": 'ls "x"'},
}
SHELL: list[dict[str, Any]] = [
    U,
    {"role": "assistant", "content": None, "tool_calls": [CUSTOM]},
    {"role": "tool", "tool_call_id": "call_1", "content": "x"},
    U,
]


@pytest.mark.parametrize(
    ("provider", "model"),
    [("anthropic", "m"), ("bedrock", BEDROCK), ("cohere", "m"), ("gemini", "m"), ("groq", "m"),
     ("mistral", "m"), ("xai", "m"), ("openrouter", "m"), ("deepseek", "m"), ("openai_like", "m")],
)  # fmt: skip
def test_a_call_of_a_custom_tool_is_a_functions_where_there_are_none(
    provider: str, model: str
) -> None:
    wire = encode(provider, model, *SHELL)
    text = wire.body.decode()
    assert '"custom"' not in text
    assert "messages[].tool_calls[].custom" in wire.dropped
    written = json.dumps({"input": 'ls "x"'}, separators=(",", ":"))
    assert written in text or json.dumps(written) in text


def test_openais_own_models_get_the_calls_of_custom_tools() -> None:
    assert body_of("openai", "gpt-5", *SHELL)["messages"][1]["tool_calls"] == [CUSTOM]


@pytest.mark.parametrize("provider", ["deepseek", "openrouter", "mistral", "openai"])
def test_a_message_with_calls_always_has_a_content(provider: str) -> None:
    answer, result = called("abcdefghi")
    del answer["content"]
    assert body_of(provider, "m", U, answer, result)["messages"][1]["content"] is None


@pytest.mark.parametrize("provider", ["groq", "openai", "xai", "openai_like", "deepseek"])
def test_empty_ids_of_calls_are_told_apart(provider: str) -> None:
    messages = [U, *called("", ""), U, *called("")]
    sent = body_of(provider, "m", *messages)["messages"]
    ids = [call["id"] for message in sent for call in message.get("tool_calls") or ()]
    results = [message["tool_call_id"] for message in sent if message["role"] == "tool"]
    assert ids == results
    assert len({*ids} - {""}) == 3
    assert sent == body_of(provider, "m", *messages)["messages"]


def test_a_false_prefix_asks_for_nothing() -> None:
    answer = {"role": "assistant", "content": "Hi", "prefix": False}
    for provider in ("openrouter", "together_ai", "hosted_vllm", "openai_like", "mistral"):
        assert b"prefix" not in encode(provider, "m", U, answer, U).body


def test_mistral_gets_a_late_system_message_after_the_results() -> None:
    answer, result = called("abcdefghi")
    late = {"role": "system", "content": "Be brief."}
    body = body_of("mistral", "m", U, answer, late, result, U)
    openai_api.check("mistral", body)
    sent = body["messages"]
    assert [message["role"] for message in sent][1:3] == ["assistant", "tool"]
    assert "Be brief." in [message["content"] for message in sent[3:]]


@pytest.mark.parametrize("provider", ["openai_like", "openai"])
@pytest.mark.parametrize(
    ("model", "thinks"),
    [("kimi-k2-thinking", True), ("moonshotai/kimi-k2.5", True), ("deepseek-v4", True),
     ("kimi-k2-instruct", False), ("qwen3", False)],
)  # fmt: skip
def test_models_that_think_with_tools_get_some_reasoning_with_each_call(
    provider: str, model: str, *, thinks: bool
) -> None:
    request = parse_chat({"model": "our-name", "messages": [U, *called("c1"), U]})
    target = Target("our-name", model, options={"api_base": "http://127.0.0.1:1/v1"})
    body = json.loads(registry.find(provider).chat.encode(request, target, False).body)
    assert bool(body["messages"][1].get("reasoning_content")) == thinks


def test_claude_gets_the_last_four_marks_of_its_cache() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    texts = [{"type": "text", "text": str(number), **mark} for number in range(6)]
    tools = [{"type": "function", "function": {"name": "f"}, **mark}]
    for provider in ("anthropic", "vertex_ai"):
        request = parse_chat({"messages": [{"role": "user", "content": texts}], "tools": tools})
        target = Target("our-name", "claude-sonnet-4-5", options={"vertex_project": "p"})
        wire = registry.find(provider).chat.encode(request, target, False)
        body = json.loads(wire.body)
        blocks = body["messages"][0]["content"]
        assert [b["text"] for b in blocks if "cache_control" in b] == ["2", "3", "4", "5"]
        assert "cache_control" not in body["tools"][0]
        assert wire.dropped == ("messages[].cache_control",)


# ---- audio and ids that no request can refer to ----


def test_an_id_of_audio_without_words_is_sent_to_servers_that_may_know_it() -> None:
    answer = {"role": "assistant", "content": None, "audio": {"id": "audio_1"}}
    for provider in ("openai", "azure", "openrouter", "openai_like"):
        sent = body_of(provider, "gpt-4o-audio-preview", U, answer, U)["messages"][1]
        assert sent["audio"] == {"id": "audio_1"}
    server = Target("our-name", "gpt-4o", options={"api_base": "http://127.0.0.1:1/v1"})
    request = parse_chat({"model": "our-name", "messages": [U, {**answer, "audio": SPOKEN}, U]})
    wire = registry.find("openai").chat.encode(request, server, False)
    assert json.loads(wire.body)["messages"][1] == {"role": "assistant", "content": "Hello there."}


SPOKEN = {"id": "audio_1", "data": "AAAA", "expires_at": 1, "transcript": "Hello there."}


@pytest.mark.parametrize("provider", ["openai", "azure", "openrouter"])
def test_audio_with_an_id_that_openai_did_not_make_is_its_words(provider: str) -> None:
    audio = {"id": "made_r1", "data": "AAAA", "expires_at": 0, "transcript": "Hello there."}
    wire = encode(provider, "gpt-4o", U, {"role": "assistant", "content": None, "audio": audio}, U)
    assert json.loads(wire.body)["messages"][1] == {"role": "assistant", "content": "Hello there."}
    assert "messages[].audio" in wire.dropped


@pytest.mark.parametrize("call_id", ["null", "call_1"])
def test_calls_with_equal_ids_keep_their_results_apart(call_id: str) -> None:
    calls = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}
        for name in ("look", "see")
    ]
    results = [{"role": "tool", "tool_call_id": call_id, "content": text} for text in ("1", "2")]
    messages: list[Any] = [
        U,
        {"role": "assistant", "content": None, "tool_calls": calls},
        *results,
    ]
    for provider in ("mistral", "cohere", "openai", "groq"):
        sent = body_of(provider, "m", *messages)["messages"]
        ids = [call["id"] for call in sent[1]["tool_calls"]]
        assert len(set(ids)) == 2
        assert [message["tool_call_id"] for message in sent[2:4]] == ids
    turns = body_of("gemini", "m", *messages)["contents"]
    parts = [part for turn in turns for part in turn["parts"]]
    responses = [part["functionResponse"] for part in parts if "functionResponse" in part]
    assert [one["name"] for one in responses] == ["look", "see"]


# ---- a last message of the assistant ----

PREFILL = [U, {"role": "assistant", "content": "{"}]


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-opus-4-6"),
        ("anthropic", "claude-sonnet-4-6"),
        ("bedrock", "us.anthropic.claude-opus-4-6-v1"),
        ("perplexity", "sonar"),
    ],
)
def test_a_message_that_cannot_be_continued_is_a_400(provider: str, model: str) -> None:
    for drop in (False, True):
        request = parse_chat({"model": "our-name", "messages": PREFILL})
        with pytest.raises(Unsupported, match="role") as rejected:
            registry.find(provider).chat.encode(request, Target("our-name", model, drop), False)
        assert rejected.value.param == "messages[1].role"


@pytest.mark.parametrize(
    ("provider", "model"), [("anthropic", "claude-sonnet-4-5"), ("bedrock", BEDROCK)]
)
def test_older_models_continue_a_message_of_the_assistant(provider: str, model: str) -> None:
    assert body_of(provider, model, *PREFILL)["messages"][-1]["role"] == "assistant"


# ---- calls and their results ----


def result(call_id: str, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


S = {"role": "system", "content": "Be brief."}
A_B = called("a", "b")[0]
LOST = [
    ([U, A_B], [U, A_B, result("a", "No result."), result("b", "No result.")]),
    (
        [U, A_B, result("b", "2"), U],
        [U, A_B, result("a", "No result."), result("b", "2"), U],
    ),
    ([U, A_B, result("a", "1"), S, result("b", "2"), U], None),
    (
        [U, A_B, S, result("b", "2"), S],
        [U, A_B, result("a", "No result."), result("b", "2"), S, S],
    ),
    # The next call with the same id has its own result.
    (
        [U, called("a")[0], U, *called("a"), U],
        [U, called("a")[0], result("a", "No result."), U, *called("a"), U],
    ),
    (
        [U, called("a", "a")[0], result("a", "1"), U],
        [U, called("a", "a")[0], result("a", "1"), result("a", "No result."), U],
    ),
    ([U, *called("a", "b"), U], None),
]


@pytest.mark.parametrize(("written", "sent"), LOST)
def test_a_call_without_a_result_gets_one_that_says_so(written: Any, sent: Any) -> None:
    wire = encode("openai_like", "m", *written)
    whole = encode("openai_like", "m", *(sent or written))
    assert json.loads(wire.body)["messages"] == json.loads(whole.body)["messages"]
    assert ("messages[].tool_calls" in wire.dropped) == (sent is not None)
    assert wire == encode("openai_like", "m", *written)


@pytest.mark.parametrize(
    ("provider", "model"),
    [("anthropic", "claude-x"), ("bedrock", BEDROCK), ("gemini", "gemini-2.5-flash"),
     ("cohere", "m"), ("mistral", "m"), ("azure", "gpt-4o")],
)  # fmt: skip
def test_vendors_get_a_result_for_each_call_that_has_none(provider: str, model: str) -> None:
    messages = [U, A_B, result("b", "2"), U]
    wire = encode(provider, model, *messages)
    assert wire.body.count(b"No result.") == 1
    assert "messages[].tool_calls" in wire.dropped


def text_of(result: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": f"Result of a tool:\n\n{result['content']}"}


V = {"role": "user", "content": "Go on."}
MIXED: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "the call was trimmed": ([U, result("z", "1"), V], [U, text_of(result("z", "1")), V]),
    "nothing else is left": ([result("z", "1")], [text_of(result("z", "1"))]),
    "two results": (
        [U, A_B, result("a", "1"), result("a", "2"), result("b", "3"), V],
        [U, A_B, result("a", "1"), result("b", "3"), text_of(result("a", "2")), V],
    ),
    "a second result later": (
        [U, *called("a"), V, result("a", "2"), V],
        [U, *called("a"), V, text_of(result("a", "2")), V],
    ),
    "a turn between the results": (
        [U, A_B, result("b", "2"), V, result("a", "1")],
        [U, A_B, result("a", "1"), result("b", "2"), V],
    ),
    "all results late": (
        [U, A_B, V, result("a", "1"), S, result("b", "2")],
        [U, A_B, result("a", "1"), result("b", "2"), V, S],
    ),
    "the result of another call": (
        [U, A_B, result("a", "1"), result("z", "9"), V],
        [U, A_B, result("a", "1"), result("b", "No result."), text_of(result("z", "9")), V],
    ),
    "a result before its call": (
        [U, result("a", "1"), *called("a"), V],
        [U, text_of(result("a", "1")), *called("a"), V],
    ),
}


@pytest.mark.parametrize(("written", "sent"), MIXED.values(), ids=MIXED)
def test_results_that_are_not_right_after_their_calls_are_put_in_order(
    written: Any, sent: Any
) -> None:
    wire = encode("openai_like", "m", *written)
    assert json.loads(wire.body)["messages"] == sent
    assert "messages[].tool_call_id" in wire.dropped
    again = encode("openai_like", "m", *sent)
    assert (again.body, again.dropped) == (wire.body, ())


AUTHORS = {"role": "user", "content": "Hello.", "name": "Ada L./PM"}
NAMED = {"role": "assistant", "content": "Hi.", "name": "MiniMax AI"}


@pytest.mark.parametrize("provider", ["openai", "azure", "groq", "xai", "cerebras"])
def test_the_names_of_authors_have_only_what_the_vendor_accepts(provider: str) -> None:
    wire = encode(provider, "m", AUTHORS, NAMED, {**U, "name": "bob-1"}, {**U, "name": ""})
    names = [message.get("name") for message in json.loads(wire.body)["messages"]]
    assert names == ["Ada_L._PM", "MiniMax_AI", "bob-1", None]
    assert wire.dropped.count("messages[].name") == 1


def test_another_server_gets_the_names_of_authors_unchanged() -> None:
    (message, _) = body_of("openai_like", "m", NAMED, U)["messages"]
    assert message == NAMED


# ---- Gemini at Google's OpenAI-compatible address ----

GOOGLE = "https://generativelanguage.googleapis.com/v1beta/openai"
SIGNED = {"google": {"thought_signature": "c2ln"}}
SKIPPED = {"google": {"thought_signature": "skip_thought_signature_validator"}}


@pytest.mark.parametrize("provider", ["openai", "openai_like", "litellm_proxy"])
@pytest.mark.parametrize(
    ("model", "given", "sent"),
    [
        ("gemini-3-pro-preview", {}, SKIPPED),
        ("gemini-3.6-flash", {"extra_content": SIGNED}, SIGNED),
        ("gemini-3.6-flash", {"extra_content": {"google": {}}}, SKIPPED),
        ("google/gemini-flash-latest", {}, SKIPPED),
        ("gemini-2.5-flash", {}, None),
        ("gemini-2.5-flash", {"extra_content": SIGNED}, SIGNED),
        ("claude-sonnet-5", {}, None),
    ],
)
def test_the_first_call_of_a_message_is_signed_for_gemini_3(
    provider: str, model: str, given: dict[str, Any], sent: Any
) -> None:
    """Also one that another vendor's model made, or whose client has dropped the signature."""
    calls = [
        {"id": one, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for one in ("call_a", "call_b")
    ]
    calls[0] |= given
    results = [{"role": "tool", "tool_call_id": one["id"], "content": "1"} for one in calls]
    history = [U, {"role": "assistant", "content": None, "tool_calls": calls}, *results]
    request = parse_chat({"messages": history})
    target = Target("our-name", model, False, {"api_base": GOOGLE})
    body = json.loads(registry.find(provider).chat.encode(request, target, False).body)
    first, second = body["messages"][1]["tool_calls"]
    assert first.get("extra_content") == sent
    assert "extra_content" not in second


@pytest.mark.parametrize(
    ("provider", "model", "judge"),
    [
        ("anthropic", "claude-sonnet-4-5", anthropic_api.check),
        ("bedrock", BEDROCK, bedrock_api.check),
        ("bedrock", "arn:aws:bedrock:eu-west-1:1:application-inference-profile/a", None),
        ("vertex_ai", "claude-sonnet-4-5@20250929", vertex_api.check),
    ],
)
def test_the_text_that_claude_continues_does_not_end_with_white_space(
    provider: str, model: str, judge: Any
) -> None:
    for content in ("The answer is \n", [{"type": "text", "text": "The answer is "}]):
        for mark in ({}, {"cache_control": {"type": "ephemeral"}}):
            body = body_of(provider, model, U, {"role": "assistant", "content": content, **mark})
            assert '"The answer is"' in json.dumps(body)
            if judge is not None:
                judge(model, body)
    inner = [U, {"role": "assistant", "content": "Yes. "}, U]
    assert '"Yes. "' in json.dumps(body_of(provider, model, *inner)), "the end alone is stripped"


def test_the_log_counts_unknown_fields_of_a_call_and_does_not_name_them() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    unknown = {"x" * 1000 + str(number): 1 for number in range(3)}
    answer = {"role": "assistant", "content": None, "tool_calls": [{**call, **unknown}]}
    result = {"role": "tool", "tool_call_id": "c", "content": "1"}
    assert encode("openai", "gpt-4o", U, answer, result).dropped == (
        "messages[].tool_calls[].* (3)",
    )
