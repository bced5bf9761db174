"""
The APIs of the stub upstreams: OpenAI's, Anthropic's and Gemini's.

Each rejects a request that the vendor's API rejects, with the judges of `tests/providers/strict`,
and returns the response in the vendor's format, whole or as the events of a stream.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from openai.types.chat.completion_create_params import CompletionCreateParamsBase

from tests.providers.strict import anthropic_api, gemini_api, openai_api

from .stub_turns import Turn, respond

Body = dict[str, Any]
OPENAI_FIELDS = CompletionCreateParamsBase.__annotations__.keys() | {"stream"}


@dataclass(frozen=True)
class Api:
    """One vendor's API; `read` raises if the vendor rejects the request."""

    name: str
    key: str
    """The header with the API key."""
    read: Callable[[str, Body], Turn]
    whole: Callable[[Turn], Body]
    events: Callable[[Turn], Iterator[str]]
    error: Callable[[int, str], Body]


# ---- OpenAI ----


def read_openai(model: str, body: Body) -> Turn:
    """Check a request for chat completions and return the response to it."""
    if unknown := body.keys() - OPENAI_FIELDS:
        raise ValueError(f"Unrecognized request arguments: {unknown}")
    if "stream_options" in body and not body.get("stream"):
        raise ValueError("stream_options is only allowed with `stream`")
    # A model with another name than OpenAI's is one of any server with this API.
    openai_api.check("openai" if model.startswith("gpt") else "openai_like", body)
    results: list[str] = []
    for message in body["messages"]:
        results = [*results, _text(message["content"])] if message["role"] == "tool" else []
    return respond(
        model,
        [tool["function"]["name"] for tool in body.get("tools", ())],
        results,
        conversation=str(body["messages"]),
        one_call=body.get("parallel_tool_calls") is False,
        structured="response_format" in body,
    )


def _text(content: Any) -> str:
    """Return the text of a content, which is a string or a list of parts."""
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _openai_calls(turn: Turn) -> list[Body]:
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
        }
        for call in turn.calls
    ]


def openai_whole(turn: Turn) -> Body:
    """Return a chat completion."""
    message: Body = {"role": "assistant", "content": "".join(turn.words) or None, "refusal": None}
    if turn.calls:
        message["tool_calls"] = _openai_calls(turn)
    reason = "tool_calls" if turn.calls else "stop"
    return {
        "id": f"chatcmpl-{turn.number}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": turn.model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
    }


def openai_events(turn: Turn) -> Iterator[str]:
    """Yield the events of a chat completion's stream."""
    head = {
        "id": f"chatcmpl-{turn.number}",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": turn.model,
    }

    def chunk(delta: Body, reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return _event({**head, "choices": [choice], "usage": None})

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    for word in turn.words:
        yield chunk({"content": word})
        if turn.model == "lists":  # as vendors do that are not OpenAI
            yield chunk({"role": "assistant", "annotations": [{"type": "file", "text": word}]})
    for index, call in enumerate(_openai_calls(turn)):
        arguments = call["function"]["arguments"]
        opened = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
        yield chunk({"tool_calls": [opened]})
        for part in (arguments[:6], arguments[6:]):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
    yield chunk({}, "tool_calls" if turn.calls else "stop")
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    yield _event({**head, "choices": [], "usage": usage})
    yield "data: [DONE]\n\n"


def openai_error(status: int, message: str) -> Body:
    """Return an error in OpenAI's format."""
    kind = "server_error" if status >= 500 else "invalid_request_error"  # noqa: PLR2004
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


# ---- Anthropic ----


def read_anthropic(model: str, body: Body) -> Turn:
    """Check a request for messages and return the response to it."""
    # Claude Code puts messages of the system among the others; the judge knows the others only.
    messages = [message for message in body["messages"] if message["role"] != "system"]
    anthropic_api.check(model, {**body, "messages": messages})
    last = messages[-1]["content"]
    blocks = [] if isinstance(last, str) else last
    choice = body.get("tool_choice", {})
    turn = respond(
        model,
        [tool["name"] for tool in body.get("tools", ())],
        [_text(block["content"]) for block in blocks if block["type"] == "tool_result"],
        conversation=str(body["messages"]),
        one_call=bool(choice.get("disable_parallel_tool_use")),
        structured="format" in body.get("output_config", {}) or "JSON object" in str(body),
    )
    return replace(turn, thinks="thinking" in body)


def _anthropic_message(turn: Turn, content: list[Body], reason: str | None) -> Body:
    return {
        "id": f"msg_{turn.number}",
        "type": "message",
        "role": "assistant",
        "model": turn.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 7},
    }


def _anthropic_reason(turn: Turn) -> str:
    return "tool_use" if turn.calls else "end_turn"


def _anthropic_uses(turn: Turn) -> list[Body]:
    return [
        {"type": "tool_use", "id": f"toolu_{call.id}", "name": call.name, "input": call.arguments}
        for call in turn.calls
    ]


