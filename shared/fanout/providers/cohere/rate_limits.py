"""Cohere's rate limit headers; see `providers/rate_limits.py`."""

from __future__ import annotations

from ..rate_limits import MINUTE, LimitHeader, RateLimitTable

# docs.cohere.com/docs/rate-limits: the limits are of a minute. It names no headers: these are as
# public clients read them, and Elasticsearch's `CohereResponseHandler` says that only trial keys
# have them. Read in 2026-11.
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
