"""Error bodies of OpenAI and of the vendors that nearly copy it."""

from __future__ import annotations

from typing import Any

from ...errors import ErrorDetail
from ...wire import json

NO_REASON = "the provider gave no reason"

# The HTTP status of an error inside a stream, by OpenAI's `type` or `code`.
_STATUSES = {
    "authentication_error": 401,
    "context_length_exceeded": 400,
    "insufficient_quota": 429,
    "invalid_api_key": 401,
    "invalid_request_error": 400,
    "model_not_found": 404,
    "not_found_error": 404,
    "overloaded_error": 503,
    "permission_error": 403,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "service_unavailable": 503,
}


# The fields of an error without `{"error": …}` around it: a gateway's, a web framework's.
_BARE = frozenset(
    {
        "code", "detail", "details", "error_code", "error_type", "id", "message", "object", "param",
        "requestId", "request_id", "status", "statusCode", "status_code", "title", "type",
    }
)  # fmt: skip


def explain(status: int, body: bytes) -> ErrorDetail:
    """
    Read `{"error": {…}}`, `{"error": "…"}`, `{"message": …}` or `{"detail": …}`.

    A body that is none of these (a proxy's HTML page) is never shown to a client.
    """
    from ..error_rules import code_in_text  # imported with the first error

    reason = code_in_text(body) or NO_REASON
    return explain_value(json.decode_or_none(body), f"HTTP {status}, {reason}", type_of(status))


def fault_of(value: dict[str, Any]) -> Any:
    """
    The error in a body or event that has the status of a success; `None` if it has none.

    OpenRouter sends it beside the choices, vLLM and Mistral as `{"object": "error", …}`, Cerebras
    as `{"message", "type", "code", …}`, Mistral's and Azure's gateways as `{"message": …}`, FastAPI
    as `{"detail": …}`; `_inner` has the others.
    """
    if fault := value.get("error"):
        return fault
    if (fault := _inner(value)) and not value.get("choices"):
        return fault
    if value.get("object") == "error" or (value.get("choices") is None and _is_bare(value)):
        return value
    return None


def _inner(value: dict[str, Any]) -> dict[str, Any] | None:
    """
    Cloudflare's `{"errors": [{"code", "message"}], "success": false}`, and MiniMax's `{"base_resp":
    {"status_code", "status_msg"}}`, whose `status_code` is 0 in a success.
    """
    errors, base = value.get("errors"), value.get("base_resp")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        return errors[0]
    return base if isinstance(base, dict) and base.get("status_code") else None


def _is_bare(value: dict[str, Any]) -> bool:
    """Whether these are the fields of an error."""
    is_problem = value.get("title") and value.get("status")  # RFC 9457
    if not (isinstance(value.get("message"), str) or value.get("detail") or is_problem):
        return False
    return bool(value.get("type") or value.get("code")) or value.keys() <= _BARE


def type_of(status: int) -> str:
    """OpenAI's type for an error of this status, for bodies without one."""
    if status == 429:  # noqa: PLR2004
        return "rate_limit_error"
    return "invalid_request_error" if 400 <= status < 500 else "api_error"  # noqa: PLR2004


def explain_value(value: Any, otherwise: str, kind: str = "api_error") -> ErrorDetail:
    """Read an error as JSON; `otherwise` and `kind` stand in for a missing message or type."""
    if isinstance(value, list) and value:  # Gemini's OpenAI endpoint wraps it in a list
        value = value[0]
    fault = (value.get("error") or _inner(value) or value) if isinstance(value, dict) else value
    if isinstance(fault, str):
        return ErrorDetail(fault, kind)
    if not isinstance(fault, dict):
        return ErrorDetail(otherwise, kind)
    message = _first(fault, "message", "detail", "status_msg", "title") or otherwise
    if not isinstance(message, str):  # FastAPI's list of faults
        message = json.encode(message).decode()
    named, param = fault.get("type"), fault.get("param")
    code = _first(fault, "code", "status_code", "error_code")
    return ErrorDetail(
        message,
        named if isinstance(named, str) else kind,
        param if isinstance(param, str) else None,
        str(code) if isinstance(code, str | int) else None,
    )


def _first(value: dict[str, Any], *names: str) -> Any:
    return next((value[name] for name in names if value.get(name)), None)


def status_of(fault: Any) -> int:
    """The HTTP status of an error inside a success; 502 if it names none."""
    if not isinstance(fault, dict):
        return 502
    for name in ("code", "status", "type", "statusCode", "status_code"):
        word = fault.get(name)
        if isinstance(word, str):
            if word in _STATUSES:
                return _STATUSES[word]
            word = int(word) if word.isdecimal() and len(word) == 3 else 0  # noqa: PLR2004
        if isinstance(word, int) and 400 <= word < 600:  # noqa: PLR2004
            return word
    return 502
