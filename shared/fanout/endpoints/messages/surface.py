"""`POST /v1/messages`: the translation of Anthropic's Messages API."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from msgspec.structs import replace

from ...errors import RequestError, drop_tracebacks
from ...schema.chat import ORIGINAL_BODY, ORIGINAL_EVENTS
from ...schema.fanout import FanOutRequest, parse_request
from ..base import RequestBody, Surface, TranslatedRequest
from ..client_names import ClientNames, renamed
from .all_responses import combined_message
from .dropped_fields import DroppedFields
from .errors import error_body, error_status
from .events import MessageEncoder
from .field_names import INNER, NAMES
from .original import original_of
from .places import client_path, placed
from .request import ChatBody, chat_body, own_fields, stand_in
from .request_context import RequestContext
from .response import message_of_choice
from .threads import is_continued, thread_error
from .token_estimate import estimate_tokens

_TOOL = re.compile(r"tools\[(\d+)\]")


def read(body: RequestBody) -> TranslatedRequest:
    """
    The chat request of a Messages request; raises `RequestError` with the client's path.

    It carries the client's own request for vendors with this API. They judge themselves what they
    are sent, so an error of the translation is for the others.
    """
    value = body.value
    if not isinstance(value, dict):
        raise RequestError("the body must be a JSON object", None, "invalid_type")
    own = own_fields(body.headers)
    dropped = DroppedFields(takes_all=value.get("drop_params") is True)
    threaded, untranslatable = thread_error(value), None
    given = _given(value)
    try:
        request, made = _translated(body, dropped, own, given)
    except RequestError as error:
        if _is_gateways(error, own):
            raise
        untranslatable = drop_tracebacks(error)  # its frames hold the body
        error.is_renamed = True
        request, made = _parsed(stand_in(value, own), body, given)
    if request.shape == "list":
        raise RequestError("`fanout.shape` cannot be `list` here: leave it out", "fanout.shape")
    fault = threaded or untranslatable
    original = None
    if not _adds_schema(value) and not (fault and request.is_quoted):
        original = original_of(body, own, fault, threaded)
    if original is None and fault is not None:
        raise fault
    names = _names(value, given, made)
    conversations = tuple(placed(one, made, original, names) for one in request.conversations)
    request = replace(request, conversations=conversations, in_pieces=True)
    return TranslatedRequest(request, dropped.names, given)


def _translated(
    body: RequestBody, dropped: DroppedFields, own: frozenset[str], given: RequestContext
) -> tuple[FanOutRequest, ChatBody]:
    """The chat request; of a part of a conversation, only what the gateway reads."""
    value = body.value
    made = stand_in(value, own) if is_continued(value) else chat_body(value, dropped, own)
    return _parsed(made, body, given)


def _parsed(
    made: ChatBody, body: RequestBody, given: RequestContext
) -> tuple[FanOutRequest, ChatBody]:
    try:
        return parse_request(made.fields, len(body.data)), made
    except RequestError as error:
        if error.param is not None and _TOOL.match(error.param):
            _names(body.value, given, made).apply(error)
            raise
        raise _renamed(error, made) from None


def _names(value: dict[str, Any], given: RequestContext, made: ChatBody) -> ClientNames:
    return ClientNames(value, partial(_client_name, given, made), INNER)


def _is_gateways(error: RequestError, own: frozenset[str]) -> bool:
    """Whether an error is about the request as a whole or a field that no model gets."""
    return error.param is None or re.split(r"[.\[]", error.param, maxsplit=1)[0] in own


def _adds_schema(value: dict[str, Any]) -> bool:
    """Whether the gateway adds a schema to the request, which then is no longer the client's."""
    fanout = value.get("fanout")
    return isinstance(fanout, dict) and fanout.get("schema") is not None


def _given(value: dict[str, Any]) -> RequestContext:
    thinking = value.get("thinking")
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    config = value.get("output_config")
    given = value.get("stop_sequences")
    stops = given if isinstance(given, list) else []
    has_effort = isinstance(config, dict) and config.get("effort") is not None
    return RequestContext(
        thinks=kind in ("adaptive", "enabled"),
        stops=frozenset(one for one in stops if isinstance(one, str)),
        tokens=estimate_tokens(value) if value.get("stream") else 0,
        effort_field="output_config.effort" if has_effort else "thinking",
    )


def _client_field(request: TranslatedRequest, name: str) -> str:
    """The client's name of a field of the chat request that is left out."""
    given: RequestContext = request.given
    return given.effort_field if name == "reasoning_effort" else renamed(name, NAMES)


def _client_name(given: RequestContext, made: ChatBody, name: str) -> str:
    """The client's path of a field of the chat request, or of one of its tools."""
    if name == "reasoning_effort":
        return given.effort_field
    found = _TOOL.match(name)
    if found is None or int(found[1]) >= len(made.tool_paths):
        return renamed(name, NAMES)
    return made.tool_paths[int(found[1])] + name[found.end() :]


def _renamed(error: RequestError, made: ChatBody) -> RequestError:
    """The error of a chat request, with the client's name of the field."""
    if error.param is None:
        return error
    name = client_path(renamed(error.param, NAMES), made)
    if name == error.param:
        return error
    message = str(error).replace(f"`{error.param}`", f"`{name}`", 1)
    return type(error)(message, name, error.detail.code)


def respond(request: TranslatedRequest, body: Any) -> object:
    """The message of a chat completion."""
    given: RequestContext = request.given
    if request.request.combined:
        return combined_message(body["choices"], body.get("fanout") or {}, given)
    return _message(body, given)


def _message(body: Any, given: RequestContext) -> object:
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
