"""Vertex AI's rate limits: only the body of a 429 may have them, as Gemini's has."""

from __future__ import annotations

from ..gemini.rate_limits import read_body
from ..rate_limits import RateLimitTable

TABLE = RateLimitTable(read_body=read_body)
