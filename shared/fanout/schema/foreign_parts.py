"""
Content parts of other APIs in a client's messages, as OpenAI's chat completions have them.

Conversations that were kept in the form of OpenAI's Responses API (`input_text`, `output_text`,
`input_image`, `input_file`) or of Anthropic's API (`tool_use`, `tool_result`, `image`, `document`,
`thinking`) are read, so that every vendor can get them. Sources: openai-openapi 2.3.0,
`InputContent` and `OutputContent`; https://platform.claude.com/docs/en/api/messages/create;
`document` of Cohere's SDK for Python 7.3, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ..errors import RequestError
from ..wire import json
from .request import MessagePosition

Part: TypeAlias = dict[str, Any]
Message: TypeAlias = dict[str, Any]

_KEPT = ("cache_control",)
"""What a part may have beside its own fields, in any of the APIs."""

_KEPT_OF_CALLS = (*_KEPT, "extra_content")
"""The same of a call: its vendor may need the latter back."""


def convert_messages(messages: list[Any]) -> tuple[list[Any], tuple[MessagePosition, ...]]:
    """
    The messages in OpenAI's form, and the place of each in the client's list.

    They are the same list if all are in it. A message with the results of tools may become several.
    If each message and each part is where it was, no places are returned. Raises `RequestError`
    with the path of a part that is not in its API's form, or that OpenAI's has no place for.
    """
    converted: list[Any] = []
    places: list[MessagePosition] = []
    changed = False
    for index, message in enumerate(messages):
        ours = [(message, MessagePosition(f"messages[{index}]"))]
        if isinstance(message, dict):
            ours = _convert(_without_item_fields(message), f"messages[{index}]")
        changed = changed or ours[0][0] is not message
        converted += [message for message, _ in ours]
        places += [place for _, place in ours]
    if not changed:
        return messages, ()
    same = [MessagePosition(f"messages[{index}]") for index in range(len(messages))]
    return converted, () if places == same else tuple(places)


def _without_item_fields(message: Message) -> Message:
    """The message without what only an item of the Responses API has."""
    if message.get("type") != "message":
        return message
    return {name: v for name, v in message.items() if name not in {"id", "status", "type"}}


def _convert(message: Message, path: str) -> list[tuple[Message, MessagePosition]]:
    """The results of tools in a message, and the message without them if anything else is left."""
    if not isinstance(message.get("content"), list):
        return [(message, MessagePosition(path))]
    results: list[tuple[Message, MessagePosition]] = []
    calls: list[Part] = []
    thoughts: list[Part] = []
    parts: list[Any] = []
    numbers: list[int] = []
    for number, part in enumerate(message["content"]):
        place = f"{path}.content[{number}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "tool_use":
            _require_role(message, ("assistant",), place)
            calls.append(_call(part, place))
        elif kind == "tool_result":
            _require_role(message, ("user", "tool"), place)
            results.append((_result(part, place), MessagePosition(place)))
        elif message.get("role") == "assistant" and _is_thought(part):
            thoughts.append(part)
        else:
            parts.append(_part(part, place))
            numbers.append(number)
    if not (calls or results or thoughts):
        same = all(new is old for new, old in zip(parts, message["content"], strict=True))
        return [(message if same else {**message, "content": parts}, MessagePosition(path))]
    if results and not parts:
        return results
    rest = _without_parts(message, path, parts, calls, thoughts)
    return [*results, (rest, MessagePosition(path, tuple(numbers)))]


def _without_parts(
    message: Message, path: str, parts: list[Any], calls: list[Part], thoughts: list[Part]
) -> Message:
    """The message with these parts alone; calls and thoughts are in their own fields."""
    rest = {**message, "content": _joined(parts) or None}
    if thoughts:
        known = message.get("thinking_blocks")
        rest["thinking_blocks"] = [*(known if isinstance(known, list) else ()), *thoughts]
    if calls:
        rest["tool_calls"] = _with_calls(message.get("tool_calls") or [], calls, path)
    return rest


def _joined(parts: list[Any]) -> str | list[Any]:
    """One text as a string: every vendor takes one."""
    match parts:
        case [{"type": "text", "text": str(text), **rest}] if not rest:
            return text
        case _:
            return parts


def _with_calls(known: Any, calls: Sequence[Part], path: str) -> list[Any]:
    """The calls of a message, and those of its parts that are not among them."""
    if not isinstance(known, list):
        raise RequestError(f"`{path}.tool_calls` must be a list", f"{path}.tool_calls")
    ids = [call.get("id") for call in known if isinstance(call, dict)]
    return [*known, *(call for call in calls if call["id"] not in ids)]


def _require_role(message: Message, roles: Sequence[str], path: str) -> None:
    if message.get("role") not in roles:
        where = " or ".join(f"`{role}`" for role in roles)
        raise RequestError(f"`{path}` must be in a message with the role {where}", path)


def _call(part: Part, path: str) -> Part:
    """Anthropic's `tool_use` as a call."""
    arguments = part.get("input") or {}
    if not isinstance(arguments, dict):
        raise RequestError(f"`{path}.input` must be an object", f"{path}.input")
    function = {"name": _text(part, "name", path), "arguments": json.encode(arguments).decode()}
    return {
        "id": _text(part, "id", path),
        "type": "function",
        "function": function,
        **_kept(part, _KEPT_OF_CALLS),
    }


