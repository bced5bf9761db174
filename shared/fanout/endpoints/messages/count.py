"""`POST /v1/messages/count_tokens`: how many tokens a prompt has, counted by its vendor or here."""

from __future__ import annotations

from msgspec.structs import replace

from ...errors import RequestError
from ...schema.fanout import FanOutRequest
from ...secret import HiddenRepr
from ..base import RequestBody
from .surface import read
from .token_estimate import estimate_tokens

API = "messages/count_tokens"


class CountRequest(HiddenRepr, frozen=True):
    """The prompt as a chat request, which has the client's own, and an estimate of its tokens."""

    request: FanOutRequest
    tokens: int


def read_count(body: RequestBody) -> CountRequest:
    """A client's request; raises `RequestError` with the name of the field."""
    value = body.value
    if not isinstance(value, dict):
        raise RequestError("the body must be a JSON object", None, "invalid_type")
    found = read(RequestBody({"max_tokens": 1, **value}, body.data, body.headers))
    request = found.request
    chat = request.conversations[0]
    if chat.original is not None:
        chat = replace(chat, original=replace(chat.original, api=API))
    return CountRequest(replace(request, conversations=(chat,)), estimate_tokens(value))
