"""
What a job costs, by the responses to some of its lines.

The lines are drawn by size: the file's lines are sorted into strata by their estimated tokens, and
from each stratum come the more, the more lines it has and the larger they are. The tokens that a
model counts are a multiple of the estimated ones. Those of a response are a constant, a multiple of
the prompt's, or both, whichever predicts each response best from the others. The range is that of
Student's t for the part of the cost that this leaves open. Pure.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from math import log2, sqrt
from typing import Any

from msgspec import Struct, field

CONFIDENCE = 90
"""Percent of the jobs whose cost is within the range."""

STEPS = 2
"""Strata for each doubling of a line's tokens."""

# Student's t, 95 % of which is below: one tail of a range for 90 %. From 30 on, it is near the
# normal distribution's.
_T = (
    *(6.31, 2.92, 2.35, 2.13, 2.02, 1.94, 1.89, 1.86, 1.83, 1.81, 1.80, 1.78, 1.77, 1.76, 1.75),
    *(1.75, 1.74, 1.73, 1.73, 1.72, 1.72, 1.72, 1.71, 1.71, 1.71, 1.71, 1.70, 1.70, 1.70),
)
_NORMAL = 1.66


class Drawn(Struct, frozen=True):
    """
    A line that was drawn: its key (as its model), its number, and its estimated tokens.

    It stands for `weight` lines.
    """

    key: str
    number: int
    tokens: int
    weight: float


class _Stratum(Struct):
    lines: int = 0
    tokens: int = 0
    held: list[tuple[int, int]] = field(default_factory=list)


class Sampler:
    """Draws lines, `most` of them, from those that are added; the same ones each time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._random = random.Random(most)  # noqa: S311 -- the same lines each time
        self._strata: dict[tuple[str, int], _Stratum] = {}

    def add(self, key: str, number: int, tokens: int) -> None:
        """Add a line with these estimated tokens."""
        size = int(STEPS * log2(max(1, tokens)))
        stratum = self._strata.get((key, size))
        if stratum is None:
            stratum = self._strata[key, size] = _Stratum()
        stratum.lines += 1
        stratum.tokens += tokens
        if len(stratum.held) < self._most:
            stratum.held.append((number, tokens))
        elif (at := self._random.randrange(stratum.lines)) < self._most:
            stratum.held[at] = (number, tokens)

    def draw(self) -> list[Drawn]:
        """The lines, by number."""
        shares = {
            place: sqrt(stratum.lines * stratum.tokens) for place, stratum in self._strata.items()
        }
        counts = _divided(self._most, shares, {p: s.lines for p, s in self._strata.items()})
        found = [
            Drawn(key, number, tokens, stratum.lines / counts[key, size])
            for (key, size), stratum in self._strata.items()
            for number, tokens in self._random.sample(stratum.held, counts[key, size])
        ]
        return sorted(found, key=lambda one: one.number)


def _divided(count: int, shares: Mapping[Any, float], most: Mapping[Any, int]) -> dict[Any, int]:
    """So many, divided by these shares, by largest remainder; no more than `most` of each."""
    found = dict.fromkeys(shares, 0)
    left = min(count, sum(most.values()))
    while left > 0:
        open_ones = {place: share for place, share in shares.items() if found[place] < most[place]}
        total = sum(open_ones.values())
        exact = {place: left * share / total for place, share in open_ones.items()}
        given = {place: min(int(exact[place]), most[place] - found[place]) for place in open_ones}
        if not any(given.values()):
            ranked = sorted(open_ones, key=lambda place: (-exact[place], str(place)))
            given = dict.fromkeys(ranked[:left], 1)
        for place, number in given.items():
            found[place] += number
            left -= number
    return found


class Response(Struct, frozen=True):
    """The response to a line that was drawn: the tokens that were counted, and their prices."""

    drawn: Drawn
    tokens_in: int
    tokens_out: int


class Part(Struct, frozen=True):
    """The lines of one key that are left: how many, their estimated tokens, and their prices."""

    lines: int
    tokens: int
    price_in: float
    price_out: float


class Estimate(Struct, frozen=True):
    """The expected cost, and the range in which it is with `CONFIDENCE`; in the prices' unit."""

    cost: float
    low: float
    high: float
    tokens_in: int
    tokens_out: int


