"""
What a model bears in a minute, and what the headers of its answers tell of it.

What one worker learns is kept among the model's marks, so that all who share them know it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache

from msgspec import Struct

from ...config.resolve import Catalog
from ...errors import FanoutError

MINUTE, DAY = 60.0, 86_400.0
NEAR = 0.25
LEARNED_LIMITS_TTL = DAY
"""Seconds after which what was learned is to be learned anew."""

LIMIT_HEADERS = frozenset({"x-ratelimit-limit-requests", "x-ratelimit-limit-tokens"})
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": MINUTE, "h": 3600.0, "d": DAY}
_RPM, _TPM, _WHEN = "rpm ", "tpm ", "learned "


class Limits(Struct, frozen=True):
    """What a model bears in a minute; `None` is no limit, or none that is known."""

    requests: float | None = None
    tokens: float | None = None

    @property
    def are_known(self) -> bool:
        """Whether there is one."""
        return bool(self.requests or self.tokens)

    def or_else(self, other: Limits) -> Limits:
        """These, and the other's where these say nothing."""
        return Limits(self.requests or other.requests, self.tokens or other.tokens)


def read_learned(marks: Mapping[str, float], now: float) -> Limits | None:
    """
    What was learned of a model with these marks: the limits of its deployments together.

    `None` where that is nothing, or too old.
    """
    places = [kind.removeprefix(_WHEN) for kind in marks if kind.startswith(_WHEN)]
    learned = [found for place in places if (found := _recall(marks, place, now)) is not None]
    if not learned:
        return None
    return Limits(_sum([one.requests for one in learned]), _sum([one.tokens for one in learned]))


def add_learned(
    marks: Mapping[str, float], place: str, limits: Limits, now: float
) -> dict[str, float]:
    """The marks with what was learned now of one deployment; as they are, if it was known."""
    known = _recall(marks, place, now)
    if (found := limits.or_else(known or Limits())) == known:
        return {**marks}
    told = {_RPM: found.requests or 0.0, _TPM: found.tokens or 0.0, _WHEN: now}
    return {**marks, **{kind + place: value for kind, value in told.items()}}


def _recall(marks: Mapping[str, float], place: str, now: float) -> Limits | None:
    if now - marks.get(_WHEN + place, float("-inf")) > LEARNED_LIMITS_TTL:
        return None
    return Limits(marks.get(_RPM + place) or None, marks.get(_TPM + place) or None)


def _sum(numbers: list[float | None]) -> float | None:
    return sum(number for number in numbers if number) or None


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


def make_limits(catalog: Catalog) -> Callable[[str], Limits]:
    """The config's limits of a name: those of its deployments together, if each has one."""

    @cache
    def limits(name: str) -> Limits:
        try:
            deployments = catalog.find(name)
        except FanoutError:
            return Limits()
        return Limits(
            _sum_if_all_known([d.rpm for d in deployments]),
            _sum_if_all_known([d.tpm for d in deployments]),
        )

    return limits


def _sum_if_all_known(numbers: list[int | None]) -> float | None:
    known = [number for number in numbers if number]
    return float(sum(known)) if known and len(known) == len(numbers) else None
