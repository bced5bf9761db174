"""
Retries of one line while its provider is down or rate limits it.

The gateway's own retries end after seconds. Here a line is retried for minutes, as long as its
worker's time allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msgspec import Struct, field

from ...errors import AllFailed, FanoutError, Malformed, ProviderError, RateLimited
from ...routing.retry_policy import RetryPolicy, is_retryable
from ..input.lines import Line
from .adaptive_concurrency import AdaptiveConcurrency


class LineRequest(Struct, frozen=True):
    """
    One attempt at a line: its request id, the seconds it may take, its size in bytes.

    `received` is called with the response's body as soon as it is there. From then on the response
    is paid for, whatever happens to the attempt.
    """

    line: Line
    request_id: str
    deadline: float | None
    size: int = 0
    received: Callable[[object], None] = lambda _: None


SendLine: TypeAlias = Callable[[LineRequest, AdaptiveConcurrency], Awaitable[object]]
"""Sends one line and returns the body of its response; raises the error of a failed one."""

DEADLINE_MARGIN = 0.2
"""Seconds before the worker's deadline in which a failure is due to the deadline, not the line."""


POISON_RETRIES = 4
"""
The retries that fail while other lines of its model succeed, after which a line fails.

Retries in an outage do not count. Their time does not either: most of it may be waiting for the
rate limit.
"""


class LineDeferred(Exception):
    """The line has no result yet; a later worker sends it again, unless the job is ending."""


class LineRetry(Struct, frozen=True):
    """
    Sends a line again until it succeeds, fails for good, or time runs out.

    It gives up `give_up_after` seconds after the first failure, and never goes past `deadline`, by
    `clock`. `is_stopping` says whether the worker is to start nothing new. `succeeded` is when
    the last call that succeeded was started, by model: if that is after a line's previous attempt,
    the provider is not down, and the line is to blame.
    """

    send: SendLine
    concurrency: AdaptiveConcurrency
    retry: RetryPolicy
    give_up_after: float
    deadline: float | None
    is_stopping: Callable[[], bool]
    clock: Callable[[], float]
    succeeded: dict[str, float] = field(default_factory=dict)

    async def run(
        self, line: Line, size: int, request_id: str, received: Callable[[object], None]
    ) -> object:
        """The body of the response; raises the last error, or `LineDeferred`."""
        clock = self.clock
        failing_since: float | None = None
        attempt, alone, began = 0, 0, clock()
        while True:
            before, began = began, clock()
            remaining = None if self.deadline is None else max(0.1, self.deadline - clock())
            try:
                request = LineRequest(line, request_id, remaining, size, received)
                body = await self.send(request, self.concurrency)
            except FanoutError as error:
                if self.deadline is not None and clock() >= self.deadline - DEADLINE_MARGIN:
                    raise LineDeferred from None
                failing_since = clock() if failing_since is None else failing_since
                pause = self.retry.delay(attempt, _error_to_wait_for(error))
                failing = clock() + pause - failing_since
                gives_up = failing > self.give_up_after
                if self.succeeded.get(_model(line), before) > before:
                    alone += 1
                    gives_up = alone >= POISON_RETRIES
                is_limited = isinstance(_error_to_wait_for(error), RateLimited)
                if (gives_up and not is_limited) or not _may_succeed_later(error):
                    raise
                if self.is_stopping():
                    raise LineDeferred from None
            else:
                self.succeeded[_model(line)] = began
                return body
            await asyncio.sleep(pause)
            if self.is_stopping():
                raise LineDeferred
            attempt += 1


def _model(line: Line) -> str:
    return str(line.body.get("model"))


def _may_succeed_later(error: FanoutError) -> bool:
    """Whether the error, or one of several models' errors, is temporary."""
    if isinstance(error, AllFailed):
        return any(_is_temporary(cause.error) for cause in error.failures)
    return _is_temporary(error)


def _is_temporary(error: Exception) -> bool:
    """Not so if the response cannot be read: it may be billed, and the next may be like it."""
    return is_retryable(error) and not isinstance(error, Malformed)


def _error_to_wait_for(error: FanoutError) -> Exception:
    """The error whose `Retry-After` sets the pause; of several, the first that has one."""
    if isinstance(error, AllFailed):
        retryable = [cause.error for cause in error.failures if _is_temporary(cause.error)]
        waits = [e for e in retryable if isinstance(e, ProviderError) and e.retry_after is not None]
        return waits[0] if waits else error
    return error
