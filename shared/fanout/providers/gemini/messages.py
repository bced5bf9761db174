"""Messages as Google has them: system texts apart, and turns of a user and a model."""

from __future__ import annotations

from typing import Any, TypeAlias, assert_never

from msgspec import MsgspecError, Struct, field

from ...errors import RequestError
from ...schema.chat import Object
from ...schema.request import (
    AnyMessage,
    AssistantMessage,
    AudioPart,
    ChatRequest,
    DeveloperMessage,
    FilePart,
    FunctionMessage,
    ImagePart,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
    UserPart,
)
from ...wire import json
from ..base import Losses
from .calls import SKIP_SIGNATURE, encode_call, signature_in, told_id
from .media import encode_audio, encode_file, encode_image

# `reasoning_content` and `extra_content` are what our own answers carry: callers send them back.
MESSAGE_FIELDS = frozenset(
    {
        "role",
        "content",
        "refusal",
        "name",
        "tool_calls",
        "tool_call_id",
        "reasoning_content",
        "extra_content",
    }
)

Parts: TypeAlias = list[dict[str, Any]]


class Conversation(Struct):
    """What has been put together so far; `names` knows the function of each call by its id."""

    losses: Losses
    has_levels: bool
    system: Parts = field(default_factory=list)
    turns: list[tuple[str, Parts]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def say(self, speaker: str, parts: Parts) -> None:
        """Add to the turn of whoever speaks already: the results of one step must be one turn."""
        if self.turns and self.turns[-1][0] == speaker:
            self.turns[-1][1].extend(parts)
        else:
            self.turns.append((speaker, list(parts)))

    @property
    def contents(self) -> list[dict[str, Any]]:
        """The turns; whatever is not the model's is called the user's, a tool's result too."""
        return [
            {"role": "model" if speaker == "assistant" else "user", "parts": parts}
            for speaker, parts in self.turns
        ]


def encode_messages(request: ChatRequest, losses: Losses, *, has_levels: bool) -> Conversation:
    """Every message in its place; system and developer texts go before all of them."""
    talk = Conversation(losses, has_levels)
    messages = zip(request.messages, request.body["messages"], strict=True)
    for index, (message, raw) in enumerate(messages):
        _encode_message(message, raw, f"messages[{index}]", talk)
    return talk


def _encode_message(message: AnyMessage, raw: Object, place: str, talk: Conversation) -> None:
    # On a tool's message `name` repeats what its call says; on any other it tells speakers apart.
    if raw.get("name") and not isinstance(message, ToolMessage | FunctionMessage):
        talk.losses.lose(f"{place}.name")
    match message:
        case SystemMessage() | DeveloperMessage():
            talk.system.extend(_texts(message.content))
        case UserMessage():
            talk.say("user", _encode_user(message.content, place, talk))
        case AssistantMessage():
            talk.say("assistant", _encode_assistant(message, raw, place, talk))
        case ToolMessage():
            talk.say("tool", [_encode_result(message, place, talk)])
        case FunctionMessage():
            talk.losses.lose(place, "the role `function` is gone, write a `tool` message")
        case _:
            assert_never(message)


def _texts(content: str | list[TextPart]) -> Parts:
    return [{"text": content}] if isinstance(content, str) else [{"text": p.text} for p in content]


def _encode_user(content: str | list[UserPart], place: str, talk: Conversation) -> Parts:
    if isinstance(content, str):
        return [{"text": content}]
    parts = [
        _encode_part(part, f"{place}.content[{index}]", talk) for index, part in enumerate(content)
    ]
    return [part for part in parts if part is not None]


def _encode_part(part: UserPart, place: str, talk: Conversation) -> dict[str, Any] | None:
    match part:
        case TextPart():
            return {"text": part.text}
        case ImagePart():
            return encode_image(part.image_url, place, talk.losses, has_levels=talk.has_levels)
        case AudioPart():
            return encode_audio(part)
        case FilePart():
            return encode_file(part.file, place, talk.losses)
        case _:
            assert_never(part)


def _encode_assistant(
    message: AssistantMessage, raw: Object, place: str, talk: Conversation
) -> Parts:
    thought = raw.get("reasoning_content")
    parts: Parts = [{"text": thought, "thought": True}] if thought else []
    said = _said(message)
    if said and (signature := signature_in(raw)):
        said[-1] = {**said[-1], "thoughtSignature": signature}
    calls: Parts = []
    for index, call in enumerate(message.tool_calls or ()):
        spot = f"{place}.tool_calls[{index}]"
        if part := encode_call(call, raw["tool_calls"][index], spot, talk.losses):
            talk.names[call.id] = part["functionCall"]["name"]
            calls.append(part)
    if calls and talk.has_levels and "thoughtSignature" not in calls[0]:
        calls[0]["thoughtSignature"] = SKIP_SIGNATURE
    return [*parts, *said, *calls]


def _said(message: AssistantMessage) -> Parts:
    """The text of an answer; a refusal is what the assistant said, too."""
    content = message.content or message.refusal or []
    if isinstance(content, str):
        return [{"text": content}]
    return [
        {"text": part.refusal if isinstance(part, RefusalPart) else part.text} for part in content
    ]


def _encode_result(message: ToolMessage, place: str, talk: Conversation) -> dict[str, Any]:
    """A call's result. Google asks for the function's name, which only the call knows."""
    name = talk.names.get(message.tool_call_id)
    if name is None:
        said = (
            f"`{place}.tool_call_id`: no earlier message has a tool call `{message.tool_call_id}`"
        )
        raise RequestError(said, f"{place}.tool_call_id")
    response = {"name": name, "response": _encode_response(message.content)}
    return {"functionResponse": told_id(message.tool_call_id) | response}


def _encode_response(content: str | list[TextPart]) -> dict[str, Any]:
    """Google takes a JSON object; text that is none is its `output`."""
    text = content if isinstance(content, str) else "".join(part.text for part in content)
    try:
        value = json.decode(text) if text.lstrip().startswith("{") else text
    except (MsgspecError, RecursionError):
        value = text
    return value if isinstance(value, dict) else {"output": value}
