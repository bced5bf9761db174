"""Anthropic's rate limit headers; see `providers/rate_limits.py`."""

from __future__ import annotations

from ..rate_limits import MINUTE, LimitHeader, LimitKind, RateLimitTable

_PREFIX = "anthropic-ratelimit-"
_KINDS: tuple[tuple[LimitKind, str], ...] = (
    ("requests", "requests"),
    ("tokens", "tokens"),
    ("input_tokens", "input-tokens"),
    ("output_tokens", "output-tokens"),
)

# https://platform.claude.com/docs/en/api/rate-limits#response-headers; all limits are of a minute,
# resets are RFC 3339. Read on 2026-11-28.
TABLE = RateLimitTable(
    tuple(
        LimitHeader(
            kind,
            f"{_PREFIX}{name}-limit",
            f"{_PREFIX}{name}-remaining",
            f"{_PREFIX}{name}-reset",
            MINUTE,
        )
        for kind, name in _KINDS
    )
)
