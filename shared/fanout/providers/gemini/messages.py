"""
Messages as Google's: the system prompt, and turns of a user and a model.

The signature of a thought goes back to Google with the text or the call that it came with:
https://ai.google.dev/gemini-api/docs/thought-signatures. Our responses have it in
`extra_content.google.thought_signature`, as Google's own OpenAI-compatible endpoint does.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from msgspec import MsgspecError, Struct, field

from ...schema.chat import Object
from ...schema.messages import (
    AssistantMessage,
    FunctionToolCall,
    TextPart,
    ToolMessage,
    ToolPart,
)
from ...schema.request import ChatRequest
from ...wire import json
from ..calls import ANY_ID, CallIds
from ..fields import UnsupportedFields, is_text
from ..request_reader import (
    Block,
    ChatMessage,
    PartEncoders,
    encode_content,
    function_calls,
    open_with_user,
    read_arguments,
    split_turns,
)
from ..signatures import SKIP_SIGNATURE, find_signature, has_others
from .media import encode_audio, encode_file, encode_image, encode_made_images, makes_images
from .rules import has_levels, has_reference, is_empty
from .signatures import encode_id

# The results of tools are one turn, and not a part of the user's, though Google calls both `user`.
ROLES = {"user": "user", "assistant": "model", "tool": "tool"}


def _encode_text(text: str) -> Block | None:
    return None if is_empty(text) else {"text": text}


_PARTS = {
    levels: PartEncoders(
        _encode_text, partial(encode_image, has_levels=levels), encode_file, encode_audio
    )
    for levels in (False, True)
}


class _Context(Struct):
    """What the messages share; `names` has the function's name of each call so far, by its id."""

    unsupported: UnsupportedFields
    encoders: PartEncoders
    has_levels: bool
    makes_images: bool
    ids: CallIds = field(default_factory=lambda: CallIds(ANY_ID))
    names: dict[str, str] = field(default_factory=dict)


def encode_conversation(
    request: ChatRequest, unsupported: UnsupportedFields, model: str
) -> tuple[list[Block], list[tuple[str, list[Block]]]]:
    """The parts of the system prompt, and the turns: (role, parts)."""
    levels = has_levels(model)
    context = _Context(unsupported, _PARTS[levels], levels, makes_images(model))
    encode = partial(_encode_message, context=context)
    return split_turns(request, unsupported, ROLES, encode)


def encode_turns(
    turns: list[tuple[str, list[Block]]], unsupported: UnsupportedFields
) -> list[Block]:
    """
    The turns as Google's `contents`.

    A call must come after a turn of the user, so a conversation begins with one.
    """
    turns = open_with_user(turns, {"text": unsupported.opening}, unsupported)
    return [
        {"role": "model" if role == "model" else "user", "parts": parts} for role, parts in turns
    ]


def _encode_message(message: ChatMessage, raw: Object, path: str, context: _Context) -> list[Block]:
    if isinstance(message, ToolMessage):
        return [_encode_result(message, raw, path, context)]
    blocks = [
        block
        for block, _ in encode_content(message, raw, path, context.unsupported, context.encoders)
    ]
    if isinstance(message, AssistantMessage):
        return _encode_assistant(message, blocks, raw, path, context)
    return blocks


def _encode_assistant(
    message: AssistantMessage, blocks: list[Block], raw: Object, path: str, context: _Context
) -> list[Block]:
    thought = raw.get("reasoning_content")
    is_text = isinstance(thought, str) and bool(thought)
    thoughts: list[Block] = [{"text": thought, "thought": True}] if is_text else []
    if thought and not is_text:
        context.unsupported.note("messages[].reasoning_content")
    if has_others(raw):
        context.unsupported.note("messages[].extra_content")
    if blocks and (signature := find_signature(raw)):
        blocks = [*blocks[:-1], {**blocks[-1], "thoughtSignature": signature}]
    if images := raw.get("images"):
        made = [*encode_made_images(raw, has_levels=context.has_levels)]
        sent = made if context.makes_images else []
        if not isinstance(images, list) or len(sent) < len(images):
            count = len(images) - len(sent) if isinstance(images, list) else 1
            context.unsupported.count("messages[].images", count)
        blocks = [*blocks, *sent]
    calls: list[Block] = []
    for call, raw_call, _ in function_calls(message, raw, path, context.unsupported):
        call_id = context.ids.call(call.id)
        context.names[call_id] = call.function.name
        calls.append(_encode_call(call_id, call, raw_call, context))
    if calls and context.has_levels and "thoughtSignature" not in calls[0]:
        calls[0]["thoughtSignature"] = SKIP_SIGNATURE
    # A thought alone is no turn.
    return [*thoughts, *blocks, *calls] if blocks or calls else []


def _encode_call(call_id: str, call: FunctionToolCall, raw: Object, context: _Context) -> Block:
    arguments = read_arguments(call, context.unsupported)
    function = {
        **_id_field(call.id, call_id, context),
        "name": call.function.name,
        "args": arguments,
    }
    if has_others(raw):
        context.unsupported.note("messages[].tool_calls[].extra_content")
    signature = find_signature(raw)
    return {"functionCall": function} | ({"thoughtSignature": signature} if signature else {})


def _id_field(given: str, call_id: str, context: _Context) -> dict[str, Any]:
    """The field `id` of a call or its result, if the client has an id that Google may know."""
    if not encode_id(given):
        return {}
    if call_id != given:
        context.unsupported.note("messages[].tool_calls[].id")
    return {"id": call_id}


def _encode_result(message: ToolMessage, raw: Object, path: str, context: _Context) -> Block:
    """The result of a call. Google requires the function's name, which only the call has."""
    call_id = context.ids.result(message.tool_call_id)
    name = context.names[call_id]  # `check_fields` has left no result without a call
    response = {"name": name, "response": _encode_response(message.content)}
    media = _encode_result_media(message, raw, path, context)
    parts = {"parts": media} if media else {}
    own_id = _id_field(message.tool_call_id, call_id, context)
    return {"functionResponse": own_id | response | parts}


def _encode_result_media(
    message: ToolMessage, raw: Object, path: str, context: _Context
) -> list[Block]:
    """The images and files of a result, as their bytes: see `is_in_results`."""
    if isinstance(message.content, str):
        return []
    blocks = encode_content(message, raw, path, context.unsupported, context.encoders)
    return [{"inlineData": block["inlineData"]} for block, _ in blocks if "inlineData" in block]


def is_in_results(part: Object, model: str) -> bool:
    """
    Whether a result may have this part; only models since Gemini 3 read more than text, as bytes.

    https://ai.google.dev/gemini-api/docs/function-calling#multimodal, 2026-11
    """
    if is_text(part):
        return True
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    file = part.get("file")
    data = file.get("file_data") if isinstance(file, dict) else url
    is_data = "input_audio" in part or (isinstance(data, str) and data.startswith("data:"))
    return is_data and has_levels(model)


def _encode_response(content: str | list[ToolPart]) -> dict[str, Any]:
    """Google requires a JSON object; any other text is its `output`, and so is a JSON schema."""
    if isinstance(content, str):
        text = content
    else:
        text = "".join(part.text for part in content if isinstance(part, TextPart))
    try:
        is_object = text.lstrip().startswith("{") and not has_reference(text)
        value = json.decode(text) if is_object else text
    except (MsgspecError, RecursionError):
        value = text
    return value if isinstance(value, dict) else {"output": value}
