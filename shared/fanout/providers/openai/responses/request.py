"""
A chat completion's request as one of the Responses API.

`chat.encode` has made its fields fit; this gives them their other form. Nothing is stored, so
reasoning is asked for encrypted, and sent back with the next request. Source of the format:
openai-python 3.54.0, `ResponseCreateParams`, 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from ....schema.request import ChatRequest
from ....wire import json
from ....wire.http import WireRequest
from ...base import Target
from ..chat import encode
from ..documents import has_address
from ..quirks import Quirks
from ..rules import NOT_OPENAI, is_reasoning
from .models import without_mark

_ABSENT = frozenset(
    {
        "audio",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "modalities",
        "n",
        "prediction",
        "presence_penalty",
        "seed",
        "stop",
    }
)
"""Fields of chat completions that the Responses API does not have."""

_SAME = (
    "metadata",
    "model",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "stream",
    "temperature",
    "top_p",
    "user",
)

_READ = frozenset(
    {"logprobs", "max_completion_tokens", "max_tokens", "messages", "reasoning_effort"}
    | {"response_format", "store", "stream_options", "tool_choice", "tools", "top_logprobs"}
    | {"verbosity", "web_search_options", *_SAME}
)
"""Fields of chat completions that have a place here."""

MIN_OUTPUT = 16
"""Tokens: "Expected a value >= 16", says the API of a smaller `max_output_tokens`. 2026-11"""

Path = Callable[[Target], str]


def responses_quirks(quirks: Quirks) -> Quirks:
    """The quirks of the same vendor's Responses API."""
    rules = replace(
        quirks.messages,
        fields=quirks.messages.fields | {"extra_content"},
        addresses="file_id",
        sealed=True,
    )
    return replace(
        quirks,
        drop=quirks.drop | NOT_OPENAI | _ABSENT,
        messages=rules,
        tool_efforts=(),
        stored_metadata=False,
    )


def encode_responses(
    quirks: Quirks,
    request: ChatRequest,
    target: Target,
    stream: bool,  # noqa: FBT001
    *,
    kind: str,
    path: str = "/responses",
) -> WireRequest:
    """The request of a model that is called with the Responses API; `quirks` are of its chat."""
    named = replace(target, model=without_mark(target.model))
    wire = encode(responses_quirks(quirks), request, named, stream, kind=kind)
    chat = json.decode(wire.body)
    body = _body(chat, kind)
    dropped = (*wire.dropped, *sorted(chat.keys() - _READ))
    given = sum(len(_encrypted(one)) for one in chat["messages"] if one["role"] == "assistant")
    if given > sum(item["type"] == "reasoning" for item in body["input"]):
        dropped = (*dropped, "messages[].extra_content")
    return replace(wire, path=path, body=json.encode(body), dropped=dropped)


def _body(chat: dict[str, Any], kind: str) -> dict[str, Any]:
    body = {name: chat[name] for name in _SAME if name in chat}
    body |= {
        "input": input_items(chat["messages"], chat["model"]),
        "store": bool(chat.get("store")),
    }
    include = ["reasoning.encrypted_content"] if is_reasoning(kind) else []
    limit = chat.get("max_completion_tokens") or chat.get("max_tokens")
    if limit is not None:
        body["max_output_tokens"] = max(limit, MIN_OUTPUT)
    if chat.get("reasoning_effort") is not None:
        body["reasoning"] = {"effort": chat["reasoning_effort"]}
    if chat.get("logprobs"):
        include.append("message.output_text.logprobs")
        body["top_logprobs"] = chat.get("top_logprobs") or 0
    if include:
        body["include"] = include
    return {**body, **_text(chat), **_tools(chat)}


def _text(chat: Mapping[str, Any]) -> dict[str, Any]:
    """`text`, which has the format and the verbosity."""
    text: dict[str, Any] = {}
    if form := chat.get("response_format"):
        inner = form.get("json_schema") or {}
        text["format"] = {"type": form["type"], **inner}
    if "verbosity" in chat:
        text["verbosity"] = chat["verbosity"]
    return {"text": text} if text else {}


def _tools(chat: Mapping[str, Any]) -> dict[str, Any]:
    """`tools` and `tool_choice`."""
    found: dict[str, Any] = {}
    tools = [_flat(tool) for tool in chat.get("tools") or ()]
    if options := chat.get("web_search_options"):
        tools.append(_search_tool(options))
    if tools:
        found["tools"] = tools
    if (choice := chat.get("tool_choice")) is not None:
        found["tool_choice"] = _flat_choice(choice)
    return found


