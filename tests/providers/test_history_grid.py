"""
The grid: each provider's response, as the client gets it, is sent back to every other provider.

A fan-out or a fallback over several vendors does that from its second turn on. Each cell is
encoded plain and streamed, without `drop_params`, and a judge written from the vendor's reference
rejects what the vendor rejects.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.providers.rows import ROWS
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
from tests.providers.strict.responses import all_messages

Judge = Callable[[str, dict[str, Any]], None]


def vertex_claude(model: str, body: dict[str, Any]) -> None:
    """Anthropic's rules; Vertex AI has a field of its own, and the model in the URL."""
    rest = {name: value for name, value in body.items() if name != "anthropic_version"}
    anthropic_api.check(model, {"model": model, **rest})


ROW_NAMES = sorted({row.name for row in ROWS.values()})
OTHER_VENDORS = [
    ("dashscope", "qwen3-max"),
    ("github", "openai/gpt-5"),
    ("hosted_vllm", "Qwen/Qwen3.6-27B"),
    ("hosted_vllm", "google/gemma-2-9b-it"),
    ("hosted_vllm", "mistralai/Mistral-Small-3.2-24B-Instruct-2506"),
    ("lemonade", "google/gemma-3-27b-it"),
    ("hosted_vllm", "meta-llama/Llama-3.3-70B-Instruct"),
    ("lm_studio", "their-model"),
    ("minimax", "MiniMax-M2.5"),
    ("moonshot", "kimi-k2.5"),
    ("nvidia_nim", "meta/llama-3.3-70b-instruct"),
    ("openai_like", "mistralai/Mistral-7B-Instruct-v0.3"),
    ("volcengine", "doubao-seed-2-0"),
    ("xiaomi_mimo", "mimo-v2.5-pro"),
    ("zai", "glm-5"),
]
TARGETS: list[tuple[str, str, Judge]] = [
    ("openai", "gpt-4o", openai_api.check),
    ("openai", "gpt-5", openai_api.check),
    ("azure", "gpt-4o", openai_api.check),
    ("bedrock", "openai.gpt-oss-20b-1:0", openai_api.check),
    ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", bedrock_api.check),
    ("bedrock", "us.amazon.nova-2-lite-v1:0", bedrock_api.check),
    ("bedrock", "meta.llama3-3-70b-instruct-v1:0", bedrock_api.check),
    ("bedrock", "mistral.mixtral-8x7b-instruct-v0:1", bedrock_api.check),
    ("bedrock", "us.deepseek.r1-v1:0", bedrock_api.check),
    ("bedrock", "qwen.qwen3-32b-v1:0", bedrock_api.check),
    ("anthropic", "claude-sonnet-4-5", anthropic_api.check),
    ("anthropic", "claude-opus-4-7", anthropic_api.check),
    ("cohere", "command-a-03-2025", cohere_api.check),
    ("gemini", "gemini-2.5-flash", gemini_api.check),
    ("gemini", "gemini-3-pro-preview", gemini_api.check),
    ("vertex_ai", "gemini-2.5-flash", vertex_api.check),
    ("vertex_ai", "gemini-3-pro-preview", vertex_api.check),
    ("vertex_ai", "claude-sonnet-4-5@20250929", vertex_api.check),
    ("vertex_ai", "claude-opus-4-7", vertex_api.check),
    ("vertex_ai", "gemini-2.5-flash", gemini_api.check),
    ("vertex_ai", "claude-sonnet-4-5@20250929", vertex_claude),
    *((name, "their-model", openai_api.check) for name in ROW_NAMES),
    *((name, model, openai_api.check) for name, model in OTHER_VENDORS),
]
MESSAGES = all_messages()
U = {"role": "user", "content": "Hello."}
NO_TOOLS = {"perplexity", "mistral.mixtral-8x7b-instruct-v0:1", "us.deepseek.r1-v1:0"}


