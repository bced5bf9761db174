"""
The error of a failed response, with the codes that clients act on.

Codex shows `insufficient_quota`, `context_length_exceeded`, `invalid_prompt`, `model_not_found` and
`server_is_overloaded` at once, and waits after `rate_limit_exceeded` as the message says; after
any other code it sends the request again. Codex 0.171.0, recorded 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from ...errors import (
    AllFailed,
    ContentFiltered,
    ContextLengthExceeded,
    ModelNotFound,
    Overloaded,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    Rejected,
    RequestError,
    UnknownModel,
    detail_of,
)
from ...schema.error import error_body
from ..client_names import renamed

_OVERLOADED = 503

_CODES: tuple[tuple[type[Exception], str], ...] = (
    (QuotaExceeded, "insufficient_quota"),
    (RateLimited, "rate_limit_exceeded"),
    (ContextLengthExceeded, "context_length_exceeded"),
    (ModelNotFound, "model_not_found"),
    (UnknownModel, "model_not_found"),
    (ContentFiltered, "invalid_prompt"),
    (Rejected, "invalid_prompt"),
    (RequestError, "invalid_prompt"),
)


_PARAMS = {
    "logprobs": "top_logprobs",
    "max_completion_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "response_format.json_schema": "text.format",
    "response_format": "text.format",
    "tool_choice.allowed_tools": "tool_choice",
    "verbosity": "text.verbosity",
}
"""A chat completion's fields, and this API's; a longer name is before what it begins with."""


_LEFT_OUT = {
    "messages[].annotations": "input[].content[].annotations",
    "messages[].content[].file": "input[].content[].input_file",
    "messages[].content[].image_url": "input[].content[].input_image",
    "messages[].extra_content": "input[].reasoning",
    "messages[].images": "input[].image_generation_call",
    "messages[].reasoning": "input[].reasoning",
    "messages[].reasoning_content": "input[].reasoning",
    "messages[].refusal": "input[].content[].refusal",
    "messages[].thinking_blocks": "input[].reasoning",
    "messages[].tool_call_id": "input[].call_id",
    "messages[].tool_calls[].function": "input[]",
    "messages[].tool_calls[].id": "input[].call_id",
    "messages[].tool_calls[]": "input[]",
    "messages[].tool_calls": "input[].function_call",
    "messages[]": "input[]",
    "messages[0]": "input[]",
    "tools[].function": "tools[]",
}
"""
What is left out of a chat completion's messages and tools, and this API's name of it.

A longer name is before what it begins with.
"""


def left_out_field(name: str) -> str:
    """The client's name of what is left out of the chat completion's request."""
    return client_field(renamed(name, _LEFT_OUT))


def client_field(param: str) -> str:
    """The client's name of a field of the chat completion's request that was made of its own."""
    return renamed(param, _PARAMS)


def client_error_body(error: Exception) -> dict[str, Any]:
    """OpenAI's error object; an error of a later check names the client's field, too."""
    body = error_body(error)
    found = body["error"]
    if isinstance(param := found["param"], str) and (theirs := client_field(param)) != param:
        found["message"] = found["message"].replace(f"`{param}`", f"`{theirs}`")
        found["param"] = theirs
    return body


class NoCounterpart(RequestError):
    """The request has what only a vendor with this API can do, such as a hosted tool."""

    is_renamed = True


def response_error(error: Exception) -> dict[str, str]:
    """`{"code", "message"}` of a failed response."""
    message = detail_of(error).message
    code = _code(error)
    pause = error.retry_after if isinstance(error, ProviderError) else None
    if code == "rate_limit_exceeded" and pause is not None:
        message = f"{message}. Please try again in {ceil(pause)}s."
    return {"code": code, "message": message}


def code_of(error: Mapping[str, Any]) -> str:
    """The code of an error object, of one of several models; a rejection may have none."""
    if isinstance(code := error.get("code"), str) and code:
        return code
    is_rejected = error.get("type") == "invalid_request_error"
    return "invalid_prompt" if is_rejected else "server_error"


def _code(error: Exception) -> str:
    if isinstance(error, AllFailed):
        codes = {_code(cause.error) for cause in error.failures}
        return codes.pop() if len(codes) == 1 else "server_error"
    if isinstance(error, Overloaded) and error.status == _OVERLOADED:
        return "server_is_overloaded"
    return next((code for kind, code in _CODES if isinstance(error, kind)), "server_error")


def error_event(error: Exception) -> dict[str, Any]:
    """The `error` event of a stream, without its number."""
    detail = detail_of(error)
    failed = response_error(error)
    return {
        "type": "error",
        "code": failed["code"],
        "message": failed["message"],
        "param": detail.param,
    }
