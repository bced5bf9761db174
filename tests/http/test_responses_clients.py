"""
What clients of the Responses API send, and what they need back.

`responses_requests.json` has requests of Codex 0.171.0, the Agents SDK (Python 0.24.0, JS 0.20.0),
the AI SDK 7, openai-node 7.59.0 and promptfoo 0.123.1, recorded in 2026-11, with shorter texts. The
fields that a strict client requires are those of openresponses.org, 2026-04-24.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.http.responses_scripts import WEATHER, responds
from tests.http.test_responses import kinds, stream
from tests.support.gateway_server import RunningGateway
from tests.support.provider_steps import answers, piece, say
from tests.support.scripted_provider import Upstream

RECORDED = json.loads((Path(__file__).parent / "responses_requests.json").read_text())

REQUIRED = {
    *("id", "object", "created_at", "completed_at", "status", "incomplete_details", "model"),
    *("previous_response_id", "instructions", "output", "error", "tools", "tool_choice"),
    *("truncation", "parallel_tool_calls", "text", "top_p", "presence_penalty"),
    *("frequency_penalty", "top_logprobs", "temperature", "reasoning", "user", "usage"),
    *("max_output_tokens", "max_tool_calls", "store", "background", "service_tier", "metadata"),
    *("safety_identifier", "prompt_cache_key"),
}
NOT_NULL = REQUIRED - {
    *("completed_at", "incomplete_details", "previous_response_id", "instructions", "error"),
    *("reasoning", "user", "usage", "max_output_tokens", "max_tool_calls", "safety_identifier"),
    "prompt_cache_key",
}
OF_TOOL = {"type", "name", "description", "parameters", "strict"}
OF_FORMAT = {"type", "name", "description", "schema", "strict"}


def test_recorded_requests_get_what_their_clients_need(
    server: RunningGateway, upstream: Upstream
) -> None:
    faults: list[Any] = []
    for name, recorded in RECORDED.items():
        body = {**recorded["body"], "model": "a"}
        upstream.reset()
        upstream.script("a", responds({"content": "ok", "tool_calls": [WEATHER]}, "tool_calls"))
        if not body.get("stream"):
            status, _, whole = server.json(body, "/v1/responses", headers=recorded["headers"])
        else:
            status, events = 200, stream(server, **body)
            whole = events[-2]["response"]
            items = [e["item"] for e in events if e["type"] == "response.output_item.done"]
            if kinds(events)[-2:] != ["completed", "[DONE]"] or items != whole["output"]:
                faults.append((name, kinds(events)))
        kinds_of_items = [item["type"] for item in whole["output"]]
        if status != 200 or kinds_of_items != ["message", "function_call"]:
            faults.append((name, whole))
        [call] = upstream.calls_to("a")
        faults += [(name, fault) for fault in chat_faults(call.body)]
    assert faults == []


def chat_faults(body: dict[str, Any]) -> list[str]:
    """What is wrong in a chat completion's request that was made of a recorded one."""
    found = []
    open_calls: set[str] = set()
    for message in body["messages"]:
        if message["role"] == "tool":
            open_calls -= {message["tool_call_id"]}
        elif open_calls:
            found.append("a result does not follow its call")
        open_calls |= {call["id"] for call in message.get("tool_calls") or ()}
        if message["role"] == "assistant" and not (message.get("tool_calls") or message["content"]):
            found.append("an empty message")
    names = [tool["function"]["name"] for tool in body.get("tools", [])]
    found += [f"two tools are {name}" for name in names if names.count(name) > 1]
    for name in ("store", "include", "client_metadata", "input", "instructions", "reasoning"):
        if name in body:
            found.append(f"{name} is sent")
    return found


