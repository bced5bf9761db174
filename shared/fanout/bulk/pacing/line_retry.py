"""
Retries of one line while its provider is down or rate limits it.

The gateway's own retries end after seconds. Here a line is retried for minutes, as long as its
worker's time allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from ...config.deployment import DEFAULT_RETRIES
from ...errors import (
    AllFailed,
    FanoutError,
    ProviderError,
    RateLimited,
    Unauthorized,
)
from ...routing.retry_policy import RetryPolicy
from ..activity import ActivityTracker, Reason, Wait
from ..input.estimates import models_of
from ..input.line_parser import Line
from .adaptive_concurrency import AdaptiveConcurrency
from .failing_lines import FailingLine, ModelOutcomes
from .flex_lane import FlexLane, LineLane
from .line_attempt import LineRequest, SendLine
from .line_faults import error_to_wait_for, evidence_of, is_cut, may_succeed_later, what_happens
from .rate_limiter import paused_too_long

T = TypeVar("T")

CUT_RETRIES = DEFAULT_RETRIES
"""How often a line is sent again after a response that was cut, each of which may be billed."""

DEADLINE_MARGIN = 0.2
"""Seconds before the worker's deadline in which a failure is due to the deadline, not the line."""


class LineDeferred(Exception):
    """The line has no result yet; a later worker sends it again, unless the job is ending."""


class NotSent(FanoutError):
    """The call is not sent: none may start now, as on a full disk or after rejected ones."""


def is_not_sent(error: Exception) -> bool:
    """Whether no call of the line was sent for this reason, or since its key is not valid."""
    causes = [one.error for one in error.failures] if isinstance(error, AllFailed) else [error]
    return all(isinstance(cause, NotSent | Unauthorized) for cause in causes)


class _Pause(Struct, frozen=True):
    """So many seconds before the next attempt, and what is shown meanwhile."""

    seconds: float
    shown: Wait