def estimate_costs(responses: Sequence[Response], parts: Mapping[str, Part]) -> Estimate | None:
    """What these parts cost; `None` if no line of one of them has a response."""
    cost = variance = 0.0
    tokens_in = tokens_out = 0.0
    freedom = 0
    for key, part in parts.items():
        own = [one for one in responses if one.drawn.key == key]
        if not own and part.lines:
            return None
        if not part.lines:
            continue
        ratio = _ratio(own, lambda one: float(one.tokens_in))
        slope = _fit(own)
        sent = ratio * part.tokens
        got = max(0.0, slope[0] * part.lines + slope[1] * part.tokens)
        tokens_in, tokens_out = tokens_in + sent, tokens_out + got
        cost += sent * part.price_in + got * part.price_out
        variance += _variance(own, part, ratio, slope)
        freedom += max(0, len(own) - 1 - (slope[1] != 0 != slope[0]))
    t = _NORMAL if freedom > len(_T) else _T[max(0, freedom - 1)]
    half = SKEW * t * sqrt(variance)
    low = max(0.0, cost - half)
    return Estimate(cost, low, cost + half, round(tokens_in), round(tokens_out))


def _ratio(own: Sequence[Response], value: Any) -> float:
    """The tokens that are counted for each estimated one."""
    estimated = sum(one.drawn.weight * one.drawn.tokens for one in own)
    return float(sum(one.drawn.weight * value(one) for one in own) / max(1.0, estimated))


def _models(own: Sequence[Response]) -> Iterable[tuple[float, float]]:
    """The constant, the multiple, and both, that fit these responses."""
    weights = [one.drawn.weight for one in own]
    total = sum(weights)
    mean_x = sum(w * one.drawn.tokens for w, one in zip(weights, own, strict=True)) / total
    mean_y = sum(w * one.tokens_out for w, one in zip(weights, own, strict=True)) / total
    yield mean_y, 0.0
    yield 0.0, mean_y / max(1.0, mean_x)
    pairs = [(w, one.drawn.tokens - mean_x, one) for w, one in zip(weights, own, strict=True)]
    square = sum(w * dx * dx for w, dx, _ in pairs)
    if square > 0 and len(own) > MOST_EXACT:
        slope = sum(w * dx * one.tokens_out for w, dx, one in pairs) / square
        yield mean_y - slope * mean_x, slope


SKEW = 1.15
"""The range is wider by this: lengths are not normal, and the shape was chosen by the responses."""

MOST_EXACT = 4
"""Responses up to which no line with two parameters is fit."""


def _fit(own: Sequence[Response]) -> tuple[float, float]:
    """The constant and the multiple whose predictions of each response from the others are best."""
    kinds = len(list(_models(own)))
    if len(own) <= 2:  # noqa: PLR2004 -- nothing to compare
        return next(iter(_models(own)))
    errors = [0.0] * kinds
    for index, left_out in enumerate(own):
        others = [*own[:index], *own[index + 1 :]]
        found = list(_models(others))
        for kind in range(kinds):
            constant, multiple = found[min(kind, len(found) - 1)]
            error = left_out.tokens_out - constant - multiple * left_out.drawn.tokens
            errors[kind] += left_out.drawn.weight * error * error
    return list(_models(own))[errors.index(min(errors))]


def _variance(
    own: Sequence[Response], part: Part, ratio: float, slope: tuple[float, float]
) -> float:
    """The variance of the part's cost that the responses leave open."""
    count = len(own)
    residuals = [
        one.drawn.weight
        * (
            part.price_in * (one.tokens_in - ratio * one.drawn.tokens)
            + part.price_out * (one.tokens_out - slope[0] - slope[1] * one.drawn.tokens)
        )
        for one in own
    ]
    if count < 2:  # noqa: PLR2004 -- one response says nothing about the others
        whole = part.price_in * ratio * part.tokens + part.price_out * (
            slope[0] * part.lines + slope[1] * part.tokens
        )
        return (whole / 2) ** 2
    lines = sum(one.drawn.weight for one in own)
    scale = part.lines / max(1.0, lines)
    lost = 1 + (slope[0] != 0 and slope[1] != 0)
    return scale**2 * sum(one * one for one in residuals) * count / max(1, count - lost)
