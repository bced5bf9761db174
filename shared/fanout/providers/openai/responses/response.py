"""
A response of the Responses API as a chat completion.

Encrypted reasoning is in the message's `extra_content.openai.reasoning_items`: agents send the
message back, and with it the reasoning. Source of the format: openai-python 3.54.0, `Response`,
2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....schema.chat import ChatCompletion, FinishReason
from ....wire.http import WireResponse
from ....wire.json import MAX_INTEGER
from ...base import BadWire, Target, WireError
from ..errors import explain_value, status_of
from ..response import check_whole, read
from .models import without_mark

_REASONS: Mapping[str, FinishReason] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
}


_DETAILS = {
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens_details": "completion_tokens_details",
}


def decode_response(response: WireResponse, target: Target) -> ChatCompletion:
    """The chat completion; raises `WireError` for a response that failed."""
    value = object_of(read_object(response.body))
    check_failure(value)
    output = value.get("output")
    if not isinstance(output, list):
        raise BadWire("the response has no `output`")
    message, logprobs = _message(objects_of(output), without_mark(target.model))
    choice: dict[str, Any] = {
        "index": 0,
        "message": message,
        "finish_reason": finish_reason(value, calls=bool(message.get("tool_calls"))),
        "logprobs": {"content": logprobs, "refusal": None} if logprobs else None,
    }
    return check_whole(
        {
            "id": value.get("id"),
            "object": "chat.completion",
            "created": value.get("created_at"),
            "model": value.get("model") or "",
            "choices": [choice],
            "usage": chat_usage(value.get("usage")),
            "service_tier": value.get("service_tier"),
        }
    )


def read_object(data: bytes) -> dict[str, Any]:
    """The JSON object; the `error` of a response that did not fail is null."""
    return read(data)


def object_of(value: Any) -> dict[str, Any]:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def objects_of(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; none of any other value."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text_of(value: Any) -> str:
    """`value` if it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def count_of(value: Any) -> int:
    """`value` if it is a number of tokens, else 0."""
    return value if isinstance(value, int) and 0 <= value <= MAX_INTEGER else 0


def check_failure(response: Mapping[str, Any]) -> None:
    """Raise `WireError` if the response failed."""
    if response.get("status") in ("failed", "cancelled") or response.get("error"):
        fault = response.get("error") or {"message": "the response failed"}
        raise WireError(status_of(fault), explain_value(fault, "no reason given"))


def finish_reason(response: Mapping[str, Any], *, calls: bool) -> FinishReason:
    """Why the response ended."""
    cause = object_of(response.get("incomplete_details")).get("reason")
    return _REASONS.get(str(cause)) or ("tool_calls" if calls else "stop")


def _message(output: list[dict[str, Any]], model: str) -> tuple[dict[str, Any], list[Any]]:
    """The message of all items, and the logprobs of its texts."""
    message: dict[str, Any] = {"role": "assistant", "content": None}
    texts: dict[str, list[str]] = {"content": [], "refusal": [], "reasoning_content": []}
    annotations: list[Any] = []
    calls: list[Any] = []
    items: list[Any] = []
    logprobs: list[Any] = []
    for item in output:
        kind = item.get("type")
        if kind == "message":
            for part in objects_of(item.get("content")):
                texts["refusal"].append(text_of(part.get("refusal")))
                texts["content"].append(text_of(part.get("text")))
                annotations += map(nested_annotation, objects_of(part.get("annotations")))
                logprobs += objects_of(part.get("logprobs"))
        elif kind == "reasoning":
            texts["reasoning_content"] += [reasoning_text(item)]
            items += sealed_item(item, model)
        elif call := chat_call(item):
            calls.append(call)
    message |= {name: "".join(found) for name, found in texts.items() if any(found)}
    if annotations:
        message["annotations"] = annotations
    if calls:
        message["tool_calls"] = calls
    if items:
        message["extra_content"] = extra_content(items)
    return message, logprobs


def reasoning_text(item: Mapping[str, Any]) -> str:
    """The text of a reasoning item: its summary, or the reasoning itself where that is open."""
    parts = objects_of(item.get("summary")) or objects_of(item.get("content"))
    return "\n\n".join(text_of(part.get("text")) for part in parts)


def sealed_item(item: Mapping[str, Any], model: str) -> list[dict[str, Any]]:
    """
    What the next request needs of a reasoning item; nothing if it is not encrypted.

    It names its `model`, because no other one can read it.
    """
    names = ("id", "encrypted_content")
    found = {name: item[name] for name in names if isinstance(item.get(name), str)}
    return [{**found, "model": model}] if found.get("encrypted_content") else []


def extra_content(items: list[dict[str, Any]]) -> dict[str, Any]:
    """The message's field for `items`."""
    return {"openai": {"reasoning_items": items}}


def nested_annotation(annotation: Any) -> Any:
    """A citation with its fields in an object, as chat completions have them."""
    if not isinstance(annotation, dict) or not isinstance(kind := annotation.get("type"), str):
        return annotation
    inner = {name: value for name, value in annotation.items() if name != "type"}
    return {"type": kind, kind: inner}


def chat_call(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """The call that an item is; `None` if it is none of the client's tools."""
    call_id, name = text_of(item.get("call_id")), text_of(item.get("name"))
    if item.get("type") == "function_call":
        function = {"name": name, "arguments": text_of(item.get("arguments"))}
        return {"id": call_id, "type": "function", "function": function}
    if item.get("type") == "custom_tool_call":
        custom = {"name": name, "input": text_of(item.get("input"))}
        return {"id": call_id, "type": "custom", "custom": custom}
    return None


def chat_usage(usage: Any) -> dict[str, Any] | None:
    """The usage with the names of chat completions."""
    if not isinstance(usage, dict):
        return None
    sent, got = count_of(usage.get("input_tokens")), count_of(usage.get("output_tokens"))
    found: dict[str, Any] = {
        "prompt_tokens": sent,
        "completion_tokens": got,
        "total_tokens": count_of(usage.get("total_tokens")) or sent + got,
    }
    for theirs, ours in _DETAILS.items():
        if details := object_of(usage.get(theirs)):
            found[ours] = {name: count_of(number) for name, number in details.items()}
    return found
