"""
How many requests and tokens a minute a model allows: from the config, and from response headers.

Limits that a worker learns from headers are kept in the model's rate limit state, so that all
workers that share the state use them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache

from msgspec import Struct

from ...config.resolve import Catalog
from ...errors import FanoutError

MINUTE, DAY = 60.0, 86_400.0

RATE_TOLERANCE = 0.25
"""By how much the rate that a header implies may differ from a minute's or a day's."""

LEARNED_LIMITS_TTL = DAY
"""Seconds after which learned limits are no longer used."""

LIMIT_HEADERS = frozenset({"x-ratelimit-limit-requests", "x-ratelimit-limit-tokens"})
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": MINUTE, "h": 3600.0, "d": DAY}

_RPM, _TPM, _LEARNED_AT = "rpm ", "tpm ", "learned "
"""What the keys of learned limits begin with in a model's state; a deployment's id follows."""


class Limits(Struct, frozen=True):
    """Requests and tokens a minute; `None` means no limit, or an unknown one."""

    requests: float | None = None
    tokens: float | None = None

    @property
    def are_known(self) -> bool:
        """Whether there is a limit on requests or on tokens."""
        return bool(self.requests or self.tokens)

    def or_else(self, other: Limits) -> Limits:
        """These limits, completed by the other's where one is unknown."""
        return Limits(self.requests or other.requests, self.tokens or other.tokens)


def read_learned(state: Mapping[str, float], now: float) -> Limits | None:
    """
    The learned limits in a model's state, added up over its deployments.

    `None` if no deployment has any that are younger than `LEARNED_LIMITS_TTL`.
    """
    ids = [key.removeprefix(_LEARNED_AT) for key in state if key.startswith(_LEARNED_AT)]
    learned = [found for one in ids if (found := _read_deployment(state, one, now)) is not None]
    if not learned:
        return None
    return Limits(_sum([one.requests for one in learned]), _sum([one.tokens for one in learned]))


def add_learned(
    state: Mapping[str, float], deployment_id: str, limits: Limits, now: float
) -> dict[str, float]:
    """A model's state with one deployment's learned limits; unchanged if it has them already."""
    known = _read_deployment(state, deployment_id, now)
    if (merged := limits.or_else(known or Limits())) == known:
        return {**state}
    entries = {_RPM: merged.requests or 0.0, _TPM: merged.tokens or 0.0, _LEARNED_AT: now}
    return {**state, **{prefix + deployment_id: value for prefix, value in entries.items()}}


def _read_deployment(state: Mapping[str, float], deployment_id: str, now: float) -> Limits | None:
    if now - state.get(_LEARNED_AT + deployment_id, float("-inf")) > LEARNED_LIMITS_TTL:
        return None
    return Limits(state.get(_RPM + deployment_id) or None, state.get(_TPM + deployment_id) or None)


def _sum(numbers: list[float | None]) -> float | None:
    return sum(number for number in numbers if number) or None


def read_limits(headers: Mapping[str, str]) -> Limits:
    """The limits in the `x-ratelimit-*` headers of a response; empty if it has none."""
    if LIMIT_HEADERS.isdisjoint(headers):
        return Limits()
    return Limits(read_limit(headers, "requests"), read_limit(headers, "tokens"))


def read_limit(headers: Mapping[str, str], kind: str) -> float | None:
    """
    The limit a minute of `requests` or `tokens`, from the three headers that providers send.

    Some limits count a day (Groq's requests). What has been used, divided by the time until it is
    available again, shows which. `None` if the headers are incomplete or match neither.
    """
    limit, remaining = (
        headers.get(f"x-ratelimit-{name}-{kind}", "") for name in ("limit", "remaining")
    )
    reset = parse_duration(headers.get(f"x-ratelimit-reset-{kind}", ""))
    if not (limit.isdigit() and remaining.isdigit() and reset) or int(limit) <= int(remaining):
        return None
    rate = (int(limit) - int(remaining)) / reset
    for window in (MINUTE, DAY):
        if abs(rate * window / int(limit) - 1) <= RATE_TOLERANCE:
            return int(limit) * MINUTE / window
    return None


def parse_duration(text: str) -> float | None:
    """The seconds in `1m30s`, `20ms` or `7.66s`; `None` for any other text."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def make_limits(catalog: Catalog) -> Callable[[str], Limits]:
    """
    Returns a function from a model name to its limits in the config.

    They are added up over its deployments; if one deployment has none, there is no limit.
    """

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