def _anthropic_thoughts(turn: Turn) -> list[Body]:
    thoughts = ("I need the tools.", "Two of them.") if turn.thinks else ()
    return [{"type": "thinking", "thinking": text, "signature": "c2ln"} for text in thoughts]


def anthropic_whole(turn: Turn) -> Body:
    """Return a message."""
    text = _anthropic_thoughts(turn)
    text += [{"type": "text", "text": "".join(turn.words) or "I call the tools."}]
    return _anthropic_message(turn, [*text, *_anthropic_uses(turn)], _anthropic_reason(turn))


def anthropic_events(turn: Turn) -> Iterator[str]:
    """Yield the events of a message's stream."""
    yield _named("message_start", message=_anthropic_message(turn, [], None))
    thoughts = _anthropic_thoughts(turn)
    for index, thought in enumerate(thoughts):
        empty = {"type": "thinking", "thinking": "", "signature": ""}
        yield _named("content_block_start", index=index, content_block=empty)
        for name in ("thinking", "signature"):
            delta = {"type": f"{name}_delta", name: thought[name]}
            yield _named("content_block_delta", index=index, delta=delta)
        yield _named("content_block_stop", index=index)
    first = len(thoughts)
    yield _named("content_block_start", index=first, content_block={"type": "text", "text": ""})
    for word in turn.words or ["I call ", "the tools."]:
        delta = {"type": "text_delta", "text": word}
        yield _named("content_block_delta", index=first, delta=delta)
    yield _named("content_block_stop", index=first)
    for index, use in enumerate(_anthropic_uses(turn), first + 1):
        yield _named("content_block_start", index=index, content_block={**use, "input": {}})
        arguments = json.dumps(use["input"])
        for part in ("", arguments[:6], arguments[6:]):
            delta = {"type": "input_json_delta", "partial_json": part}
            yield _named("content_block_delta", index=index, delta=delta)
        yield _named("content_block_stop", index=index)
    reason = {"stop_reason": _anthropic_reason(turn), "stop_sequence": None}
    yield _named("message_delta", delta=reason, usage={"output_tokens": 7})
    yield _named("message_stop")


def anthropic_error(_status: int, message: str) -> Body:
    """Return an error in Anthropic's format."""
    return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}


# ---- Gemini ----


def read_gemini(model: str, body: Body) -> Turn:
    """Check a request for content and return the response to it."""
    gemini_api.check(model, body)
    config = body.get("generationConfig", {})
    results = [
        json.dumps(part["functionResponse"]["response"])
        for part in body["contents"][-1]["parts"]
        if "functionResponse" in part
    ]
    declared = [one for tool in body.get("tools", ()) for one in tool["functionDeclarations"]]
    structured = config.get("responseMimeType") == "application/json"
    return respond(
        model,
        [one["name"] for one in declared],
        results,
        conversation=str(body["contents"]),
        structured=structured,
    )


def _gemini_response(turn: Turn, parts: list[Body], reason: str | None) -> Body:
    candidate: Body = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12}
    head = {"modelVersion": turn.model, "responseId": f"response-{turn.number}"}
    return {"candidates": [candidate], "usageMetadata": usage, **head}


def _gemini_calls(turn: Turn) -> list[Body]:
    """Return the parts of the calls; the first has the signature that later turns must have."""
    parts: list[Body] = [
        {"functionCall": {"name": call.name, "args": call.arguments}} for call in turn.calls
    ]
    if parts:
        parts[0]["thoughtSignature"] = "c2lnbmF0dXJl"
    return parts


def gemini_whole(turn: Turn) -> Body:
    """Return a response with one candidate."""
    text = [{"text": "".join(turn.words)}] if turn.words else []
    return _gemini_response(turn, [*text, *_gemini_calls(turn)], "STOP")


def gemini_events(turn: Turn) -> Iterator[str]:
    """Yield the events of a stream."""
    parts = [*({"text": word} for word in turn.words), *_gemini_calls(turn)]
    for number, part in enumerate(parts, 1):
        reason = "STOP" if number == len(parts) else None
        yield _event(_gemini_response(turn, [part], reason))


def gemini_error(status: int, message: str) -> Body:
    """Return an error in Google's format."""
    return {"error": {"code": status, "message": message, "status": "INVALID_ARGUMENT"}}


def _event(data: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"


def _named(name: str, **fields: Any) -> str:
    return f"event: {name}\n{_event({'type': name, **fields})}"


OPENAI = Api("OpenAI", "authorization", read_openai, openai_whole, openai_events, openai_error)
ANTHROPIC = Api(
    "Anthropic", "x-api-key", read_anthropic, anthropic_whole, anthropic_events, anthropic_error
)
GEMINI = Api("Gemini", "x-goog-api-key", read_gemini, gemini_whole, gemini_events, gemini_error)
