"""Azure's rate limit headers: OpenAI's, of a minute; see `providers/rate_limits.py`."""

from __future__ import annotations

from ..rate_limits import MINUTE, RateLimitTable, openai_headers

# A deployment has tokens and requests a minute:
# learn.microsoft.com/azure/foundry/openai/how-to/quota. Read on 2026-11-28.
TABLE = RateLimitTable(openai_headers(MINUTE, MINUTE))
