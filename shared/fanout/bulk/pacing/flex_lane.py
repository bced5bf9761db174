"""
Which lines of a worker are sent on the flex tier, and what follows if the tier rejects one.

A flex call may take minutes, so a job may not spend its window on them. The lane is open for a line
while the job is at most a little behind an even pace, which ends so early that there is time for a
flex call that fails after its timeout, and for a call in real time after it. All that the worker
needs for that is the line's place in the file, so many workers need not ask each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Literal

from msgspec import Struct, field

from ...errors import DeadlineExceeded, FanoutError, Overloaded, RateLimited, Rejected, Unsupported
from ...routing.flex import FLEX_TIMEOUT, is_rejection
from ...routing.retry_policy import RetryPolicy, is_retryable
from ..input.flex_lines import flex_model
from ..input.line_parser import Line
from ..lanes import LaneChoice

TRIES = 5
"""Refused flex calls of a line, after which it is sent in real time."""

FIRST_WAIT, LONGEST_WAIT = 2.0, 16.0
"""
Seconds until the next call at most, and half of them at least: 15 to 30 for all calls of a line.

The first line that is refused so often ends the attempts of all others of its model.
OpenAI bills no refused call, and advises an exponential backoff if costs count more than time, else
the standard tier: developers.openai.com/api/docs/guides/flex-processing (2026-11).
"""

REST = 60.0
"""Seconds for which no line tries the tier of a model that has rejected every call of a line."""

REJECTIONS = 3
"""Lines that only the flex tier has rejected, after which a worker does not use it any more."""

SLACK = 0.2
"""
The part of its remaining time by which a job may be behind an even pace and still use the tier.

So four fifths of the time are left for what has to be sent in real time.
"""

LEAST_TIME = 2 * FLEX_TIMEOUT
"""Seconds before the end of the window in which no flex call starts: the pace ends there."""


class LineLane(Struct, eq=False):
    """The lane of one line in its attempts; `rejected_calls` are those for which was no room."""

    lane: FlexLane
    number: int
    model: str
    is_open: bool = True
    is_on_flex: bool = False
    is_rejected: bool = False
    rejected_calls: int = 0
    successes: int = 0

    def next_tier(self) -> Literal["flex", "standard"]:
        """The tier of the next attempt."""
        self.is_on_flex = self.is_open and self.lane.is_open(self.model, self.number)
        return "flex" if self.is_on_flex else "standard"

    def succeeded(self) -> None:
        """The attempt has succeeded."""
        if self.is_on_flex:
            self.lane.successes[self.model] += 1
        elif self.is_rejected:
            self.lane.rejections[self.model] += 1

    def failed(self, error: FanoutError, retry: RetryPolicy) -> float | None:
        """
        Seconds until the next attempt, after one on the tier; `None` for those of any failed line.

        A call without room is tried again on the tier and at last in real time; so is one, at once,
        that the tier is too slow for, or that only the tier may have rejected.
        """
        if not self.is_on_flex:
            return None
        if isinstance(error, RateLimited) and is_retryable(error):
            self.rejected_calls += 1
            self.is_open = self.rejected_calls < TRIES
            return None
        if isinstance(error, Overloaded) and self._may_try_again():
            if not self.lane.is_open(self.model, self.number):
                return 0.0
            waits = RetryPolicy(lambda: (1 + retry.rng()) / 2, FIRST_WAIT, LONGEST_WAIT)
            return waits.delay(self.rejected_calls - 1, error)
        self.is_open = False
        self.is_rejected = isinstance(error, Rejected | Unsupported)
        is_tiers = is_rejection(error) or isinstance(error, DeadlineExceeded)
        return 0.0 if is_tiers or self.is_rejected else None

    def _may_try_again(self) -> bool:
        """Count a rejection; whether the line is to try the tier again. Else the model may rest."""
        lane, model = self.lane, self.model
        if not self.rejected_calls:
            self.successes = lane.successes[model]
        self.rejected_calls += 1
        if self.rejected_calls < TRIES:
            return True
        if self.successes == lane.successes[model]:
            lane.rests[model] = lane.now() + REST
        return False


class FlexLane(Struct, eq=False):
    """
    The flex tier, as one worker of a job uses it; times are in seconds since 1970.

    `offers` says whether a model has such a tier, at a lower price. `total` is the number of the
    job's lines, `started` when its first one was sent.
    """

    choice: LaneChoice
    offers: Callable[[str], bool]
    now: Callable[[], float]
    started: float
    expires_at: float
    total: int
    successes: Counter[str] = field(default_factory=Counter)
    rejections: Counter[str] = field(default_factory=Counter)
    rests: dict[str, float] = field(default_factory=dict)

    def of(self, line: Line, number: int) -> LineLane | None:
        """The lane of line `number`, from 1; `None` if it is sent as it is."""
        model = flex_model(line, self.choice)
        if model is None or not self.offers(model):
            return None
        return LineLane(self, number, model)

    def is_open(self, model: str, number: int) -> bool:
        """Whether line `number` may be sent on the tier now."""
        now, end = self.now(), self.expires_at - LEAST_TIME
        if now > end or now < self.rests.get(model, 0.0):
            return False
        if self.rejections[model] >= REJECTIONS:
            return False
        passed = (now - self.started) / max(1.0, end - self.started)
        done = min(1.0, (number - 1) / max(1, self.total))
        return passed <= done + (1.0 - done) * SLACK