class LineRetry(Struct, frozen=True):
    """
    Sends a line again until it succeeds, fails for good, or time runs out.

    It gives up `give_up_after` seconds after the first failure, and never goes past `deadline`, by
    `clock`. `is_stopping` says whether the worker is to start nothing new. `outcomes` are those of
    each model's lines: a line that fails while others succeed is to blame itself. `activity` shows
    what waits. `pause` waits for so many seconds before the line is sent again, and then until it
    may be: meanwhile others are sent. `is_end` says whether all lines of the worker were started.
    A provider's pause that ends after `expires_at`, by the activity's clock, is not waited for.
    `flex` says which lines are on the flex tier.
    """

    send: SendLine
    concurrency: AdaptiveConcurrency
    retry: RetryPolicy
    give_up_after: float
    deadline: float | None
    is_stopping: Callable[[], bool]
    clock: Callable[[], float]
    activity: ActivityTracker
    expires_at: float | None = None
    outcomes: dict[str, ModelOutcomes] = field(default_factory=dict)
    flex: FlexLane | None = None
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    is_end: Callable[[], bool] = lambda: True

    async def run(self, request: LineRequest, number: int = 1) -> object:
        """
        The body of the response to line `number`; raises the last error, or `LineDeferred`.

        Its deadline, its tier and how further calls are repeated are set here for each attempt.
        """
        line = request.line
        lane = self.flex.of(line, number) if self.flex else None
        is_retry = False

        async def repeat(
            model: str, call: Callable[[], Awaitable[T]], retries: int | None = None, /
        ) -> T:
            return await self._repeat(model, call, None, request.failed, retries)

        async def send() -> object:
            nonlocal is_retry
            if is_retry:
                await request.restart()
            tier = None if lane is None else lane.next_tier()
            left = None if self.deadline is None else max(0.1, self.deadline - self.clock())
            attempt = replace(request, deadline=left, repeat=repeat, tier=tier, is_retry=is_retry)
            is_retry = True
            body = await self.send(attempt, self.concurrency)
            if lane is not None:
                lane.succeeded()
            return body

        return await self._repeat(_model(line), send, lane, request.failed, pause=self.pause)

    async def _repeat(
        self,
        model: str,
        call: Callable[[], Awaitable[T]],
        lane: LineLane | None,
        failed: Callable[[], Awaitable[None]],
        retries: int | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> T:
        if (outcomes := self.outcomes.get(model)) is None:
            outcomes = self.outcomes[model] = ModelOutcomes()
        failing = FailingLine(outcomes)
        try:
            while True:
                began = self.clock()
                try:
                    result = await call()
                except FanoutError as error:
                    on_lane = None if lane is None else self._lane_pause(lane, error)
                    wait = on_lane or self._failed(model, error, failing, began, retries)
                else:
                    outcomes.succeeded(began, faults=failing.faults)
                    return result
                await failed()
                frees = on_lane is None and wait.shown.reason == "provider_error"
                paused_at = self.clock()
                with self.activity.waiting(wait.shown):
                    await (pause if frees else asyncio.sleep)(wait.seconds)
                if not self.concurrency.is_down:
                    failing.waited(self.clock() - paused_at - wait.seconds)
                if self.is_stopping():
                    raise LineDeferred
        finally:
            if failing.attempts:
                failing.close()

    def _lane_pause(self, lane: LineLane, error: FanoutError) -> _Pause | None:
        """The pause after an attempt on the flex tier; `None` if the tier is not the cause."""
        self._check_deadline()
        pause = lane.failed(error, self.retry)
        if pause is None:
            return None
        until = self.activity.now() + pause
        cause = f"the flex tier of `{lane.model}` has no room"
        return _Pause(pause, Wait("provider_error", cause, lane.model, until))

    def _check_deadline(self) -> None:
        """Raise `LineDeferred` if the worker's time is over, to which a failure is due then."""
        if self.deadline is not None and self.clock() >= self.deadline - DEADLINE_MARGIN:
            raise LineDeferred from None

    def _failed(
        self,
        model: str,
        error: FanoutError,
        failing: FailingLine,
        began: float,
        retries: int | None,
    ) -> _Pause:
        """The pause before the next attempt; raises the error, or `LineDeferred`."""
        self._check_deadline()
        cause = error_to_wait_for(error)
        pause = self.retry.delay(failing.attempts, cause)
        failing.failed(began, self.clock(), evidence_of(error))
        if not (isinstance(cause, ProviderError) and cause.retry_after is not None):
            pause = failing.pause(pause)
        failing.cut += is_cut(error)
        is_last = retries is not None and failing.attempts > retries
        gives_up = is_last or self._gives_up(failing, pause)
        if (gives_up and not isinstance(cause, RateLimited)) or not may_succeed_later(error):
            raise error
        self._check_window(model, cause)
        if self.is_stopping():
            raise LineDeferred from None
        return _Pause(pause, self._wait(model, pause, cause))

    def _gives_up(self, failing: FailingLine, pause: float) -> bool:
        return (
            failing.is_poison(is_end=self.is_end())
            or failing.cut > CUT_RETRIES
            or failing.seconds + pause > self.give_up_after
        )

    def _check_window(self, model: str, cause: Exception) -> None:
        """Raise `RateLimited` if the provider's pause ends after the job's window."""
        pause = (isinstance(cause, RateLimited) and cause.retry_after) or 0.0
        end = self.expires_at
        if pause and end is not None and self.activity.now() + pause > end:
            raise paused_too_long(model, pause)

    def _wait(self, model: str, pause: float, error: Exception) -> Wait:
        """What the line waits for."""
        reason: Reason = "rate_limit" if isinstance(error, RateLimited) else "provider_error"
        until = self.activity.now() + pause
        return Wait(reason, what_happens(model, error), model, until)


def _model(line: Line) -> str:
    return ", ".join(models_of(line))
