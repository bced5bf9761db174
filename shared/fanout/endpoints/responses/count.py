"""`POST /v1/responses/input_tokens`: the tokens of a prompt, counted by its vendor or here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base import RequestBody
from ..token_counts import CountRequest, count_request, estimate_prompt
from .surface import read

API = "responses/input_tokens"

_PROMPT = ("input", "instructions", "text", "tools")

_FILES = {
    "computer_screenshot": ("file_id", "image_url"),
    "image_generation_call": ("result",),
    "input_file": ("file_data", "file_id", "file_url"),
    "input_image": ("file_id", "image_url"),
}
"""The members that hold a file, by the type of a part or an item: openai-python 3.54.0, 2026-11."""


def read_count(body: RequestBody) -> CountRequest:
    """A client's request; raises `RequestError` with the name of the field."""
    request = read(body).request
    prompt = {name: body.value[name] for name in _PROMPT if name in body.value}
    return count_request(request, API, estimate_prompt(prompt, _files))


def _files(part: Mapping[str, Any]) -> tuple[str, ...]:
    return _FILES.get(str(part.get("type")), ())