def _result(part: Part, path: str) -> Message:
    """Anthropic's `tool_result` as a message."""
    content = part.get("content")
    if isinstance(content, list):
        content = [_part(one, f"{path}.content[{i}]") for i, one in enumerate(content)]
    elif content is not None and not isinstance(content, str):
        raise RequestError(f"`{path}.content` must be a string or a list", f"{path}.content")
    call_id = _text(part, "tool_use_id", path)
    return {"role": "tool", "tool_call_id": call_id, "content": content or "", **_kept(part)}


def _is_thought(part: Any) -> bool:
    """Whether this is Anthropic's signed thinking; Mistral's part of this type has no signature."""
    if not isinstance(part, dict):
        return False
    if part.get("type") == "redacted_thinking":
        return isinstance(part.get("data"), str)
    return part.get("type") == "thinking" and isinstance(part.get("signature"), str)


def _part(part: Any, path: str) -> Any:
    """A part in OpenAI's form. A part of OpenAI's or of an unknown form is unchanged."""
    match part:
        case {"type": "input_text" | "output_text"}:
            ours = _text_part(_text(part, "text", path))
        case {"type": "input_image"}:
            ours = _input_image(part, path)
        case {"type": "input_file"}:
            ours = _input_file(part, path)
        case {"type": "image", "source": dict(source)}:
            ours = _image(source, f"{path}.source")
        case {"type": "document"}:
            ours = _document(part, path)
        case _:
            return part
    return {**ours, **_kept(part)}


def _text_part(text: str) -> Part:
    return {"type": "text", "text": text}


def _input_image(part: Part, path: str) -> Part:
    url = part.get("image_url")
    if not isinstance(url, str):
        fix = "give its address or its data as `image_url`"
        raise RequestError(f"`{path}` has no `image_url`; {fix}", f"{path}.image_url")
    detail = part.get("detail")
    image = {"url": url} | ({"detail": detail} if isinstance(detail, str) else {})
    return {"type": "image_url", "image_url": image}


def file_at(url: str) -> Part:
    """The file at an address, as LiteLLM's users give one, or the file of a data URL."""
    if url[:5].lower() == "data:":
        return {"file_data": "data:" + url[5:]}
    return {"file_id": url}


def _input_file(part: Part, path: str) -> Part:
    names = ("file_id", "file_data", "filename")
    file = {name: part[name] for name in names if part.get(name)}
    if isinstance(url := part.get("file_url"), str) and url:
        file = {**file, **file_at(url)}
    if not {"file_data", "file_id"} & file.keys():
        raise RequestError(f"`{path}` has no `file_data`, `file_id` or `file_url`", path)
    return {"type": "file", "file": file}


def _image(source: Part, path: str) -> Part:
    """Anthropic's image."""
    match source:
        case {"type": "base64", "media_type": str(media), "data": str(data)}:
            url = f"data:{media};base64,{data}"
        case {"type": "url", "url": str(url)}:
            pass
        case {"type": "file", "file_id": str(file_id)}:
            return {"type": "file", "file": {"file_id": file_id}}
        case _:
            raise _unreadable(path, "`base64` with `media_type` and `data`, or `url`")
    return {"type": "image_url", "image_url": {"url": url}}


def _document(part: Part, path: str) -> Part:
    """Anthropic's document, or Cohere's, which is text."""
    match part:
        case {"document": dict(document)}:
            data = document.get("data", document)
            return _text_part(data if isinstance(data, str) else json.encode(data).decode())
        case {"source": dict(source)}:
            title = part.get("title")
            titles = [title] if isinstance(title, str) and title else []
            text = _text_of(source)
            if text is not None:
                return _text_part("\n\n".join([*titles, text]))
            file = _file_of(source, f"{path}.source")
            return {"type": "file", "file": file | ({"filename": title} if titles else {})}
        case _:
            fix = "give its `source`, or send it as `file` with `file_data`"
            raise RequestError(f"`{path}` is a document without a source; {fix}", path)


def _text_of(source: Part) -> str | None:
    """The text of a document that consists of text."""
    match source:
        case {"type": "text", "data": str(text)} | {"type": "content", "content": str(text)}:
            return text
        case {"type": "content", "content": list(blocks)}:
            texts: list[Any] = [block.get("text") for block in blocks if isinstance(block, dict)]
            if len(texts) == len(blocks) and all(isinstance(text, str) for text in texts):
                return "\n\n".join(texts)
        case _:
            pass
    return None


def _file_of(source: Part, path: str) -> Part:
    match source:
        case {"type": "base64", "media_type": str(media), "data": str(data)}:
            return {"file_data": f"data:{media};base64,{data}"}
        case {"type": "url", "url": str(url)} if url:
            return file_at(url)
        case {"type": "file", "file_id": str(file_id)} if file_id:
            return {"file_id": file_id}
        case _:
            raise _unreadable(
                path, "`base64` with `media_type` and `data`, `url`, `text` or `file`"
            )


def _unreadable(path: str, kinds: str) -> RequestError:
    return RequestError(f"`{path}` cannot be read; its `type` must be {kinds}", path)


def _text(part: Mapping[str, Any], name: str, path: str) -> str:
    value = part.get(name)
    if not isinstance(value, str):
        raise RequestError(f"`{path}.{name}` must be a string", f"{path}.{name}")
    return value


def _kept(part: Mapping[str, Any], names: Sequence[str] = _KEPT) -> Part:
    return {name: part[name] for name in names if name in part}
