"""
The rate limits of the OpenAI-compatible vendors, by the name of their row.

A row that is not here has OpenAI's headers, if any. The pages were read on 2026-11-28, except where
a comment says "not checked".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .rate_limits import (
    DAY,
    MINUTE,
    SECOND,
    LimitHeader,
    Limits,
    RateLimitTable,
    openai_headers,
)


def _openrouter_body(value: Any) -> Limits:
    """
    `error.metadata.headers`: `X-RateLimit-Limit` of the free models is of a minute or of a day.

    Only that of a minute is a rate (openrouter.ai/docs/api/reference/limits).
    """
    error = value.get("error") if isinstance(value, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    metadata = error.get("metadata") if isinstance(error, dict) else None
    headers = metadata.get("headers") if isinstance(metadata, dict) else None
    limit = headers.get("X-RateLimit-Limit") if isinstance(headers, dict) else None
    if "per-min" not in str(message) or not str(limit).isdecimal():
        return Limits()
    return Limits(requests=float(str(limit)))


ROW_RATE_LIMITS: Mapping[str, RateLimitTable] = {
    # inference-docs.cerebras.ai/support/rate-limits; resets are in seconds.
    "cerebras": RateLimitTable(
        (
            LimitHeader(
                "requests",
                "x-ratelimit-limit-requests-day",
                "x-ratelimit-remaining-requests-day",
                "x-ratelimit-reset-requests-day",
                DAY,
            ),
            LimitHeader(
                "tokens",
                "x-ratelimit-limit-tokens-minute",
                "x-ratelimit-remaining-tokens-minute",
                "x-ratelimit-reset-tokens-minute",
                MINUTE,
            ),
        )
    ),
    # docs.fireworks.ai/guides/quotas_usage/rate-limits: limits are of a minute. A newer page,
    # …/serverless/rate-limits, has these headers of tokens "described in tokens per second"; which
    # of the two the API sends is not checked.
    "fireworks_ai": RateLimitTable(
        (
            LimitHeader("requests", "x-ratelimit-limit-requests", window=MINUTE),
            LimitHeader("input_tokens", "x-ratelimit-limit-tokens-prompt", window=MINUTE),
            LimitHeader("output_tokens", "x-ratelimit-limit-tokens-generated", window=MINUTE),
        )
    ),
    # console.groq.com/docs/rate-limits: requests are of a day, tokens of a minute.
    "groq": RateLimitTable(openai_headers(DAY, MINUTE)),
    # github.com/mistralai/client-ts/issues/169
    "mistral": RateLimitTable(
        (
            LimitHeader(
                "requests",
                "x-ratelimit-limit-req-minute",
                "x-ratelimit-remaining-req-minute",
                window=MINUTE,
            ),
            LimitHeader(
                "tokens",
                "x-ratelimit-limit-tokens-minute",
                "x-ratelimit-remaining-tokens-minute",
                window=MINUTE,
            ),
        )
    ),
    "openrouter": RateLimitTable(read_body=_openrouter_body),
    # docs.together.ai/docs/rate-limits, in an older version: requests and tokens are measured by
    # the second. The newer page has dynamic limits. The headers of requests are in
    # support.together.ai/en/articles/8988956; those of tokens, and the window of both, are not
    # checked.
    "together_ai": RateLimitTable(
        (
            LimitHeader(
                "requests",
                "x-ratelimit-limit",
                "x-ratelimit-remaining",
                "x-ratelimit-reset",
                SECOND,
            ),
            LimitHeader("tokens", "x-tokenlimit-limit", "x-tokenlimit-remaining", window=SECOND),
        )
    ),
    # docs.x.ai/developers/rate-limits: requests a second (a sixtieth of those of a minute) and
    # tokens a minute. The headers and their window are from memory; not checked.
    "xai": RateLimitTable(openai_headers(MINUTE, MINUTE)),
}
