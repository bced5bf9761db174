"""
What a model bears in a minute, and what the headers of its answers tell of it.

What one worker learns is kept among the model's marks, so that all who share them know it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

MINUTE, DAY = 60.0, 86_400.0
NEAR = 0.25
REMEMBERED = DAY
"""Seconds after which what was learned is to be learned anew."""

LIMIT_HEADERS = frozenset({"x-ratelimit-limit-requests", "x-ratelimit-limit-tokens"})
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": MINUTE, "h": 3600.0, "d": DAY}
_RPM, _TPM, _WHEN = "rpm", "tpm", "learned"


class Limits(Struct, frozen=True):
    """What a model bears in a minute; `None` is no limit, or none that is known."""

    requests: float | None = None
    tokens: float | None = None

    def or_else(self, other: Limits) -> Limits:
        """These, and the other's where these say nothing."""
        return Limits(self.requests or other.requests, self.tokens or other.tokens)


def recall(marks: Mapping[str, float], now: float) -> Limits | None:
    """What was learned of a model with these marks; `None` where that is nothing, or too old."""
    if _WHEN not in marks or now - marks[_WHEN] > REMEMBERED:
        return None
    return Limits(marks.get(_RPM) or None, marks.get(_TPM) or None)


def note(marks: Mapping[str, float], limits: Limits, now: float) -> dict[str, float]:
    """The marks with what was learned now; as they are, if it was known."""
    known = recall(marks, now)
    if (found := limits.or_else(known or Limits())) == known:
        return {**marks}
    return {**marks, _RPM: found.requests or 0.0, _TPM: found.tokens or 0.0, _WHEN: now}


def read_limits(headers: Mapping[str, str]) -> Limits:
    """What an answer's `x-ratelimit-*` say."""
    if LIMIT_HEADERS.isdisjoint(headers):
        return Limits()
    return Limits(read_limit(headers, "requests"), read_limit(headers, "tokens"))


def read_limit(headers: Mapping[str, str], kind: str) -> float | None:
    """
    A limit a minute, of the three headers that providers send for each kind.

    Some count a day (Groq's requests): the time in which what is used comes back tells which.
    """
    limit, left = (headers.get(f"x-ratelimit-{name}-{kind}", "") for name in ("limit", "remaining"))
    reset = read_span(headers.get(f"x-ratelimit-reset-{kind}", ""))
    if not (limit.isdigit() and left.isdigit() and reset) or int(limit) <= int(left):
        return None
    rate = (int(limit) - int(left)) / reset
    for window in (MINUTE, DAY):
        if abs(rate * window / int(limit) - 1) <= NEAR:
            return int(limit) * MINUTE / window
    return None


def read_span(text: str) -> float | None:
    """Seconds of `1m30s`, `20ms` or `7.66s`."""
    parts = _SPAN.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)
