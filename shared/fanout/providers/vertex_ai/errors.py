"""
Error bodies: Google's, and for Claude also Anthropic's.

https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/api-errors
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ...errors import ErrorDetail
from ..anthropic.errors import explain as explain_anthropic
from ..base import WireError, read_error
from ..gemini.errors import explain as explain_google


class _Head(Struct, frozen=True):
    """What distinguishes the two: Anthropic's has a `type`, Google's a `code` inside `error`."""

    type: str | None = None
    error: dict[str, Any] | None = None


def explain(status: int, body: bytes) -> ErrorDetail:
    """Read an error body of either form."""
    head = read_error(body, _Head)
    if head is not None and head.type == "error":
        return explain_anthropic(status, body)
    return explain_google(status, body)


def raise_google_error(body: bytes) -> None:
    """Raise Google's error, inside a response that began as a success."""
    head = read_error(body, _Head)
    if head is not None and head.type is None and head.error:
        code = head.error.get("code")
        status = code if isinstance(code, int) and code else 502
        raise WireError(status, explain_google(status, body))
