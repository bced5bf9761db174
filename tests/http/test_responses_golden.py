"""Golden values of the Responses API, both ways: a request and its chat request, and back."""

from __future__ import annotations

from typing import Any

from fanout.endpoints.responses.request import translate
from fanout.endpoints.responses.response import Head, from_completion

HI = {"role": "user", "content": "Hi"}
CHAT_HI: dict[str, Any] = {"messages": [HI]}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c1"}
CHAT_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
GRAMMAR = {"definition": "start: A", "syntax": "lark"}
PATCH_FUNCTION = {
    "description": "The input must match this lark grammar:\nstart: A",
    "parameters": {
        "type": "object",
        "properties": {
            "input": {
                "type": "string",
                "description": "The whole input of the tool, as plain text.",
            }
        },
        "required": ["input"],
        "additionalProperties": False,
    },
}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "original"}
CHAT_IMAGE = {
    "type": "image_url",
    "image_url": {"url": "data:image/png;base64,AA==", "detail": "high"},
}
SCHEMA = {"name": "n", "schema": {"type": "object"}, "strict": True}

# A request of the Responses API, and what the chat request has of it.
REQUESTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"input": "Hi"}, CHAT_HI),
    (
        {"input": "Hi", "instructions": "Be brief"},
        {"messages": [{"role": "system", "content": "Be brief"}, HI]},
    ),
    (
        {"input": [{"type": "message", "id": "m", "status": "completed", "new": 1, **HI}]},
        CHAT_HI,
    ),
    (
        {"input": [{"role": "developer", "content": [{"type": "input_text", "text": "x"}]}, HI]},
        {"messages": [{"role": "developer", "content": "x"}, HI]},
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}, IMAGE]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, CHAT_IMAGE]}]},
    ),
    (
        {
            "input": [
                {
                    "role": "user",
                    "content": [{"type": "input_file", "file_data": "data:x", "filename": "f"}],
                }
            ]
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "file", "file": {"file_data": "data:x", "filename": "f"}}],
                }
            ]
        },
    ),
    (  # the text before and after calls is of their message; results follow it
        {
            "input": [
                HI,
                {"role": "assistant", "content": [{"type": "output_text", "text": "Wait"}]},
                CALL,
                {**CALL, "call_id": "c2"},
                {**RESULT, "output": "one"},
                {**RESULT, "call_id": "c2", "output": [IMAGE]},
            ]
        },
        {
            "messages": [
                HI,
                {
                    "role": "assistant",
                    "content": "Wait",
                    "tool_calls": [CHAT_CALL, {**CHAT_CALL, "id": "c2"}],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "one"},
                {"role": "tool", "tool_call_id": "c2", "content": [CHAT_IMAGE]},
            ]
        },
    ),
    (  # a result that comes after other items belongs to its call all the same
        {"input": [CALL, HI, {**RESULT, "output": {"ok": True}}]},
        {
            "messages": [
                {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]},
                {"role": "tool", "tool_call_id": "c1", "content": '{"ok":true}'},
                HI,
            ]
        },
    ),
    (
        {
            "input": [
                {"role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]},
                {"role": "assistant", "content": "Well"},
                HI,
            ]
        },
        {
            "messages": [
                {"role": "assistant", "content": None, "refusal": "No"},
                {"role": "assistant", "content": "Well"},
                HI,
            ]
        },
    ),
    (
        {
            "input": "Hi",
            "tools": [
                {"type": "function", "name": "f", "description": "d", "parameters": {}},
                {"type": "custom", "name": "c", "format": {"type": "grammar", **GRAMMAR}},
            ],
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}],
            },
            "parallel_tool_calls": False,
        },
        {
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "f", "description": "d", "parameters": {}},
                },
                {"type": "function", "function": {"name": "c", **PATCH_FUNCTION}},
            ],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
            "parallel_tool_calls": False,
        },
    ),
    (  # without tools, their choice asks for nothing
        {"input": "Hi", "tools": [{"type": "web_search"}], "tool_choice": "auto"},
        {"tools": None, "tool_choice": None},
    ),
    (
        {"input": "Hi", "text": {"format": {"type": "json_schema", **SCHEMA}, "verbosity": "low"}},
        {
            "response_format": {"type": "json_schema", "json_schema": SCHEMA},
            "verbosity": "low",
        },
    ),
    (
        {"input": "Hi", "max_output_tokens": 9, "reasoning": {"effort": "low", "summary": "auto"}},
        {"max_completion_tokens": 9, "reasoning_effort": "low", "max_output_tokens": None},
    ),
    (
        {"input": "Hi", "top_logprobs": 2, "stream": True, "store": True, "truncation": "auto"},
        {
            "logprobs": True,
            "top_logprobs": 2,
            "stream_options": {"include_usage": True},
            "store": None,
            "truncation": None,
        },
    ),
    (
        {"input": "Hi", "fanout": {"mode": "race"}, "timeout": 3, "metadata": {"a": "b"}},
        {"fanout": {"mode": "race"}, "timeout": 3, "metadata": {"a": "b"}},
    ),
]


def test_requests() -> None:
    faults = []
    for given, wanted in REQUESTS:
        chat = translate({"model": "m", **given}).body
        found = {name: chat.get(name) for name in wanted}
        if found != wanted or chat["model"] != "m":
            faults.append((given, found))
    assert faults == []


TEXT = {"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}
MESSAGE = {"type": "message", "role": "assistant", "status": "completed", "content": [TEXT]}

# The message and the finish reason of a chat completion, and what the response has of it.
RESPONSES: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    (
        {"content": "Hi"},
        "stop",
        {
            "status": "completed",
            "completed_at": 9,
            "incomplete_details": None,
            "output": [{"id": "msg_1_0", **MESSAGE}],
        },
    ),
    (
        {"content": "Hi"},
        "length",
        {
            "status": "incomplete",
            "completed_at": None,
            "incomplete_details": {"reason": "max_output_tokens"},
            "output": [{"id": "msg_1_0", **MESSAGE, "status": "incomplete"}],
        },
    ),
    ({"content": "Hi"}, "content_filter", {"incomplete_details": {"reason": "content_filter"}}),
    (
        {"content": None, "tool_calls": [CHAT_CALL]},
        "tool_calls",
        {
            "status": "completed",
            "output": [{"id": "fc_1_0", "status": "completed", **CALL}],
        },
    ),
    (
        {"content": None, "refusal": "No"},
        "stop",
        {
            "output": [
                {
                    "id": "msg_1_0",
                    **MESSAGE,
                    "content": [{"type": "refusal", "refusal": "No"}],
                }
            ]
        },
    ),
    (
        {"content": ""},
        "stop",
        {"output": [{"id": "msg_1_0", **MESSAGE, "content": [{**TEXT, "text": ""}]}]},
    ),
]


def test_responses() -> None:
    head = Head({"store": False}, "resp_1", 5, {})
    usage = {
        "prompt_tokens": 5,
        "completion_tokens": 7,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    faults = []
    for message, reason, wanted in RESPONSES:
        choice = {"index": 0, "message": message, "finish_reason": reason}
        completion = {"id": "x", "model": "m", "created": 5, "choices": [choice], "usage": usage}
        response = from_completion(completion, head, 9)
        found = {name: response[name] for name in wanted}
        if found != wanted:
            faults.append((message, found))
        assert (response["id"], response["model"], response["store"]) == ("resp_1", "m", False)
        assert response["usage"] == {
            "input_tokens": 5,
            "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 3},
            "total_tokens": 12,
        }
    assert faults == []
