"""JSON values to checked values, with errors that name the field the way a caller writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from ..errors import RequestError
from .request import ChatRequest, Conversation

T = TypeVar("T")

# msgspec ends its messages with the place: "Expected `str`, got `int` - at `$.messages[0].role`".
_PLACE = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")
_MISSING = re.compile(r"^Object missing required field `([^`]*)`")


def convert(value: object, kind: type[T], *, strict: bool = True) -> T:
    """`value` as a `kind`; `RequestError` with the field's path in `param` if it is not one."""
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise as_request_error(str(error)) from None
    except RecursionError:
        raise RequestError("the request is nested too deeply", None) from None


def as_request_error(said: str) -> RequestError:
    """A message of msgspec as an error of ours, its `$.a[0].b` turned to `a[0].b`."""
    place = _PLACE.search(said)
    message = said[: place.start()] if place else said
    param = place[1] if place else ""
    if missing := _MISSING.match(message):
        name = f"{param}.{missing[1]}" if param else missing[1]
        return RequestError(f"`{name}` is missing", name, "missing_required_parameter")
    message = message.replace("array", "list").replace("object", "JSON object")
    if not param:
        return RequestError(message, None, "invalid_type")
    return RequestError(f"`{param}`: {message[:1].lower()}{message[1:]}", param)


def parse_chat(body: Mapping[str, Any]) -> ChatRequest:
    """One conversation's request; `body` holds only what is addressed to the model."""
    return convert({**body, "body": body}, ChatRequest)


def like(request: ChatRequest, body: Mapping[str, Any]) -> ChatRequest:
    """The same request with the messages of `body`, in which nothing else is different."""
    messages = convert({"messages": body["messages"]}, Conversation).messages
    return msgspec.structs.replace(request, messages=messages, body=body)
