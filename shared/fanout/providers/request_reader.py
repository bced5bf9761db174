"""
Reads the parts of OpenAI's request for the codecs of vendors that have another API.

These are messages, content parts and tool calls. What no such vendor supports is rejected or
dropped here, with the same words for all. What is sent to a vendor is in the vendor's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import MsgspecError, Struct
from msgspec.structs import replace

from ..errors import RequestError
from ..schema.chat import Object
from ..schema.messages import (
    AssistantMessage,
    AssistantPart,
    AudioPart,
    CustomToolCall,
    DeveloperMessage,
    FilePart,
    FileRef,
    FunctionCall,
    FunctionMessage,
    FunctionToolCall,
    ImagePart,
    ImageURL,
    InputAudio,
    OtherMessage,
    OtherPart,
    OtherToolCall,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolMessage,
    ToolPart,
    UserMessage,
    UserPart,
)
from ..schema.request import ChatRequest
from ..wire import json
from .calls import custom_arguments, fit_arguments
from .fields import UnsupportedFields

Block: TypeAlias = dict[str, Any]
"""A JSON object of the vendor's."""

ONLY_FUNCTIONS = "only functions can be called"


def without_none(fields: Object) -> Block:
    """`fields` without those that are `None`."""
    return {name: value for name, value in fields.items() if value is not None}


# ---- messages ----

ChatMessage: TypeAlias = (
    SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage
)

EncodeMessage: TypeAlias = Callable[[ChatMessage, Object, str], Sequence[Block]]


def each_message(
    request: ChatRequest, unsupported: UnsupportedFields
) -> Iterator[tuple[ChatMessage, Object, str]]:
    """Each message, with its JSON as the client wrote it and its path, such as `messages[0]`."""
    for index, message in enumerate(request.messages):
        # `check_fields` has replaced the former, and rejected the latter
        if not isinstance(message, FunctionMessage | OtherMessage):
            raw = request.body["messages"][index]
            yield message, raw, unsupported.path(raw, index)


ROLES_WITHOUT_TOOL = {"user": "user", "assistant": "assistant", "tool": "user"}
"""The roles of a vendor to which the results of tools are the user's."""


def split_turns(
    request: ChatRequest,
    unsupported: UnsupportedFields,
    roles: Mapping[str, str],
    encode: EncodeMessage,
) -> tuple[list[Block], list[tuple[str, list[Block]]]]:
    """
    The blocks of all system messages, and the turns of the conversation: (role, blocks).

    `roles` has the vendor's name of each role; a role without one is of a system message.
    Neighbors with one role become one turn, so that the results of parallel tool calls stay
    together. A message without blocks is left out, and noted.

    A conversation of system messages alone is the user's: no vendor responds to none.
    """
    system: list[Block] = []
    turns: list[tuple[str, list[Block]]] = []
    for message, raw, path in each_message(request, unsupported):
        blocks = encode(message, raw, path)
        if not blocks:
            unsupported.count("messages[].content")
        role = roles.get(raw["role"])
        if role is None:
            system.extend(blocks)
        elif turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        elif blocks:
            turns.append((role, [*blocks]))
    if turns:
        return system, turns
    if not system:
        raise RequestError("`messages` has nothing but empty messages", "messages")
    unsupported.note("messages[].role")
    return [], [("user", system)]


def open_with_user(
    turns: list[tuple[str, list[Block]]], block: Block, unsupported: UnsupportedFields
) -> list[tuple[str, list[Block]]]:
    """`turns` with a user's turn of this `block` before them if an assistant's is the first."""
    if turns[0][0] == "user":
        return turns
    unsupported.note("messages[0].role")
    return [("user", [block]), *turns]


def system_as_user(
    system: list[Block], turns: list[tuple[str, list[Block]]], unsupported: UnsupportedFields
) -> list[tuple[str, list[Block]]]:
    """
    `turns`, whose first user's turn begins with the `system` prompt: some models have none.

    Gemma: ai.google.dev/gemma/docs/core/prompt-structure, 2026-11.
    """
    unsupported.note("messages[].role")
    if turns[0][0] != "user":
        return [("user", system), *turns]
    return [("user", [*system, *turns[0][1]]), *turns[1:]]


# ---- content ----


class PartEncoders(Struct, frozen=True):
    """
    How a vendor writes each type of content part. A type without an encoder is not supported.

    The arguments of an encoder are the part's value, its path, and where it reports what the vendor
    does not support. A text encoder may return `None` for a text that the vendor rejects as empty.
    """

    text: Callable[[str], Block | None]
    image: Callable[[ImageURL, str, UnsupportedFields], Block | None]
    file: Callable[[FileRef, str, UnsupportedFields], Block | None] | None = None
    audio: Callable[[InputAudio, str, UnsupportedFields], Block | None] | None = None


