"""`POST /v1/messages/count_tokens`: how many tokens a prompt has, counted by its vendor or here."""

from __future__ import annotations

from msgspec.structs import replace

from ...errors import RequestError
from ..base import RequestBody
from ..token_counts import CountRequest, count_request
from .surface import read
from .token_estimate import estimate_tokens

API = "messages/count_tokens"


def read_count(body: RequestBody) -> CountRequest:
    """A client's request; raises `RequestError` with the name of the field."""
    value = body.value
    if not isinstance(value, dict):
        raise RequestError("the body must be a JSON object", None, "invalid_type")
    found = read(replace(body, value={"max_tokens": 1, **value}))
    return count_request(found.request, API, estimate_tokens(value))
