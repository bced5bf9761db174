"""
The message of a chat completion as output items of a response.

Source of the format: openai-python 3.54.0, `ResponseOutputItem`; a message without a status, and a
custom call with `arguments`, are not in it, 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from ..sealed import seal, sealed_fields
from .custom_tools import custom_input
from .images import image_item
from .tools import Names, ToolName

Item: TypeAlias = dict[str, Any]


def output_items(choice: Mapping[str, Any], suffix: str, names: Names) -> list[Item]:
    """
    The items of one choice; their ids are made of `suffix`.

    Reasoning is first, then the text, images and calls. A choice without any of them is an empty
    message. `names` has the client's names; see `Tools`.
    """
    message = choice["message"]
    status = item_status(choice.get("finish_reason"))
    items: list[Item] = []
    sealed = sealed_fields(message)
    if sealed or message.get("reasoning_content"):
        text = message.get("reasoning_content") or ""
        items.append(reasoning_item(f"rs_{suffix}_0", text, sealed))
    calls = message.get("tool_calls") or []
    is_empty = not (calls or items or message.get("images"))
    if message.get("content") or message.get("refusal") or is_empty:
        logprobs = (choice.get("logprobs") or {}).get("content") or []
        parts = message_parts(
            message.get("content") or "",
            message.get("refusal"),
            message.get("annotations") or (),
            logprobs,
        )
        items.append(message_item(f"msg_{suffix}_{len(items)}", parts, status))
    for image in message.get("images") or ():
        if found := image_item(image, f"ig_{suffix}_{len(items)}"):
            items.append(found)
    for call in calls:
        items.append(call_item(call, f"{suffix}_{len(items)}", names, status))
    return items


def item_status(finish_reason: object) -> str:
    """The status of items whose response ended so."""
    return "incomplete" if finish_reason in {"length", "content_filter"} else "completed"


def message_item(item_id: str, parts: list[Item], status: str) -> Item:
    """A message of these parts."""
    return {
        "id": item_id,
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": parts,
    }


def message_parts(
    text: str, refusal: object, annotations: Iterable[Any], logprobs: list[Any]
) -> list[Item]:
    """The parts of a message: its text, unless there is only a refusal."""
    parts = []
    if text or not refusal:
        parts.append(text_part(text, annotations, logprobs))
    if refusal:
        parts.append({"type": "refusal", "refusal": refusal})
    return parts


def text_part(text: str, annotations: Iterable[Any] = (), logprobs: Iterable[Any] = ()) -> Item:
    """A text with what belongs to it."""
    return {
        "type": "output_text",
        "text": text,
        "annotations": [flat_annotation(one) for one in annotations],
        "logprobs": [*logprobs],
    }


def flat_annotation(annotation: Any) -> Any:
    """Chat completions nest a citation's fields, the Responses API does not."""
    kind = annotation.get("type") if isinstance(annotation, dict) else None
    inner = annotation.get(kind) if isinstance(kind, str) else None
    return {"type": kind, **inner} if isinstance(inner, dict) else annotation


def reasoning_item(item_id: str, text: str, sealed: Mapping[str, Any]) -> Item:
    """Reasoning: its text is the summary, which clients show; see `reasoning.py`."""
    summary = [{"type": "summary_text", "text": text}] if text else []
    return {
        "id": item_id,
        "type": "reasoning",
        "summary": summary,
        "encrypted_content": seal(sealed),
    }


def call_item(call: Mapping[str, Any], suffix: str, names: Names, status: str) -> Item:
    """A call of a function or of a custom tool; `namespace` is that of its function."""
    custom = call.get("custom") or {}
    if call.get("type") == "custom":
        return _custom_item(call, suffix, status, custom.get("name"), custom.get("input"))
    function = call.get("function") or {}
    flat, arguments = function.get("name") or "", function.get("arguments") or ""
    found = names.get(flat) or ToolName(flat)
    if found.is_custom:
        item = _custom_item(call, suffix, status, found.name, custom_input(arguments))
    else:
        item = {
            "id": f"fc_{suffix}",
            "type": "function_call",
            "status": status,
            "call_id": call.get("id") or "",
            "name": found.name,
            "arguments": arguments,
        }
    if found.namespace:
        item["namespace"] = found.namespace
    if call.get("extra_content"):
        item["extra_content"] = call["extra_content"]
    return item


def _custom_item(
    call: Mapping[str, Any], suffix: str, status: str, name: object, given: object
) -> Item:
    return {
        "id": f"ctc_{suffix}",
        "type": "custom_tool_call",
        "status": status,
        "call_id": call.get("id") or "",
        "name": name or "",
        "input": given or "",
    }
