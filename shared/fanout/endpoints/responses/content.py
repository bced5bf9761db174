"""
The content of items, as that of messages of a chat completion.

Source of the format: openai-python 3.54.0, `ResponseInputContentParam` and
`ResponseFunctionCallOutputItemListParam`, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from ...errors import RequestError
from ...schema.foreign_parts import file_at
from ...wire import json
from .errors import NoCounterpart

Part: TypeAlias = dict[str, Any]

_TEXTS = frozenset({"input_text", "output_text", "reasoning_text", "summary_text", "text"})
_DETAILS = frozenset({"auto", "high", "low"})
"""The details of an image that chat completions have; `original` is only the Responses API's."""


def message_content(item: Mapping[str, Any], role: str, path: str) -> dict[str, Any]:
    """
    `content`, and an assistant's `refusal` and `annotations`.

    Raises `RequestError` with a part's path.
    """
    content = item.get("content")
    if isinstance(content, str):
        return {"content": content}
    if not isinstance(content, list):
        param = f"{path}.content"
        raise RequestError(f"`{param}` must be a string or a list of parts", param)
    parts = [_part(part, f"{path}.content[{i}]") for i, part in enumerate(content)]
    if role != "assistant":
        return {"content": _joined(parts)}
    declined = [part["refusal"] for part in parts if part["type"] == "refusal"]
    rest = [part for part in parts if part["type"] != "refusal"]
    cited = [_nested(one) for part in content for one in _listed(part.get("annotations"))]
    more = {"annotations": cited} if cited else {}
    if declined:
        return {"content": _joined(rest) or None, "refusal": "\n".join(declined), **more}
    return {"content": _joined(rest), **more}


def kept_numbers(item: Mapping[str, Any]) -> tuple[int, ...]:
    """The numbers of the parts that are in `content`; none if that has all."""
    content = item.get("content")
    kinds = [part.get("type") for part in content] if isinstance(content, list) else []
    kept = tuple(number for number, kind in enumerate(kinds) if kind != "refusal")
    return kept if len(kept) < len(kinds) else ()


def _listed(value: object) -> list[Part]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _nested(annotation: Part) -> Part:
    """Chat completions nest a citation's fields, the Responses API does not."""
    kind = str(annotation.get("type"))
    fields = {name: value for name, value in annotation.items() if name != "type"}
    return {"type": kind, kind: fields}


def result_content(output: object, path: str) -> str | list[Part]:
    """The content of a call's result; a value that is no text is written as JSON."""
    if isinstance(output, str):
        return output
    if isinstance(output, list) and all(isinstance(one, dict) and "type" in one for one in output):
        return _joined([_part(part, f"{path}[{i}]") for i, part in enumerate(output)])
    if output is None:
        raise RequestError(f"`{path}` is missing", path, "missing_required_parameter")
    return json.encode(output).decode()


def _joined(parts: list[Part]) -> str | list[Part]:
    """One part of text as a string: every vendor takes one."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        text: str = parts[0]["text"]
        return text
    return parts


def _part(part: object, path: str) -> Part:
    if not isinstance(part, dict):
        raise RequestError(f"`{path}` must be an object", path)
    kind = str(part.get("type"))
    kept = {"cache_control": part["cache_control"]} if part.get("cache_control") else {}
    if kind in _TEXTS:
        return {"type": "text", "text": _text(part, "text", path), **kept}
    if kind == "refusal":
        return {"type": "refusal", "refusal": _text(part, "refusal", path)}
    if kind == "input_image":
        return {**_image(part, path), **kept}
    if kind == "input_file":
        return {**_file(part, path), **kept}
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": part.get("input_audio")}
    raise NoCounterpart(
        f"`{path}.type` cannot be `{kind[:64]}` for a model without the Responses API",
        f"{path}.type",
        "invalid_value",
    )


def _image(part: Part, path: str) -> Part:
    if not isinstance(url := part.get("image_url"), str):
        raise NoCounterpart(
            f"`{path}.image_url` must be a URL or a data URL: a chat completion, to which Fanout"
            " translates, has no other",
            f"{path}.image_url",
            "unsupported_parameter",
        )
    image: Part = {"url": url}
    if (detail := part.get("detail")) is not None:
        image["detail"] = detail if str(detail) in _DETAILS else "high"
    return {"type": "image_url", "image_url": image}


def _file(part: Part, path: str) -> Part:
    names = ("file_data", "file_id", "filename")
    found = {name: part[name] for name in names if part.get(name)}
    if isinstance(url := part.get("file_url"), str) and url and "file_data" not in found:
        found |= file_at(url)
    if not {"file_data", "file_id"} & found.keys():
        raise NoCounterpart(
            f"`{path}` needs `file_data` (a data URL), `file_id` or `file_url`",
            path,
            "unsupported_parameter",
        )
    return {"type": "file", "file": found}


def _text(part: Part, name: str, path: str) -> str:
    if not isinstance(value := part.get(name), str):
        raise RequestError(f"`{path}.{name}` must be a string", f"{path}.{name}")
    return value
