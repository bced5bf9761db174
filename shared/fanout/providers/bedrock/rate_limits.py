"""Bedrock sends no rate limits."""

from __future__ import annotations

from ..rate_limits import RateLimitTable

TABLE = RateLimitTable()
