"""Google's rate limits, which only the body of a 429 has; see `providers/rate_limits.py`."""

from __future__ import annotations

import re
from typing import Any

from ..rate_limits import LimitKind, Limits, RateLimitTable

# `quotaId` and `quotaValue` of `google.rpc.QuotaFailure`, such as
# `GenerateRequestsPerMinutePerProjectPerModel-FreeTier` and
# `GenerateContentInputTokensPerModelPerMinute-FreeTier`:
# https://ai.google.dev/gemini-api/docs/rate-limits. Read on 2026-11-28.
_KINDS: tuple[tuple[LimitKind, re.Pattern[str]], ...] = (
    ("requests", re.compile("Requests.*PerMinute")),
    ("input_tokens", re.compile("InputTokens.*PerMinute")),
    ("output_tokens", re.compile("OutputTokens.*PerMinute")),
)


def read_body(value: Any) -> Limits:
    """The limits of a minute in an error body."""
    found: dict[str, Any] = {}
    for violation in _violations(value):
        quota, number = str(violation.get("quotaId")), str(violation.get("quotaValue"))
        for kind, pattern in _KINDS:
            if pattern.search(quota) and number.isdecimal() and int(number):
                found[kind] = float(number)
    return Limits(**found)


def _violations(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list) and value:
        value = value[0]
    error = value.get("error") if isinstance(value, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    return [
        violation
        for detail in (details if isinstance(details, list) else ())
        if isinstance(detail, dict) and isinstance(detail.get("violations"), list)
        for violation in detail["violations"]
        if isinstance(violation, dict)
    ]


TABLE = RateLimitTable(read_body=read_body)
