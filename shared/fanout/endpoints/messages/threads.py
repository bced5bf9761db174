"""
Conversations that Anthropic keeps (threads), so that a request has only its new messages.

Its SDK's tool runner asks for one with `thread`. Another model, or another account, does not have
the earlier messages: these errors make the SDK send all of them. Source: anthropic-sdk-python
2.12, `lib/threads/_thread_state.py` and `types/thread_*_error_details.py`, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import RequestError

FIELD = "thread"

NOT_FOUND = 404


class ThreadError(RequestError):
    """No vendor that may get the request keeps its thread; `details` are those that SDKs read."""

    def __init__(self, message: str, error_code: str, status: int = 400) -> None:
        super().__init__(message, FIELD, error_code)
        self.status = status
        self.details = {"error_code": error_code}


def thread_error(body: Mapping[str, Any]) -> ThreadError | None:
    """The error of a request with a `thread`, if not exactly one account may get it."""
    thread = body.get(FIELD)
    if thread is None:
        return None
    if is_continued(body):
        return ThreadError(
            "`thread`: no earlier message is kept here for this model: send the whole conversation",
            "thread_not_found",
            NOT_FOUND,
        )
    return ThreadError(
        "`thread` needs one model of Anthropic's API at one account, without fallbacks: send the"
        " whole conversation without it",
        "thread_unsupported_request",
    )


def is_continued(body: Mapping[str, Any]) -> bool:
    """Whether the request has only the messages after those that its vendor keeps."""
    thread = body.get(FIELD)
    return isinstance(thread, dict) and thread.get("type") == "continue"
