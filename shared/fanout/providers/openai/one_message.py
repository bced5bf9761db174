"""
One message of a conversation as one vendor with OpenAI's API accepts it: fields, parts and calls.

Loaded only for conversations that are more than plain texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from ...schema.messages import CALL_TYPES
from ..calls import CallIds, custom_arguments, fit_arguments
from ..fields import MADE_FIELDS, UnsupportedFields
from .message_rules import MessageRules

Message: TypeAlias = dict[str, Any]

_SYSTEM = frozenset({"developer", "system"})


_ALWAYS = frozenset({"content", "role", "tool_calls"})


_CALL = frozenset({"custom", "function", "id", "type"})


_FUNCTION = frozenset({"arguments", "name"})


_RESULTS = frozenset({"function", "tool"})


_MEDIA = frozenset({"file", "image_url"})


# Fields of OpenAI's responses that few others accept in a request.
_OF_RESPONSES = frozenset({"audio", "parsed", "refusal"})


def fit_message(
    message: Message, index: int, rules: MessageRules, ids: CallIds, unsupported: UnsupportedFields
) -> Message | None:
    if not rules.empty and message["role"] in _SYSTEM and not message.get("content"):
        unsupported.count("messages[].content")
        return None
    fitted = _fit_fields(message, rules, unsupported)
    if isinstance(parts := fitted.get("content"), list):
        path = unsupported.path(message, index)
        if not rules.empty_texts:
            parts = _without_empty(parts, unsupported)
        parts = _fit_parts(parts, message, path, rules, unsupported)
        fitted["content"] = _join_texts(parts) if rules.one_text or not parts else parts
    if message["role"] == "developer" and not rules.developer:
        fitted["role"] = "system"
    if "tool_call_id" in fitted:
        fitted["tool_call_id"] = ids.result(fitted["tool_call_id"])
    if message["role"] == "assistant":
        return _fit_response(message, fitted, rules, ids, unsupported)
    return fitted


def _without_empty(parts: list[Any], unsupported: UnsupportedFields) -> list[Any]:
    """The parts without empty texts, unless there is nothing else."""
    kept = [part for part in parts if part.get("text") != ""]
    if not kept or len(kept) == len(parts):
        return parts
    unsupported.count("messages[].content[]", len(parts) - len(kept))
    return kept


def _fit_fields(message: Message, rules: MessageRules, unsupported: UnsupportedFields) -> Message:
    """The fields that the vendor knows, and those of the client that it may know."""
    role = message["role"]
    is_strict = rules.strict and role == "assistant"
    is_nameless = not (rules.named_results if role == "tool" else rules.names)
    fitted = {}
    for name, value in message.items():
        # Null is as none, except of `content`: vendors want a text where a field is one.
        if (value is None and name != "content") or (name == "prefix" and value is False):
            continue
        is_known = name in _ALWAYS or name in rules.fields
        if (name == "name" and is_nameless) or (
            not is_known
            and (
                name in MADE_FIELDS or is_strict or (name in _OF_RESPONSES and role == "assistant")
            )
        ):
            if value != []:
                unsupported.leave_out("messages[]", name, value)
        elif name == "extra_content" and not rules.sealed:
            if others := _without_sealed(value, unsupported):
                fitted[name] = others
        elif name == "name" and role not in _RESULTS and rules.not_in_names:
            if fit := _fit_name(value, rules, unsupported):
                fitted[name] = fit
        else:
            fitted[name] = value
    return fitted


def _without_sealed(extra: Any, unsupported: UnsupportedFields) -> Any:
    """Vendors' own content; of encrypted reasoning, that of this very model: none else reads it."""
    own = extra.get("openai") if isinstance(extra, dict) else None
    items = own.get("reasoning_items") if isinstance(own, dict) else None
    if not isinstance(items, list):
        return extra
    model = unsupported.target.model
    if all(isinstance(item, dict) and item.get("model") == model for item in items):
        return extra
    unsupported.note("messages[].extra_content")
    return {name: value for name, value in extra.items() if name != "openai"}


def _fit_name(name: str, rules: MessageRules, unsupported: UnsupportedFields) -> str:
    """The name of a message's author as the vendor accepts it."""
    fit = re.sub(rules.not_in_names, "_", name)
    if fit != name:
        unsupported.note("messages[].name")
    return fit


