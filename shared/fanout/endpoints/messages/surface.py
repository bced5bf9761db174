"""`POST /v1/messages`: the translation of Anthropic's Messages API."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ...errors import RequestError
from ...schema.chat import ORIGINAL_BODY, ORIGINAL_EVENTS
from ...schema.fanout import parse_request
from ...schema.request import ChatRequest, MessagePosition
from ..base import RequestBody, Surface, TranslatedRequest
from .all_responses import combined_message
from .errors import error_body, error_status
from .events import MessageEncoder
from .given import Given
from .losses import Losses
from .original import original_of
from .request import chat_body, own_fields
from .response import message_of_choice
from .token_estimate import estimate_tokens


def read(body: RequestBody) -> TranslatedRequest:
    """The chat request of a Messages request; raises `RequestError` with the client's path."""
    value = body.value
    if not isinstance(value, dict):
        raise RequestError("the body must be a JSON object", None, "invalid_type")
    losses = Losses()
    own = own_fields(body.headers)
    chat = chat_body(value, losses, own)
    has_system = bool(value.get("system"))
    try:
        request = parse_request(chat, len(body.data))
    except RequestError as error:
        raise _renamed(error, shifted=has_system) from None
    if request.shape == "list":
        raise RequestError("`fanout.shape` cannot be `list` here: leave it out", "fanout.shape")
    conversations = tuple(_placed(one, shifted=has_system) for one in request.conversations)
    if not _adds_schema(value) and (original := original_of(body, own)) is not None:
        conversations = tuple(replace(one, original=original) for one in conversations)
    request = replace(request, conversations=conversations, in_pieces=True)
    return TranslatedRequest(request, losses.names, _given(value))


def _adds_schema(value: dict[str, Any]) -> bool:
    """Whether the gateway adds a schema to the request, which then is no longer the client's."""
    fanout = value.get("fanout")
    return isinstance(fanout, dict) and fanout.get("schema") is not None


def _given(value: dict[str, Any]) -> Given:
    thinking = value.get("thinking")
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    config = value.get("output_config")
    has_effort = isinstance(config, dict) and config.get("effort") is not None
    return Given(
        thinks=kind in ("adaptive", "enabled"),
        stops=frozenset(value.get("stop_sequences") or ()),
        tokens=estimate_tokens(value) if value.get("stream") else 0,
        effort_field="output_config.effort" if has_effort else "thinking",
    )


def _placed(chat: ChatRequest, *, shifted: bool) -> ChatRequest:
    """The conversation, whose first message is the client's `system`."""
    if not shifted:
        return chat
    places = chat.places or [MessagePosition(f"messages[{n}]") for n in range(len(chat.messages))]
    return replace(chat, places=tuple(_moved(place) for place in places))


def _moved(place: MessagePosition) -> MessagePosition:
    return replace(place, path=_client_path(place.path))


def _client_path(path: str) -> str:
    """The client's path of a field, where `messages[0]` of the chat request is its `system`."""
    if not path.startswith("messages["):
        return path
    number, _, rest = path.removeprefix("messages[").partition("]")
    if number == "0":
        return "system" + rest.removeprefix(".content")
    return f"messages[{int(number) - 1}]{rest}" if number.isdecimal() else path


NAMES = {
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "reasoning_effort": "output_config.effort",
    "response_format": "output_config.format",
    "stop": "stop_sequences",
    "user": "metadata.user_id",
}
"""The client's names of fields whose names in a chat request are others."""


def _client_field(request: TranslatedRequest, name: str) -> str:
    """The client's name of a field of the chat request that is left out."""
    given: Given = request.given
    return given.effort_field if name == "reasoning_effort" else NAMES.get(name, name)


def _renamed(error: RequestError, *, shifted: bool) -> RequestError:
    """The error of a chat request, with the client's name of the field."""
    if error.param is None:
        return error
    name = NAMES.get(error.param, error.param)
    name = _client_path(name) if shifted else name
    if name == error.param:
        return error
    message = str(error).replace(f"`{error.param}`", f"`{name}`", 1)
    return type(error)(message, name, error.detail.code)


def respond(request: TranslatedRequest, body: Any) -> object:
    """The message of a chat completion."""
    given: Given = request.given
    if request.request.combined:
        return combined_message(body["choices"], body.get("fanout") or {}, given)
    return _message(body, given)


def _message(body: Any, given: Given) -> object:
    """One model's message; a vendor's own is passed on."""
    report = {"fanout": body["fanout"]} if "fanout" in body else {}
    if ORIGINAL_BODY in body or ORIGINAL_EVENTS in body:
        from ..original_bytes import relayed  # only models with this API need it
        from .relay import joined_events

        return relayed(body, {"model": body["model"], **report}, joined_events)
    choice = body["choices"][0]
    message = message_of_choice(choice, body, thinks=given.thinks, stops=given.stops)
    return message | report


LOST = (
    "annotations",
    "audio",
    "citations",
    "context",
    "executed_tools",
    "images",
    "related_questions",
    "search_results",
)
"""What other vendors' messages and responses have, and Anthropic's message has no place for."""

SURFACE = Surface(
    read=read,
    respond=respond,
    encoder=MessageEncoder,
    error_body=error_body,
    headers=lambda request_id: {"request-id": request_id},
    status=error_status,
    field=_client_field,
    lost=lambda part: [name for name in LOST if part.get(name)],
    has_own_metadata=True,
)