def conversations(message: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """
    The response between two turns of the user; with calls, also at the results, and alone.

    A client may have lost all results or some, and a conversation may be cut after the calls.
    """
    calls = message.get("tool_calls") or []
    results: list[dict[str, Any]] = [
        {"role": "tool", "tool_call_id": call["id"], "content": f"result {number}"}
        for number, call in enumerate(calls)
    ]
    named = [{**result, "name": "f"} for result in results]  # as LangChain sends them
    if legacy := message.get("function_call"):
        results = [{"role": "function", "name": legacy["name"], "content": "result"}]
    system = {"role": "system", "content": "Be brief."}
    found = [[system, U, message, *results, U], [message, *results, U]]
    if results:
        found += [
            [U, message, *(named or results)],
            [U, message, *results, {"role": "assistant", "content": "So."}, U],
        ]
    if calls:
        found += [[U, message], [U, message, U], [U, message, *results[1:], system, U]]
    return found


def tools_for(provider: str, model: str, message: dict[str, Any]) -> dict[str, Any]:
    called = [call["function"] for call in message.get("tool_calls") or ()]
    called += [message["function_call"]] if message.get("function_call") else []
    names = sorted({function["name"] for function in called})
    names = [name for name in names if re.fullmatch("[a-zA-Z_][a-zA-Z0-9_-]{0,63}", name)]
    if not names or NO_TOOLS & {provider, model}:
        return {}
    return {"tools": [{"type": "function", "function": {"name": name}} for name in names]}


def encode(
    provider: str, model: str, messages: list[dict[str, Any]], *, stream: bool, **more: Any
) -> WireRequest:
    request = parse_chat({"model": "our-name", "messages": messages, **more})
    return registry.find(provider).chat.encode(request, Target("our-name", model), stream)


def without_stream(wire: WireRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What is sent, but for the fields that ask for a stream."""
    body = json.loads(wire.body)
    return {k: v for k, v in body.items() if k not in {"stream", "stream_options"}}, wire.dropped


def judged_as(provider: str, model: str, judge: Judge) -> str:
    return provider if judge is openai_api.check else model


CELLS = [
    (*target, message)
    for place, target in enumerate(TARGETS)
    for number, (_, message) in enumerate(MESSAGES)
    if target[1] != "their-model" or place % 3 == number % 3
]
"""Rows of `providers/rows.py` share a codec: a third of them gets a third of the messages."""


@pytest.mark.parametrize(("provider", "model", "judge", "message"), CELLS)
def test_any_response_can_be_sent_to_any_provider_in_the_next_turn(
    provider: str, model: str, judge: Judge, message: dict[str, Any]
) -> None:
    """The same bytes each time, so that prompt caches hold; and the client's message stays."""
    before = copy.deepcopy(message)
    tools = tools_for(provider, model, message)
    for messages in conversations(message):
        for more in (tools, {}) if tools else ({},):
            wire = encode(provider, model, messages, stream=False, **more)
            judge(judged_as(provider, model, judge), json.loads(wire.body))
    streamed = encode(provider, model, messages, stream=True, **more)
    assert without_stream(streamed) == without_stream(wire)
    assert wire == encode(provider, model, messages, stream=False, **more)
    assert message == before


@pytest.mark.parametrize(
    ("provider", "model", "judge"), TARGETS, ids=[f"{name}/{model}" for name, model, _ in TARGETS]
)
def test_a_long_conversation_of_all_responses_is_accepted(
    provider: str, model: str, judge: Judge
) -> None:
    """Also one in which every turn came from another provider; its beginning never changes."""
    messages: list[dict[str, Any]] = [U]
    for _, message in MESSAGES:
        messages += conversations(message)[0][2:]
    wire = encode(provider, model, messages, stream=False)
    body = json.loads(wire.body)
    judge(judged_as(provider, model, judge), body)
    turns = "contents" if "contents" in body else "messages"
    earlier = json.loads(encode(provider, model, messages[: len(messages) // 2], stream=False).body)
    kept = len(earlier[turns]) - 2
    assert body[turns][:kept] == earlier[turns][:kept]


@pytest.mark.parametrize(
    ("provider", "model", "judge"), TARGETS, ids=[f"{name}/{model}" for name, model, _ in TARGETS]
)
def test_what_is_left_out_of_earlier_messages_is_noted_by_name(
    provider: str, model: str, judge: Judge
) -> None:
    """The log of the attempt has the names; no field of a response goes missing without one."""
    made = {
        "reasoning_content": "hm",
        "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
        "citations": ["https://a.test"],
        "annotations": [{"type": "url_citation"}],
        "extra_content": {"google": {"thought_signature": "s"}},
        "reasoning_details": [{"type": "reasoning.text", "text": "hm"}],
    }
    for name, value in made.items():
        answer = {"role": "assistant", "content": "Hi", name: value}
        wire = encode(provider, model, [U, answer, U], stream=False)
        sent = json.dumps(json.loads(wire.body))
        signs = {"reasoning_content": '"hm"', "extra_content": '"s"'}
        is_sent = f'"{name}"' in sent or signs.get(name, json.dumps(value)[1:-1]) in sent
        if name == "thinking_blocks":
            is_sent = '"signature"' in sent
        assert is_sent or wire.dropped == (f"messages[].{name}",), (name, sent)


# ---- results that are not where they belong ----

CALL = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
PIECES: dict[str, dict[str, Any]] = {
    "user": U,
    "call a": {"role": "assistant", "content": None, "tool_calls": [{**CALL, "id": "a"}]},
    "calls b, c": {
        "role": "assistant",
        "content": "So.",
        "tool_calls": [{**CALL, "id": "b"}, {**CALL, "id": "c"}],
    },
    **{
        f"result {one}": {"role": "tool", "tool_call_id": one, "content": f"({one})"}
        for one in "abcz"
    },
}


@pytest.mark.parametrize(
    ("provider", "model", "judge"), TARGETS, ids=[f"{name}/{model}" for name, model, _ in TARGETS]
)
@settings(derandomize=True, deadline=None, max_examples=30)
@given(names=st.lists(st.sampled_from(sorted(PIECES)), max_size=7))
def test_calls_and_results_in_any_order_are_accepted(
    provider: str, model: str, judge: Judge, names: list[str]
) -> None:
    """Clients trim a history, repeat a result, or let the user speak between; no text is lost."""
    messages = [U, *(PIECES[name] for name in names), U]
    wire = encode(provider, model, messages, stream=False)
    judge(judged_as(provider, model, judge), json.loads(wire.body))
    sent = wire.body.decode()
    for name in names:
        if name.startswith("result"):
            text = str(PIECES[name]["content"])
            assert sent.count(text) == names.count(name)
    assert wire == encode(provider, model, messages, stream=False)


# ---- any history ----

CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["a", "b", "functions.f:0", "x" * 80, ""]),
            "type": st.just("function"),
            "function": st.fixed_dictionaries(
                {
                    "name": st.sampled_from(["f", "a.b", "1", "", "x" * 70]),
                    "arguments": st.sampled_from(["{}", "", "[", "null", '{"a":1}', '{"a']),
                }
            ),
        }
    ),
    unique_by=lambda call: str(call["id"]),
    max_size=3,
)
CONTENTS: list[Any] = [
    "", "  ", "Hi", None, [],
    [{"type": "text", "text": ""}],
    [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}],
    [{"type": "refusal", "refusal": "No."}],
    [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}],
    [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
]  # fmt: skip
ANSWERS = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.sampled_from(CONTENTS), "tool_calls": CALLS},
    optional={
        "annotations": st.just([]),
        "audio": st.just({"id": "a", "transcript": "Hello."}),
        "citations": st.just(["https://a.test"]),
        "extra_content": st.just({"google": {}}),
        "content_parts": st.just([{"type": "image_url"}]),
        "function_call": st.sampled_from([None, {"name": "f", "arguments": '{"a":1}'}]),
        "images": st.just([{"type": "image_url", "image_url": {"url": "https://a.test/a.png"}}]),
        "name": st.sampled_from(["ada", "MiniMax AI", "a/b|c", ""]),
        "reasoning": st.just("hm"),
        "reasoning_content": st.just("hm"),
        "refusal": st.sampled_from([None, "No."]),
        "thinking_blocks": st.sampled_from(
            [[], [{"type": "thinking", "thinking": "hm", "signature": "s"}]]
        ),
    },
)
OTHERS = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "system", "developer"]),
        "content": st.sampled_from(["", " ", "Hi", [{"type": "text", "text": "Hi"}]]),
    },
    optional={
        "name": st.sampled_from(["ada", "MiniMax AI", "a/b|c", ""]),
        "cache_control": st.just({"type": "ephemeral"}),
    },
)


def with_results(message: dict[str, Any]) -> list[dict[str, Any]]:
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "1"}
        for call in message.get("tool_calls") or ()
    ]
    return [message, *results]


FUNCTION_RESULTS = st.just({"role": "function", "name": "f", "content": "1"})


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(ANSWERS | OTHERS | FUNCTION_RESULTS, max_size=5))
def test_any_history_is_sent_as_every_vendor_takes_it(history: list[dict[str, Any]]) -> None:
    messages = [one for message in history for one in with_results(message)]
    for provider, model, judge in TARGETS:
        wire = encode(provider, model, [*messages, U], stream=False)
        judge(judged_as(provider, model, judge), json.loads(wire.body))
