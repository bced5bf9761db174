"""`POST /v1/responses/input_tokens`: the tokens of a prompt, counted by its vendor or here."""

from __future__ import annotations

from typing import Any

from ..base import RequestBody
from ..token_counts import CountRequest, count_request, estimate_prompt
from .surface import read

API = "responses/input_tokens"

_PROMPT = ("input", "instructions", "text", "tools")


def read_count(body: RequestBody) -> CountRequest:
    """A client's request; raises `RequestError` with the name of the field."""
    request = read(body).request
    prompt = {name: body.value[name] for name in _PROMPT if name in body.value}
    return count_request(request, API, estimate_prompt(prompt, _is_media))


def _is_media(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("data:")
