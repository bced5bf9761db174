"""
How long a job's lines would take in real time, by the rate limits in the config.

From that follows when native batches are given up.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from ...config.catalog import Catalog
from ...schema.tokens import BYTES_PER_TOKEN
from ..input.estimates import conversations_of, models_of, output_tokens
from ..input.line_parser import Line
from ..pacing.limits import Limits, make_limits

MINUTE = 60.0

USUAL_RATE = 20.0
"""Calls a second that a provider takes at least, if there is no time to expect less."""

SLOW_RATE = 1.0
"""Calls a second that a provider without limits in the config takes, if there is time for it."""

SHORT_WINDOW, SLOW_PART = 7200.0, 1 / 6
"""
The time for calls at `SLOW_RATE`: this part of a job's window after its first seconds. More calls
are expected to be sent faster, so that a short window and a long job still have batches.
"""


class Backlog(Struct, frozen=True, gc=False):
    """
    Calls to be sent: how many `seconds` those with limits in the config take, and how many
    `unlimited` ones there are without, with the tokens that these send and at most receive.
    """

    seconds: float = 0.0
    unlimited: float = 0.0
    sent: float = 0.0
    received: float = 0.0

    def __add__(self, more: Backlog) -> Backlog:
        return Backlog(
            self.seconds + more.seconds,
            self.unlimited + more.unlimited,
            self.sent + more.sent,
            self.received + more.received,
        )

    def without(self, part: Backlog) -> Backlog:
        """The rest, which is never negative."""
        return Backlog(
            max(0.0, self.seconds - part.seconds),
            max(0.0, self.unlimited - part.unlimited),
            max(0.0, self.sent - part.sent),
            max(0.0, self.received - part.received),
        )

    def scaled(self, factor: float) -> Backlog:
        """The same with so many times the calls."""
        return Backlog(
            self.seconds * factor,
            self.unlimited * factor,
            self.sent * factor,
            self.received * factor,
        )

    def at(self, limits: Limits) -> Backlog:
        """The same, if the limits of those without in the config are known now."""
        parts = (
            (limits.requests, self.unlimited),
            (limits.tokens, self.sent + self.received),
            (limits.input_tokens, self.sent),
            (limits.output_tokens, self.received),
        )
        known = [MINUTE * amount / limit for limit, amount in parts if limit]
        fastest = self.unlimited / USUAL_RATE
        return Backlog(self.seconds + max(fastest, *known)) if known else self

    def duration(self, window: float) -> float:
        """
        Seconds in real time, for a job with this window. No two models are expected to share them.

        Calls without limits take a second each, as far as there is time for that in the window, and
        at least a twentieth of a second.
        """
        slowly = min(self.unlimited / SLOW_RATE, max(0.0, window - SHORT_WINDOW) * SLOW_PART)
        return self.seconds + max(self.unlimited / USUAL_RATE, slowly)


class PlannedTime(Struct, frozen=True, omit_defaults=True):
    """The backlog of so many lines of a job when its batches were planned."""

    backlog: Backlog = Backlog()
    lines: int = 0

    def others(self, open_lines: int, held: Backlog, held_lines: int) -> Backlog:
        """
        The backlog of the job's lines without a result that no batch holds.

        They are expected to be as large as all that are not held are on average.
        """
        if not self.lines:  # of an older version
            return Backlog(unlimited=max(open_lines, held_lines))
        others, counted = max(0, open_lines - held_lines), self.lines - held_lines
        if counted <= 0:
            return self.backlog.scaled(others / self.lines)
        return self.backlog.without(held).scaled(others / counted)


def line_backlog(catalog: Catalog) -> Callable[[Line, int], Backlog]:
    """Returns a function from a line and its bytes to what it takes in real time."""
    limits, share = make_limits(catalog), catalog.general.batch_share

    def backlog(line: Line, size: int) -> Backlog:
        calls = len(conversations_of(line))
        sent = size / BYTES_PER_TOKEN  # as the rate limiter counts
        received = output_tokens(line) * calls
        total = Backlog()
        for name in models_of(line):
            known: Limits = limits(name)
            seconds = MINUTE / share * calls / known.requests if known.requests else 0.0
            if known.tokens:
                seconds = max(seconds, MINUTE / share * (sent + received) / known.tokens)
            is_limited = known.requests is not None or known.tokens is not None
            total += Backlog(seconds) if is_limited else Backlog(0.0, calls, sent, received)
        return total

    return backlog
