"""
How many requests and tokens a minute a model allows: from the config, and from response headers.

Limits that a worker learns from headers are kept in the model's rate limit state, so that all
workers that share the state use them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from msgspec.structs import replace

from ...config.catalog import Catalog
from ...errors import FanoutError
from ...providers.rate_limits import DAY, LimitKind, Limits, parse_duration, read_limit
from .estimated_limit import read_estimate

__all__ = [
    "LEARNED_AT",
    "LEARNED_LIMITS_TTL",
    "Limits",
    "add_learned",
    "make_limits",
    "parse_duration",
    "read_learned",
    "read_limit",
    "weigh_tokens",
]

LEARNED_LIMITS_TTL = DAY
"""Seconds after which learned limits are no longer used."""

LEARNED_AT = "learned "
_PREFIXES: Mapping[LimitKind, str] = {
    "requests": "rpm ",
    "tokens": "tpm ",
    "input_tokens": "itpm ",
    "output_tokens": "otpm ",
}
"""What the keys of learned limits begin with in a model's state; a deployment's id follows."""

_OLD_ESTIMATES = ("rough 429", "429")
"""The ids under which older versions kept estimates, as if they were deployments'."""

_ALWAYS = frozenset({"requests", "tokens"})
"""The limits that a state has even if they are unknown, as 0."""


def read_learned(state: Mapping[str, float], now: float) -> Limits | None:
    """
    The learned limits in a model's state, added up over its deployments, or else the estimate.

    `None` if no deployment has any that are younger than `LEARNED_LIMITS_TTL`.
    """
    ids = [key.removeprefix(LEARNED_AT) for key in state if key.startswith(LEARNED_AT)]
    learned = [
        found
        for one in ids
        if one not in _OLD_ESTIMATES and (found := _read_deployment(state, one, now)) is not None
    ]
    stated = Limits(**{kind: _sum([getattr(one, kind) for one in learned]) for kind in _PREFIXES})
    if stated.requests or (estimate := read_estimate(state, now)) is None:
        return stated if learned else None
    return replace(
        stated,
        requests=estimate.rate_at(now),
        estimated_at=estimate.at,
        evidence=estimate.evidence,
    )


def add_learned(
    state: Mapping[str, float], deployment_id: str, limits: Limits, now: float
) -> dict[str, float]:
    """A model's state with one deployment's learned limits; unchanged if it has them already."""
    known = _read_deployment(state, deployment_id, now)
    if (merged := limits.or_else(known or Limits())) == known:
        return {**state}
    entries = {LEARNED_AT + deployment_id: now}
    for kind, prefix in _PREFIXES.items():
        if (value := getattr(merged, kind)) or kind in _ALWAYS:
            entries[prefix + deployment_id] = value or 0.0
    return {**state, **entries}


def _read_deployment(state: Mapping[str, float], deployment_id: str, now: float) -> Limits | None:
    if now - state.get(LEARNED_AT + deployment_id, float("-inf")) > LEARNED_LIMITS_TTL:
        return None
    return Limits(
        **{kind: state.get(prefix + deployment_id) or None for kind, prefix in _PREFIXES.items()}
    )


def _sum(numbers: list[float | None]) -> float | None:
    return sum(number for number in numbers if number) or None


def weigh_tokens(limits: Limits, tokens: int, input_tokens: int) -> tuple[float, float]:
    """
    The tokens a minute of a model, 0 if unknown, and how many of them a request counts as.

    Some vendors limit input and output on their own. Then a request counts as the part of the
    minute that it needs of its scarcest limit.
    """
    parts = (
        (limits.tokens, tokens),
        (limits.input_tokens, input_tokens),
        (limits.output_tokens, tokens - input_tokens),
    )
    total = limits.tokens or (limits.input_tokens or 0.0) + (limits.output_tokens or 0.0)
    return total, total * max((amount / limit for limit, amount in parts if limit), default=0.0)


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