def test_open_responses_cases(server: RunningGateway, upstream: Upstream) -> None:
    """The seven cases of its compliance test, by their descriptions, and a response format."""
    user = {"type": "message", "role": "user", "content": "Say hello in exactly 3 words."}
    system = {"type": "message", "role": "system", "content": "You are a pirate."}
    image = [
        {"type": "input_text", "text": "What do you see?"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="},
    ]
    said = {"type": "message", "role": "assistant", "content": "Hello Alice!"}
    tool = {
        "type": "function",
        "name": "weather",
        "description": "The weather of a place",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
    form = {"type": "json_schema", "name": "place"}
    cases: dict[str, dict[str, Any]] = {
        "basic": {"input": [user]},
        "stream": {"input": [user], "stream": True},
        "system prompt": {"input": [system, user]},
        "tool call": {"input": [user], "tools": [tool]},
        "streamed tool call": {"input": [user], "tools": [tool], "stream": True},
        "image": {"input": [{"type": "message", "role": "user", "content": image}]},
        "schema": {"input": [user], "text": {"format": {**form, "schema": tool["parameters"]}}},
        "several turns": {"input": [user, said, {**user, "content": "What is my name?"}]},
    }
    faults = []
    for name, body in cases.items():
        calls = {"content": None, "tool_calls": [WEATHER]}
        upstream.script("a", responds(calls, "tool_calls") if "tools" in body else answers("Hi"))
        if body.get("stream"):
            response = stream(server, **body)[-2]["response"]
        else:
            _, _, response = server.json({"model": "a", **body}, "/v1/responses")
        if missing := REQUIRED - response.keys():
            faults.append((name, missing))
        if empty := {field for field in NOT_NULL if response[field] is None}:
            faults.append((name, empty))
        faults += [(name, tool) for tool in response["tools"] if OF_TOOL - tool.keys()]
        shown = response["text"]["format"]
        faults += [(name, shown)] if "text" in body and OF_FORMAT - shown.keys() else []
        kind = "function_call" if "tools" in body else "message"
        if (response["status"], [item["type"] for item in response["output"]]) != (
            "completed",
            [kind],
        ):
            faults.append((name, response))
    assert faults == []
    sent = [call.body["messages"] for call in upstream.calls_to("a")]
    assert [message["role"] for message in sent[2]] == ["system", "user"]
    assert [part["type"] for part in sent[5][0]["content"]] == ["text", "image_url"]
    assert [message["role"] for message in sent[7]] == ["user", "assistant", "user"]


def event(kind: str, **fields: Any) -> bytes:
    """An event of Anthropic's."""
    return b"event: %b\ndata: %b\n\n" % (
        kind.encode(),
        json.dumps({"type": kind, **fields}).encode(),
    )


def test_signed_thoughts_come_back_with_the_next_request(
    server: RunningGateway, upstream: Upstream
) -> None:
    usage = {"input_tokens": 5, "output_tokens": 7}
    thinking = {"type": "thinking", "thinking": "Hmm", "signature": "c2ln"}
    call = {"type": "tool_use", "id": "call_1", "name": "weather", "input": {}}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x"}
    whole = {**message, "content": [thinking, call], "stop_reason": "tool_use", "usage": usage}
    streamed = [
        event("message_start", message={**message, "content": [], "usage": usage}),
        event(
            "content_block_start",
            index=0,
            content_block={"type": "thinking", "thinking": "", "signature": ""},
        ),
        event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "Hmm"}),
        event(
            "content_block_delta", index=0, delta={"type": "signature_delta", "signature": "c2ln"}
        ),
        event("content_block_stop", index=0),
        event("content_block_start", index=1, content_block=call),
        event(
            "content_block_delta",
            index=1,
            delta={"type": "input_json_delta", "partial_json": "{}"},
        ),
        event("content_block_stop", index=1),
        event("message_delta", delta={"stop_reason": "tool_use"}, usage=usage),
        event("message_stop"),
    ]
    body = {
        "model": "claude",
        "input": [{"role": "user", "content": "Weather?"}],
        "reasoning": {"effort": "low"},
        "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}}],
    }
    outputs = []
    upstream.script("claude-x", [piece(json.dumps(whole).encode())])
    outputs.append(server.json(body, "/v1/responses")[2]["output"])
    upstream.script("claude-x", [piece(b"".join(streamed))])
    outputs.append(stream(server, **body)[-2]["response"]["output"])
    foreign = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    for output in outputs:
        assert [item["type"] for item in output] == ["reasoning", "function_call"]
        assert output[0]["summary"] == [{"type": "summary_text", "text": "Hmm"}]
        upstream.script("claude-x", answers("Sunny"))
        result = {"type": "function_call_output", "call_id": "call_1", "output": "sun"}
        again = {**body, "input": [*body["input"], foreign, *output, result]}
        status, _, response = server.json(again, "/v1/responses")
        assert (status, response["output"][0]["content"][0]["text"]) == (200, "Sunny")
        sent = upstream.calls_to("claude-x")[-1].body["messages"]
        assert [block["type"] for block in sent[1]["content"]] == ["thinking", "tool_use"]
        assert sent[1]["content"][0] == thinking


def test_a_failure_amid_a_stream_has_codexs_code(
    server: RunningGateway, upstream: Upstream
) -> None:
    """Codex shows some of these at once, and waits after others; see `errors.py`."""
    codes = ("rate_limit_exceeded", "insufficient_quota", "context_length_exceeded")
    found = []
    for code in codes:
        error = json.dumps({"error": {"message": "no", "code": code}}).encode()
        upstream.script("a", [say("Hel"), piece(b"data: %b\n\n" % error)])
        found.append(stream(server)[-2]["response"]["error"]["code"])
    assert found == [*codes]


def test_a_reference_to_reasoning_is_left_out(server: RunningGateway, upstream: Upstream) -> None:
    upstream.script("a", answers("ok"))
    user = {"role": "user", "content": "Hi"}
    body = {"model": "a", "input": [user, {"type": "item_reference", "id": "rs_1"}]}
    status, headers, _ = server.json(body, "/v1/responses")
    assert (status, headers["x-fanout-dropped"]) == (200, "item_reference")
