"""
Reads the parts of OpenAI's request for the codecs of vendors that have another API.

These are messages, content parts, tool calls and tools. What no such vendor supports is rejected or
dropped here, with the same words for all. What is sent to a vendor is in the vendor's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from msgspec import MsgspecError, Struct

from ..errors import RequestError
from ..schema.chat import Object
from ..schema.request import (
    AllowedTools,
    AssistantMessage,
    AssistantPart,
    AudioPart,
    ChatRequest,
    CustomTool,
    CustomToolCall,
    DeveloperMessage,
    FilePart,
    FileRef,
    Function,
    FunctionMessage,
    FunctionToolCall,
    ImagePart,
    ImageURL,
    InputAudio,
    JSONSchema,
    NamedCustom,
    NamedFunction,
    RefusalPart,
    SchemaFormat,
    SystemMessage,
    TextFormat,
    TextPart,
    ToolMessage,
    UserMessage,
    UserPart,
)
from ..wire import json
from .base import UnsupportedFields

Block: TypeAlias = dict[str, Any]
"""A JSON object of the vendor's."""

_ONLY_FUNCTIONS = "only functions can be called"


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
        path = f"messages[{index}]"
        if isinstance(message, FunctionMessage):
            unsupported.add(path, "use `tools` and a `tool` message")
        else:
            yield message, request.body["messages"][index], path


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
    together. A message without blocks is left out.
    """
    system: list[Block] = []
    turns: list[tuple[str, list[Block]]] = []
    for message, raw, path in each_message(request, unsupported):
        blocks = encode(message, raw, path)
        role = roles.get(raw["role"])
        if role is None:
            system.extend(blocks)
        elif turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        elif blocks:
            turns.append((role, [*blocks]))
    return system, turns


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
            if block := _encode_part(part, f"{path}.content[{index}]", unsupported, encoders):
                yield block, raw["content"][index]
    if assistant and assistant.refusal and (block := encoders.text(assistant.refusal)):
        yield block, {}


def _encode_part(
    part: UserPart | AssistantPart,
    path: str,
    unsupported: UnsupportedFields,
    encoders: PartEncoders,
) -> Block | None:
    match part:
        case TextPart(text=text) | RefusalPart(refusal=text):
            return encoders.text(text)
        case ImagePart(image_url=image):
            return encoders.image(image, f"{path}.image_url", unsupported)
        case FilePart(file=file) if encoders.file:
            if not (file.file_data or file.file_id):
                place = f"{path}.file"
                raise RequestError(f"`{place}` has neither `file_data` nor `file_id`", place)
            return encoders.file(file, f"{path}.file", unsupported)
        case AudioPart(input_audio=audio) if encoders.audio:
            return encoders.audio(audio, f"{path}.input_audio", unsupported)
        case FilePart():
            unsupported.add(path, "files are not supported")
        case AudioPart():
            unsupported.add(path, "audio is not supported")
    return None


def reject_low_detail(image: ImageURL, path: str, unsupported: UnsupportedFields) -> None:
    """For vendors whose models see every image in full."""
    if image.detail == "low":
        unsupported.add(f"{path}.detail", "images are always seen in full")


def read_data_uri(uri: str) -> tuple[str, str] | None:
    """`data:image/png;base64,AAAA` -> `("image/png", "AAAA")`; `None` if it is not base64."""
    head, comma, data = uri.partition(",")
    if not (comma and head.startswith("data:") and head.endswith(";base64")):
        return None
    return head.removeprefix("data:").split(";")[0].lower(), data


def split_data_uri(uri: str, path: str) -> tuple[str, str]:
    """The same; `RequestError` if it is not base64."""
    parts = read_data_uri(uri)
    if parts is None:
        raise RequestError(f"`{path}` is not a base64 data URI (`data:TYPE;base64,DATA`)", path)
    return parts


# ---- tool calls and tools ----


def function_calls(
    message: AssistantMessage, raw: Object, path: str, unsupported: UnsupportedFields
) -> Iterator[tuple[FunctionToolCall, Object, str]]:
    """The earlier function calls of a message, each with its JSON and its path."""
    for index, call in enumerate(message.tool_calls or ()):
        place = f"{path}.tool_calls[{index}]"
        if isinstance(call, CustomToolCall):
            unsupported.add(place, _ONLY_FUNCTIONS)
        else:
            yield call, raw["tool_calls"][index], place


def read_arguments(call: FunctionToolCall, path: str) -> dict[str, Any]:
    """The arguments as a JSON object, which OpenAI's request has as a string."""
    try:
        return json.decode(call.function.arguments or "{}", type=dict[str, Any])
    except (MsgspecError, RecursionError) as error:
        place = f"{path}.function.arguments"
        raise RequestError(f"`{place}` is not a JSON object: {error}", place) from None


def function_tools(
    request: ChatRequest, unsupported: UnsupportedFields
) -> Iterator[tuple[Function, Object, str]]:
    """The functions that the model may call, each with its tool's JSON and path."""
    for index, tool in enumerate(request.tools or ()):
        path = f"tools[{index}]"
        if isinstance(tool, CustomTool):
            unsupported.add(path, _ONLY_FUNCTIONS)
        else:
            yield tool.function, request.body["tools"][index], path


def object_schema(function: Function) -> Block:
    """A function's parameters as a schema of an object, even if it has none."""
    return {"type": "object", **(function.parameters or {"properties": {}})}


class Choice(Struct, frozen=True):
    """
    OpenAI's `tool_choice`. `mode` is `None` if the request has none.

    `function` is the only one to call; `allowed` are the names of those that may be called.
    """

    mode: Literal["auto", "none", "required"] | None = None
    function: str | None = None
    allowed: frozenset[str] | None = None

    def allows(self, name: str) -> bool:
        return self.allowed is None or name in self.allowed


def read_choice(request: ChatRequest, unsupported: UnsupportedFields) -> Choice:
    match request.tool_choice:
        case NamedFunction(function=function):
            return Choice("required", function.name)
        case AllowedTools(required=required, names=names):
            return Choice("required" if required else "auto", allowed=names)
        case NamedCustom():
            unsupported.add("tool_choice", _ONLY_FUNCTIONS)
            return Choice()
        case mode:
            return Choice(mode)


# ---- response format ----


def read_schema(request: ChatRequest, unsupported: UnsupportedFields) -> JSONSchema | None:
    """The schema of `response_format`, for vendors that support no other format than text."""
    match request.response_format:
        case None | TextFormat():
            return None
        case SchemaFormat(json_schema=asked) if asked.schema is not None:
            return asked
        case _:
            unsupported.add("response_format", "it needs a `json_schema` with a `schema`")
            return None


def describe_schema(asked: JSONSchema) -> Block:
    """The schema itself, with the format's description unless it has its own."""
    about = {"description": asked.description} if asked.description else {}
    return {**about, **(asked.schema or {})}
