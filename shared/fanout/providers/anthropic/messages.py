"""
A conversation as Anthropic's blocks: system prompt, turns, images, files, tool calls and results.

`cache_control` and `thinking_blocks` are not OpenAI's. They are read from the request as the client
wrote it and are sent unchanged, as LiteLLM's users expect. Sources:
https://platform.claude.com/docs/en/build-with-claude/vision and …/pdf-support.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from functools import partial
from typing import Any

from ...errors import RequestError
from ...schema.chat import Object
from ...schema.messages import (
    AssistantMessage,
    FileRef,
    FunctionToolCall,
    ImageURL,
    ToolMessage,
)
from ...schema.request import ChatRequest
from ..calls import CallIds
from ..fields import UnsupportedFields
from ..request_reader import (
    ROLES_WITHOUT_TOOL,
    Block,
    ChatMessage,
    PartEncoders,
    encode_content,
    function_calls,
    open_with_user,
    read_arguments,
    reject_low_detail,
    split_turns,
)
from .rules import CALL_IDS, IMAGES, is_blank, is_signed, strip_end
from .settings import reject_prefill


def encode_conversation(
    request: ChatRequest,
    unsupported: UnsupportedFields,
    *,
    structured: bool = True,
    prefill: bool = True,
) -> dict[str, Any]:
    """
    `system` and `messages`. What is not `structured` gets the format of the response in words.

    Without `prefill`, the model does not continue a message of the assistant.

    System messages are collected wherever they are: only the newest models accept them in the
    middle of a conversation. All results of parallel tool calls must be in one turn.
    """
    ids = CallIds(CALL_IDS)
    encode = partial(_encode_message, unsupported=unsupported, ids=ids)
    system, turns = split_turns(request, unsupported, ROLES_WITHOUT_TOOL, encode)
    turns = open_with_user(turns, _text(unsupported.opening), unsupported)
    if request.response_format is not None:
        from ..format_instruction import (
            format_in_words,
        )  # only requests with a response format need it

        if words := format_in_words(request, unsupported, schemas=structured):
            system = [*system, _text(words)]
    if ids.changed:
        unsupported.note("messages[].tool_calls[].id")
    messages = [{"role": role, "content": _shorten(blocks)} for role, blocks in turns]
    if turns[-1][0] == "assistant":
        if not prefill:
            reject_prefill(request, unsupported)
        messages[-1]["content"] = _shorten(_strip_end(turns[-1][1]))
    return {**({"system": _shorten(system)} if system else {}), "messages": messages}


def called_names(messages: list[Block]) -> list[str]:
    """The functions that were called in `messages`; if there are any, a request must list tools."""
    turns = [turn["content"] for turn in messages if turn["role"] == "assistant"]
    blocks = [block for turn in turns if isinstance(turn, list) for block in turn]
    return list(dict.fromkeys(block["name"] for block in blocks if block["type"] == "tool_use"))


def _strip_end(blocks: list[Block]) -> list[Block]:
    """The blocks that the response continues."""
    if blocks[-1]["type"] != "text":
        return blocks
    return [*blocks[:-1], {**blocks[-1], "text": strip_end(blocks[-1]["text"])}]


def _shorten(blocks: list[Block]) -> str | list[Block]:
    """One plain text is written as a string."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        text: str = blocks[0]["text"]
        return text
    return blocks


def _encode_message(
    message: ChatMessage, raw: Object, path: str, unsupported: UnsupportedFields, ids: CallIds
) -> list[Block]:
    blocks = [
        block | cache_mark(part)
        for block, part in encode_content(message, raw, path, unsupported, _PARTS)
    ]
    match message:
        case AssistantMessage():
            # Thinking first, then the text, then the calls: the order in which they were made.
            calls = [
                _encode_call(call, raw_call, unsupported, ids)
                for call, raw_call, _ in function_calls(message, raw, path, unsupported)
            ]
            blocks = [*_thinking_blocks(raw, unsupported), *blocks, *calls]
        case ToolMessage(tool_call_id=call_id):
            content = {"content": _shorten(blocks)} if blocks else {}
            blocks = [{"type": "tool_result", "tool_use_id": ids.result(call_id), **content}]
        case _:
            pass  # a system or a user message is its content
    return _mark(blocks, raw)