def _join_texts(parts: list[Any]) -> str | list[Any]:
    if all(part.get("type") == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _fit_parts(
    parts: list[Any],
    message: Message,
    path: str,
    rules: MessageRules,
    unsupported: UnsupportedFields,
) -> list[Any]:
    is_strict = rules.strict and message["role"] == "assistant"
    fitted = []
    for number, given in enumerate(parts):
        part = given if "type" in given else {"type": "text", **given}  # a system message's may
        if made := (MADE_FIELDS & part.keys()) - rules.fields:
            for name in sorted(made):
                unsupported.note(f"messages[].content[].{name}")
            part = {name: value for name, value in part.items() if name not in made}
        if part["type"] == "file" and rules.documents:
            from .documents import encode_document  # few conversations have one

            place = f"{unsupported.part_path(message, path, number)}.file"
            fitted.append(encode_document(part["file"], rules.documents, place, unsupported))
        elif part["type"] == "input_audio" and rules.bare_audio:
            fitted.append(_bare_audio(part))
        elif part["type"] == "refusal" and not rules.custom:  # OpenAI's own
            fitted.append({"type": "text", "text": part["refusal"]})
        elif is_strict and part["type"] not in {"text", "refusal"}:
            from ..field_checks import count_part  # the same

            count_part(part["type"], unsupported)
        elif part["type"] in _MEDIA:
            from .documents import fit_address, fit_media  # the same

            if part["type"] == "file" and rules.addresses != "file_id":
                place = unsupported.part_path(message, path, number)
                part = fit_address(part, rules.addresses, place, unsupported)
            fitted.append(fit_media(part, objects=rules.custom))
        else:
            fitted.append(part)
    return fitted


def _bare_audio(part: Message) -> Message:
    if not isinstance(audio := part["input_audio"], dict):
        return part
    return {**part, "input_audio": audio.get("data")}


# ---- messages of the assistant ----


def _fit_response(
    message: Message,
    fitted: Message,
    rules: MessageRules,
    ids: CallIds,
    unsupported: UnsupportedFields,
) -> Message | None:
    thought = message.get("reasoning_content") or message.get("reasoning")
    if rules.reasoning and isinstance(thought, str) and thought:
        fitted[rules.reasoning] = thought
    if calls := fitted.get("tool_calls"):
        fitted["tool_calls"] = [_fit_call(call, rules, ids, unsupported) for call in calls]
        # "missing field `content`": github.com/pig-mesh/deepseek4j/issues/41, OpenHands/
        # OpenHands-CLI/issues/533, 2026-11
        fitted.setdefault("content", None)
    elif "tool_calls" in fitted:
        del fitted["tool_calls"]
    audio = message.get("audio")
    if "audio" in fitted:
        if isinstance(audio, dict) and _has_stored(audio, rules):
            fitted["audio"] = {"id": audio["id"]}  # a request has no other field of it
        else:
            unsupported.note("messages[].audio")
            del fitted["audio"]
    if calls and not fitted.get("content"):
        fitted["content"] = _beside_calls(fitted["content"], rules)
    if fitted.get("content") or calls or "audio" in fitted or "function_call" in fitted:
        # Some servers require the field: github.com/OpenHands/OpenHands-CLI/issues/533, 2026-02
        return fitted if "content" in fitted else {**fitted, "content": None}
    if fitted.get("refusal") and rules.empty:
        return {**fitted, "content": None}
    fitted.pop("refusal", None)  # it is the content
    words = message.get("refusal") or (isinstance(audio, dict) and audio.get("transcript")) or ""
    # Moonshot's and DashScope's mark of a message that the model continues
    if not words and not rules.empty and not message.get("partial"):
        unsupported.count("messages[].content")
        return None
    return {**fitted, "content": words}


def _beside_calls(empty: Any, rules: MessageRules) -> Any:
    """The content of a message that only has calls."""
    if rules.no_content is not None:
        return rules.no_content
    return empty if rules.empty_beside_calls else None


def _has_stored(audio: Message, rules: MessageRules) -> bool:
    """
    Whether the audio of a response is sent by its id, which only OpenAI makes (Gemini's is ours).

    Another server knows the id only if the response is its own; so words are safer, if it has some.
    """
    is_id = str(audio.get("id")).startswith("audio_")
    return is_id and (rules.audio_store or not audio.get("transcript"))


def _fit_call(
    call: Mapping[str, Any],
    rules: MessageRules,
    ids: CallIds,
    unsupported: UnsupportedFields,
) -> Mapping[str, Any]:
    """
    A call in OpenAI's form, or of the vendor's own type.

    Mistral's and older servers' responses have no `type`.
    """
    if call.get("type") not in CALL_TYPES:
        return {**call, "id": ids.call(call["id"])}
    fitted = {name: value for name, value in call.items() if name in _CALL or name in rules.fields}
    for name in sorted(call.keys() - fitted.keys() - {"index"}):
        unsupported.leave_out("messages[].tool_calls[]", name)
    if fitted.get("type") is None:
        fitted["type"] = "function" if "function" in fitted else "custom"
    if fitted["type"] == "custom" and not rules.custom and isinstance(fitted.get("custom"), dict):
        unsupported.note("messages[].tool_calls[].custom")
        custom = fitted.pop("custom")
        arguments = custom_arguments(custom["input"])
        fitted |= {"type": "function", "function": {"name": custom["name"], "arguments": arguments}}
    fitted["id"] = ids.call(call["id"])
    if function := fitted.get("function"):
        fitted["function"] = _fit_function(function, rules, unsupported)
    return fitted


def _fit_function(
    function: Mapping[str, Any], rules: MessageRules, unsupported: UnsupportedFields
) -> Mapping[str, Any]:
    """The name and arguments. OpenAI's SDK for Python adds `parsed_arguments` to its responses."""
    for name in sorted(function.keys() - _FUNCTION):
        unsupported.leave_out("messages[].tool_calls[].function", name)
    fitted = {name: value for name, value in function.items() if name in _FUNCTION}
    arguments = function.get("arguments")
    if arguments is None or not rules.opaque_arguments:
        fitted["arguments"] = fit_arguments(arguments or "", unsupported)
    return fitted