def _search_tool(options: Mapping[str, Any]) -> dict[str, Any]:
    """`web_search_options`, whose `user_location` is nested, as a tool."""
    tool: dict[str, Any] = {"type": "web_search", **options}
    location = options.get("user_location")
    if isinstance(location, dict) and isinstance(inner := location.get("approximate"), dict):
        tool["user_location"] = {"type": "approximate", **inner}
    return tool


def _flat(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool with its fields beside its type. `strict` is true here unless it is given."""
    kind = tool.get("type")
    inner = tool.get(str(kind))
    if not isinstance(inner, dict):
        return tool
    flat = {"type": kind, **inner}
    if kind == "function":
        return {"parameters": {}, "strict": False, **flat}
    form = flat.get("format")
    if isinstance(form, dict) and isinstance(grammar := form.get("grammar"), dict):
        flat["format"] = {"type": "grammar", **grammar}
    return flat


def _flat_choice(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice
    inner = choice.get(str(choice.get("type")))
    if not isinstance(inner, dict):
        return choice
    if choice["type"] == "allowed_tools":
        tools = [_flat_choice(tool) for tool in inner.get("tools") or ()]
        return {"type": "allowed_tools", "mode": inner.get("mode", "auto"), "tools": tools}
    return {"type": choice["type"], "name": inner.get("name")}


# ---- messages ----


def input_items(messages: list[dict[str, Any]], model: str = "") -> list[dict[str, Any]]:
    """
    The items of the messages: each text, call and result is one of its own.

    Encrypted reasoning of another model than `model` is left out, also for another gateway: an item
    does not say which model made it.
    """
    items: list[dict[str, Any]] = []
    custom: set[str] = set()
    for message in messages:
        role = message["role"]
        if role == "tool":
            call_id = message.get("tool_call_id") or ""
            kind = "custom_tool_call_output" if call_id in custom else "function_call_output"
            output = _parts(message.get("content"))
            items.append({"type": kind, "call_id": call_id, "output": output})
            continue
        if role != "assistant":
            content = _parts(message.get("content"))
            items.append({"type": "message", "role": role, "content": content})
            continue
        items += _earlier_reasoning(message, model)
        if content := _said(message):
            items.append({"type": "message", "role": "assistant", "content": content})
        for call in message.get("tool_calls") or ():
            items.append(_call(call))
            if call.get("type") == "custom":
                custom.add(call["id"])
    return items


def _call(call: dict[str, Any]) -> dict[str, Any]:
    if call.get("type") == "custom":
        return {"type": "custom_tool_call", "call_id": call["id"], **call["custom"]}
    return {"type": "function_call", "call_id": call["id"], **call["function"]}


def _earlier_reasoning(message: dict[str, Any], model: str) -> list[dict[str, Any]]:
    """The model's own reasoning items of an earlier response, as `response.py` gives them."""
    return [
        {"type": "reasoning", "summary": []} | {k: v for k, v in item.items() if k != "model"}
        for item in _encrypted(message)
        if item.get("model", model) == model
    ]


def _encrypted(message: dict[str, Any]) -> list[dict[str, Any]]:
    """All encrypted reasoning items of a message, whichever model made them."""
    extra = message.get("extra_content")
    own = extra.get("openai") if isinstance(extra, dict) else None
    found = own.get("reasoning_items") if isinstance(own, dict) else None
    return [
        item
        for item in (found if isinstance(found, list) else ())
        if isinstance(item, dict) and isinstance(item.get("encrypted_content"), str)
    ]


def _said(message: dict[str, Any]) -> str:
    """
    The assistant's words, and what it refused.

    Parts of an output message would need the id of a stored response.
    """
    content = message.get("content")
    parts = [content] if isinstance(content, str) else content or []
    texts = [
        part if isinstance(part, str) else part.get("text") or part.get("refusal") or ""
        for part in parts
    ]
    return "\n".join(text for text in (*texts, message.get("refusal") or "") if text)


def _parts(content: Any) -> Any:
    """A text, or the parts of a message of the user or of a result."""
    if not isinstance(content, list):
        return content or ""
    return [_part(part) for part in content]


def _part(part: dict[str, Any]) -> dict[str, Any]:
    kind = part.get("type")
    if kind == "text":
        return {"type": "input_text", "text": part["text"]}
    if kind == "image_url":
        given = part["image_url"]
        image = {"url": given} if isinstance(given, str) else given  # its address alone
        return {"type": "input_image", "image_url": image["url"], **_detail(image)}
    if kind == "file":
        return {"type": "input_file", **_file(part["file"])}
    return part


def _file(file: dict[str, Any]) -> dict[str, Any]:
    """A file, whose address has a field of its own here."""
    if not has_address(file):
        return file
    return {**{k: v for k, v in file.items() if k != "file_id"}, "file_url": file["file_id"]}


def _detail(image: dict[str, Any]) -> dict[str, Any]:
    return {"detail": image.get("detail") or "auto"}