def _thinking_blocks(raw: Object, unsupported: UnsupportedFields) -> list[Block]:
    """
    Earlier thinking, unchanged: its signature covers every letter.

    Anthropic accepts no thinking without a signature. So other models' is left out, and so is
    `reasoning_content`.
    """
    given = raw.get("thinking_blocks")
    if not given and not raw.get("reasoning_content"):
        return []
    signed = [one for one in given if is_signed(one)] if isinstance(given, list) else []
    unsigned = (len(given) if isinstance(given, list) else bool(given)) - len(signed)
    if unsigned:
        unsupported.count("messages[].thinking_blocks", unsigned)
    if not signed and raw.get("reasoning_content"):
        unsupported.note("messages[].reasoning_content")
    return signed


def _encode_call(
    call: FunctionToolCall, raw: Object, unsupported: UnsupportedFields, ids: CallIds
) -> Block:
    use = {
        "type": "tool_use",
        "id": ids.call(call.id),
        "name": call.function.name,
        "input": read_arguments(call, unsupported),
    }
    return use | cache_mark(raw)


def cache_mark(raw: Mapping[str, Any]) -> Block:
    """The `cache_control` of a message, a part, a call or a tool, if it has a readable one."""
    mark = raw.get("cache_control")
    return {"cache_control": mark} if isinstance(mark, dict) and "type" in mark else {}


def _mark(blocks: list[Block], raw: Object) -> list[Block]:
    """A message's own `cache_control` is its last block's; thinking cannot have one."""
    mark = cache_mark(raw)
    if mark and blocks and blocks[-1].get("type") not in {"thinking", "redacted_thinking"}:
        return [*blocks[:-1], mark | blocks[-1]]
    return blocks


# ---- content parts ----


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _encode_text(text: str) -> Block | None:
    return None if is_blank(text) else _text(text)


def _encode_image(image: ImageURL, path: str, unsupported: UnsupportedFields) -> Block | None:
    reject_low_detail(image, path, unsupported)
    if image.url.startswith("data:"):
        from ..media_types import split_data_uri  # many conversations have no media

        kind, data = split_data_uri(image.url, f"{path}.url")
        return _image(kind, data, f"{path}.url", unsupported)
    from ...schema.addresses import is_web  # the same

    if is_web(image.url):
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    raise RequestError(f"`{path}.url` is neither a web address nor a data URI", f"{path}.url")


def _encode_file(file: FileRef, path: str, unsupported: UnsupportedFields) -> Block | None:
    """A PDF, a text or an image, given as data, as a URL or as an id of Anthropic's Files API."""
    title = {"title": file.filename} if file.filename else {}
    from ...schema.addresses import is_address, is_web  # many conversations have no media

    given = file.file_data or file.file_id or ""
    if is_web(given):
        return {"type": "document", "source": {"type": "url", "url": given}, **title}
    if not given or is_address(given):
        raise RequestError(f"`{path}` is neither data, nor a web address, nor an id", path)
    if file.file_data is None:
        return {"type": "document", "source": {"type": "file", "file_id": given}, **title}
    from ..media_types import split_data_uri  # the same

    kind, data = split_data_uri(given, f"{path}.file_data")
    if kind.startswith("image/"):
        return _image(kind, data, path, unsupported)
    if kind == "application/pdf":
        source = {"type": "base64", "media_type": kind, "data": data}
    elif kind.startswith("text/"):
        source = {"type": "text", "media_type": "text/plain", "data": _decode_text(data, path)}
    else:
        unsupported.add(path, f"it cannot read `{kind}`, but PDF, text and images")
        return None
    return {"type": "document", "source": source, **title}


def _image(kind: str, data: str, path: str, unsupported: UnsupportedFields) -> Block | None:
    if kind not in IMAGES:
        unsupported.add(path, f"it cannot read `{kind}`, but PNG, JPEG, GIF and WebP")
        return None
    source = {"type": "base64", "media_type": kind, "data": data}
    return {"type": "image", "source": source}


def _decode_text(data: str, path: str) -> str:
    try:
        return b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        place = f"{path}.file_data"
        raise RequestError(f"`{place}` is not a text in UTF-8, in base64", place) from None


_PARTS = PartEncoders(_encode_text, _encode_image, _encode_file)
