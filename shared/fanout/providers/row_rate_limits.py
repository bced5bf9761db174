"""
The rate limits of the OpenAI-compatible vendors, by the name of their row.

A row that is not here has OpenAI's headers, if any. The pages were read on 2026-11-28 and 29.
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
    limit = _openrouter_headers(value).get("x-ratelimit-limit", "")
    if "per-min" not in str(message) or not limit.isdecimal():
        return Limits()
    return Limits(requests=float(limit))


def _openrouter_headers(value: Any) -> dict[str, str]:
    """`error.metadata.headers`; `X-RateLimit-Reset` is in milliseconds since 1970."""
    for name in ("error", "metadata", "headers"):
        value = value.get(name) if isinstance(value, dict) else None
    found = value if isinstance(value, dict) else {}
    return {name.lower(): str(one) for name, one in found.items()}


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
    # docs.fireworks.ai/serverless/rate-limits: the limits of tokens are of a minute, but in these
    # headers, they are "described in tokens per second". Those of requests are of a minute:
    # …/guides/quotas_usage/rate-limits.
    "fireworks_ai": RateLimitTable(
        (
            LimitHeader("requests", "x-ratelimit-limit-requests", window=MINUTE),
            LimitHeader("input_tokens", "x-ratelimit-limit-tokens-prompt", window=SECOND),
            LimitHeader("output_tokens", "x-ratelimit-limit-tokens-generated", window=SECOND),
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
    "openrouter": RateLimitTable(read_body=_openrouter_body, headers_in_body=_openrouter_headers),
    # docs.together.ai/docs/rate-limits, in a copy of 2026-01: all are of a second. A dynamic limit
    # is never below the other one; where there are both, the lower one counts.
    "together_ai": RateLimitTable(
        (
            LimitHeader(
                "requests",
                "x-ratelimit-limit",
                "x-ratelimit-remaining",
                "x-ratelimit-reset",
                SECOND,
            ),
            LimitHeader(
                "requests",
                "x-ratelimit-limit-dynamic",
                "x-ratelimit-remaining-dynamic",
                window=SECOND,
            ),
            LimitHeader("tokens", "x-tokenlimit-limit", "x-tokenlimit-remaining", window=SECOND),
            LimitHeader(
                "tokens",
                "x-tokenlimit-limit-dynamic",
                "x-tokenlimit-remaining-dynamic",
                window=SECOND,
            ),
        )
    ),
    # docs.x.ai/developers/rate-limits has no headers. Responses of 2026-07 that were published have
    # OpenAI's, without resets: 480 requests for a model whose limit was 480 a minute.
    "xai": RateLimitTable(openai_headers(MINUTE, MINUTE)),
}
