"""Error bodies of OpenAI and of the many that nearly copy it. Knows nothing of statuses."""

from __future__ import annotations

from typing import Any

from msgspec import MsgspecError

from ...errors import ErrorDetail
from ...wire import json

NO_WORDS = "the provider gave no reason"


def explain(status: int, body: bytes) -> ErrorDetail:
    """
    Read `{"error": {…}}`, `{"error": "…"}`, `{"message": …}` or `{"detail": …}`.

    A body that is none of these (a proxy's HTML page) is not repeated to anyone.
    """
    try:
        value = json.decode(body)
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        value = None
    return explain_value(value, f"HTTP {status}, {NO_WORDS}")


def explain_value(value: Any, otherwise: str) -> ErrorDetail:
    """Read an error that is JSON already; `otherwise` is said where it has no message."""
    if isinstance(value, list) and value:  # Gemini's OpenAI endpoint wraps it in a list
        value = value[0]
    fault = value.get("error", value) if isinstance(value, dict) else value
    if isinstance(fault, str):
        return ErrorDetail(fault)
    if not isinstance(fault, dict):
        return ErrorDetail(otherwise)
    message = fault.get("message") or fault.get("detail") or otherwise
    if not isinstance(message, str):  # FastAPI's list of faults
        message = json.encode(message).decode()
    kind, param, code = fault.get("type"), fault.get("param"), fault.get("code")
    return ErrorDetail(
        message,
        kind if isinstance(kind, str) else "api_error",
        param if isinstance(param, str) else None,
        str(code) if isinstance(code, str | int) else None,
    )
