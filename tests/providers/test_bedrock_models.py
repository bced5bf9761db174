"""What single models of Bedrock lack: system prompts, stop sequences, forced tools, streams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.config.deployment import make_deployment
from fanout.config.model import ModelParams
from fanout.errors import Unsupported
from fanout.gateway.factory import make_transport
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.accumulator import ChunkAccumulator
from fanout.schema.validation import parse_chat
from fanout.settings import Settings
from fanout.wire.http import WireRequest
from tests.providers.strict import bedrock_api
from tests.support.scripted_engine import Reply, Script, ScriptedEngine
from tests.support.virtual_clock import run

U = {"role": "user", "content": "Hello."}
SYSTEM = {"role": "system", "content": "Be brief."}
ANSWER = {"role": "assistant", "content": "So."}
F = {"type": "function", "function": {"name": "f"}}
G = {"type": "function", "function": {"name": "g"}}
NAMED = {"type": "function", "function": {"name": "f"}}

LLAMA = "us.meta.llama3-3-70b-instruct-v1:0"
LARGE = "mistral.mistral-large-2402-v1:0"
NOVA = "us.amazon.nova-2-lite-v1:0"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def encode(model: str, *messages: dict[str, Any], stream: bool = False, **more: Any) -> WireRequest:
    drop_params = more.pop("drop_params", False)
    request = parse_chat({"model": "our-name", "messages": [*messages], **more})
    target = Target("our-name", model, drop_params)
    return registry.find("bedrock").chat.encode(request, target, stream)


def body_of(model: str, *messages: dict[str, Any], **more: Any) -> Any:
    body = json.loads(encode(model, *messages, **more).body)
    bedrock_api.check(model.removeprefix("converse/"), body)
    return body


@pytest.mark.parametrize(
    "model",
    [
        "mistral.mistral-7b-instruct-v0:2",
        "mistral.mixtral-8x7b-instruct-v0:1",
        "amazon.titan-text-express-v1",
        "amazon.titan-text-premier-v1:0",
        "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-text-lite-v1",
    ],
)
def test_a_system_prompt_begins_the_users_turn_of_a_model_that_has_none(model: str) -> None:
    wire = encode(model, SYSTEM, U)
    body = json.loads(wire.body)
    bedrock_api.check(model, body)
    assert body["messages"] == [
        {"role": "user", "content": [{"text": "Be brief."}, {"text": "Hello."}]}
    ]
    assert wire.dropped == ("messages[].role",)
    assert encode(model, U).dropped == ()
    turns = body_of(model, SYSTEM, ANSWER, U)["messages"]
    assert turns[0] == {"role": "user", "content": [{"text": "Be brief."}]}
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    turns = body_of(model, U, response_format={"type": "json_object"})["messages"]
    assert "JSON" in turns[0]["content"][0]["text"]
    assert "system" in body_of(CLAUDE, SYSTEM, U)


@pytest.mark.parametrize("model", ["qwen.qwen3-32b-v1:0", "converse/openai.gpt-oss-20b-1:0"])
@pytest.mark.parametrize("stop", ["Obs", ["Obs", ""]])
def test_stop_sequences_are_a_400_by_name_or_dropped_where_a_model_takes_none(
    model: str, stop: Any
) -> None:
    with pytest.raises(Unsupported, match="takes no stop sequences") as rejected:
        encode(model, U, stop=stop)
    assert rejected.value.param == "stop"
    assert encode(model, U, stop=stop, drop_params=True).dropped == ("stop",)
    assert "inferenceConfig" not in body_of(model, U, stop=stop, drop_params=True)
    nothings: list[Any] = ["", [], None]
    for nothing in nothings:
        assert encode(model, U, stop=nothing) == encode(model, U)


@pytest.mark.parametrize(
    ("model", "choice", "sent"),
    [
        (LLAMA, "auto", {"auto": {}}),
        (LLAMA, "required", None),
        (LLAMA, NAMED, None),
        (LARGE, "required", {"any": {}}),
        (LARGE, NAMED, {"any": {}}),
        ("deepseek.v3-v1:0", "auto", {}),
        ("deepseek.v3-v1:0", "required", {"any": {}}),
        ("deepseek.v3-v1:0", NAMED, {"any": {}}),
        (NOVA, NAMED, {"tool": {"name": "f"}}),
        (CLAUDE, NAMED, {"tool": {"name": "f"}}),
    ],
)
def test_a_call_is_required_in_the_way_that_the_model_has(
    model: str, choice: Any, sent: Any
) -> None:
    """Where a model can only be made to call any tool, it gets the named one alone."""
    asked = {"tools": [F, G], "tool_choice": choice}
    if sent is None:
        for drop_params in (False, True):
            with pytest.raises(Unsupported, match="cannot be forced") as rejected:
                encode(model, U, drop_params=drop_params, **asked)
            assert rejected.value.param == "tool_choice"
        return
    config = body_of(model, U, **asked)["toolConfig"]
    assert config.get("toolChoice", {}) == sent
    alone = choice is NAMED and "any" in sent
    names = [tool["toolSpec"]["name"] for tool in config["tools"]]
    assert names == (["f"] if alone else ["f", "g"])


@pytest.mark.parametrize(
    ("model", "streams"),
    [
        (LLAMA, False),
        ("us.meta.llama4-maverick-17b-instruct-v1:0", False),
        (LARGE, False),
        ("us.writer.palmyra-x5-v1:0", False),
        (NOVA, True),
        (CLAUDE, True),
        ("qwen.qwen3-32b-v1:0", True),
    ],
)
def test_a_stream_with_tools_is_a_plain_call_where_a_model_has_tools_only_so(
    model: str, *, streams: bool
) -> None:
    assert encode(model, U, tools=[F], stream=True).path.endswith("-stream") is streams
    assert encode(model, U, stream=True).path.endswith("/converse-stream")
    assert encode(model, U, tools=[F]).path.endswith("/converse")


NO_TOOLS = [
    "us.deepseek.r1-v1:0",
    "amazon.titan-text-express-v1",
    "amazon.titan-text-premier-v1:0",
    "anthropic.claude-v2:1",
    "anthropic.claude-instant-v1",
    "ai21.j2-ultra-v1",
    "ai21.jamba-instruct-v1:0",
    "cohere.command-text-v14",
    "cohere.command-light-text-v14",
    "mistral.mistral-7b-instruct-v0:2",
    "mistral.mixtral-8x7b-instruct-v0:1",
    "meta.llama2-70b-chat-v1",
    "meta.llama3-8b-instruct-v1:0",
    "us.meta.llama3-2-1b-instruct-v1:0",
    "us.meta.llama3-2-3b-instruct-v1:0",
]
TOOLS = [
    "deepseek.v3-v1:0",
    "ai21.jamba-1-5-large-v1:0",
    "cohere.command-r-v1:0",
    "mistral.mistral-small-2402-v1:0",
    "meta.llama3-1-8b-instruct-v1:0",
    "us.meta.llama3-2-90b-instruct-v1:0",
    LLAMA,
    LARGE,
    NOVA,
    CLAUDE,
]


@pytest.mark.parametrize("model", NO_TOOLS)
def test_tools_are_a_400_by_name_where_a_model_calls_none(model: str) -> None:
    """Also with `drop_params`: without its tools, a model gives another response."""
    for drop in (False, True):
        with pytest.raises(Unsupported, match="calls no tools") as rejected:
            encode(model, U, tools=[F], drop_params=drop)
        assert rejected.value.param == "tools"
    nothings: list[dict[str, Any]] = [{"tools": []}, {"tools": [F], "tool_choice": "none"}]
    for nothing in nothings:
        assert body_of(model, U, **nothing) == body_of(model, U)


@pytest.mark.parametrize("model", NO_TOOLS)
def test_earlier_calls_are_text_for_a_model_that_calls_no_tools(model: str) -> None:
    function = {"name": "f", "arguments": '{"a": 1}'}
    call = {"id": "call_1", "type": "function", "function": function}
    asked = {"role": "assistant", "content": "Hm.", "tool_calls": [call]}
    wire = encode(model, U, asked, {"role": "tool", "tool_call_id": "call_1", "content": "5"}, U)
    body = json.loads(wire.body)
    bedrock_api.check(model, body)
    assert [turn["content"] for turn in body["messages"]] == [
        [{"text": "Hello."}],
        [{"text": "Hm."}, {"text": 'Call of the tool f: {"a":1}'}],
        [{"text": "Result of the tool f: 5"}, {"text": "Hello."}],
    ]
    assert wire.dropped == ("messages[].tool_calls",)


@pytest.mark.parametrize("model", TOOLS)
def test_other_models_get_their_tools(model: str) -> None:
    assert body_of(model, U, tools=[F])["toolConfig"]["tools"]


def test_the_plain_response_becomes_the_stream() -> None:
    body = {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"text": "So."},
                    {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}},
                ],
            }
        },
        "stopReason": "tool_use",
        "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
    }
    headers = {"content-type": "application/json"}
    reply = Reply(200, [json.dumps(body).encode()], headers=headers)
    engine = ScriptedEngine(a=Script(reply, reply))
    params = ModelParams(model=f"bedrock/{LLAMA}", api_key="marker-key", api_base="http://a.test")
    deployment = make_deployment("our-name", params, {}, {})
    request = parse_chat({"messages": [U], "tools": [F]})
    accumulator = ChunkAccumulator()

    async def call() -> None:
        async with make_transport(Settings(), engine).stream(deployment, request) as opened:
            async for chunk in opened.chunks:
                accumulator.add(chunk)

    run(call())
    completion: Any = accumulator.completion()
    (choice,) = completion["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "So."
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}
    assert completion["usage"]["total_tokens"] == 5


@pytest.mark.parametrize("model", [LLAMA, NOVA, CLAUDE, "nvidia.nemotron-nano-9b-v2"])
@pytest.mark.parametrize("content", ["", "  ", [], [{"type": "text", "text": ""}]])
def test_the_empty_result_of_a_tool_is_sent_as_the_model_takes_it(model: str, content: Any) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages: list[dict[str, Any]] = [
        U,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": content},
    ]
    body = body_of(model, *messages, tools=[F])
    result = body["messages"][2]["content"][0]["toolResult"]
    assert result["content"] == ([] if "claude" in model else [{"text": ""}])