def encode_content(
    message: ChatMessage,
    raw: Object,
    path: str,
    unsupported: UnsupportedFields,
    encoders: PartEncoders,
) -> Iterator[tuple[Block, Object]]:
    """
    A message's content and refusal as blocks, each with the JSON of its part.

    The JSON has the part's fields that are not OpenAI's (`cache_control`). It is empty if the
    content is one string.
    """
    assistant = message if isinstance(message, AssistantMessage) else None
    if isinstance(content := message.content, str):
        # Beside tool calls, an assistant's content may be empty: then it is no block.
        if (content or not assistant) and (block := encoders.text(content)):
            yield block, {}
    else:
        for index, part in enumerate(content or ()):
            if assistant and not isinstance(part, TextPart | RefusalPart):
                from .field_checks import count_part  # few conversations have one

                count_part(raw["content"][index].get("type"), unsupported)
                continue
            place = unsupported.part_path(raw, path, index)
            if block := _encode_part(part, place, unsupported, encoders):
                yield block, raw["content"][index]
    if assistant and assistant.refusal and (block := encoders.text(assistant.refusal)):
        yield block, {}
    if assistant and assistant.audio:
        text = _transcript(assistant, path, unsupported)
        if text and not content and (block := encoders.text(text)):
            yield block, {}


def _transcript(message: AssistantMessage, path: str, unsupported: UnsupportedFields) -> str:
    """The words of an earlier spoken response; only OpenAI has the sound itself, by its id."""
    audio = message.audio or {}
    text = audio.get("transcript")
    if isinstance(text, str) or message.content or "id" not in audio:
        unsupported.note("messages[].audio")
        return text if isinstance(text, str) else ""
    unsupported.add(f"{path}.audio", "give its `transcript` as well")
    return ""


def _encode_part(
    part: UserPart | AssistantPart | ToolPart,
    path: str,
    unsupported: UnsupportedFields,
    encoders: PartEncoders,
) -> Block | None:
    match part:
        case TextPart(text=text) | RefusalPart(refusal=text):
            return encoders.text(text)
        case ImagePart(image_url=image):
            return encoders.image(_with_uri(image), f"{path}.image_url", unsupported)
        case FilePart(file=file) if encoders.file:
            if not (file.file_data or file.file_id):
                place = f"{path}.file"
                raise RequestError(f"`{place}` has neither `file_data` nor `file_id`", place)
            if file.file_data:
                from .media_types import standard_uri  # the same

                file = replace(file, file_data=standard_uri(file.file_data))
            return encoders.file(file, f"{path}.file", unsupported)
        case AudioPart(input_audio=audio) if encoders.audio:
            return encoders.audio(audio, f"{path}.input_audio", unsupported)
        case FilePart():
            unsupported.add(path, "files are not supported")
        case AudioPart():
            unsupported.add(path, "audio is not supported")
        case OtherPart(kind=kind):
            unsupported.add(path, f"`{kind[:32]}` is not supported")
    return None


def _with_uri(image: ImageURL) -> ImageURL:
    """The image, whose URL is a data URI also if it was given as bare base64."""
    from .media_types import standard_uri  # many conversations have no media

    uri = standard_uri(image.url)
    return image if uri is image.url else replace(image, url=uri)


def reject_low_detail(image: ImageURL, path: str, unsupported: UnsupportedFields) -> None:
    """For vendors whose models see every image in full."""
    if image.detail == "low":
        unsupported.add(f"{path}.detail", "images are always seen in full")


# ---- tool calls ----


def function_calls(
    message: AssistantMessage, raw: Object, path: str, unsupported: UnsupportedFields
) -> Iterator[tuple[FunctionToolCall, Object, str]]:
    """The earlier function calls of a message, each with its JSON and its path."""
    for index, call in enumerate(message.tool_calls or ()):
        place = f"{path}.tool_calls[{index}]"
        if isinstance(call, OtherToolCall):
            continue  # `check_fields` has left these out
        if isinstance(call, CustomToolCall):
            unsupported.note("messages[].tool_calls[].custom")
            arguments = custom_arguments(call.custom.input)
            call = FunctionToolCall(  # noqa: PLW2901
                id=call.id, function=FunctionCall(name=call.custom.name, arguments=arguments)
            )
        yield call, raw["tool_calls"][index], place


def read_arguments(call: FunctionToolCall, unsupported: UnsupportedFields) -> dict[str, Any]:
    """
    The arguments as a JSON object, which OpenAI's request has as a string.

    Those that no object of ours can hold, or that are nested too deeply to be sent inside another
    one, are the value of `arguments`.
    """
    arguments = call.function.arguments
    given = _read_object(arguments or "{}")
    if given is None:
        given = _read_object(fit_arguments(arguments, unsupported))
    if given is None:
        unsupported.note("messages[].tool_calls[].function.arguments")
        return {"arguments": arguments}
    return given


def _read_object(text: str) -> dict[str, Any] | None:
    """The object that a text is; `None` if it is none, or too large a number or depth is in it."""
    try:
        found = json.decode(text, type=dict[str, Any])
    except (MsgspecError, RecursionError):
        return None
    is_flat = text.count("{") + text.count("[") <= json.MAX_DEPTH
    return found if is_flat or not json.is_too_deep(found) else None
