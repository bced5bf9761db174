"""Cohere's rate limit headers; see `providers/rate_limits.py`."""

from __future__ import annotations

from ..rate_limits import MINUTE, LimitHeader, RateLimitTable

# docs.cohere.com/docs/rate-limits: only trial keys have a limit in the headers, of a minute. Read
# on 2026-11-28.
TABLE = RateLimitTable(
    (
        LimitHeader(
            "requests",
            "x-trial-endpoint-call-limit",
            "x-trial-endpoint-call-remaining",
            window=MINUTE,
        ),
    )
)
