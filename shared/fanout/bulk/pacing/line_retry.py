"""
One line, asked until there is an answer or no use in asking: a provider may be down for a while.

The gateway's own retries are over in seconds; here a line waits for minutes, as long as its worker
has them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msgspec import Struct

from ...errors import AllFailed, FanoutError, ProviderError
from ...routing.retry_policy import Retry, is_retryable
from ..input.lines import Line
from .adaptive_concurrency import AdaptiveConcurrency


class LineRequest(Struct, frozen=True):
    """A line to be asked: its request, its bytes, the id to ask under, and the seconds left."""

    line: Line
    request_id: str
    deadline: float | None
    size: int = 0


Ask: TypeAlias = Callable[[LineRequest, AdaptiveConcurrency], Awaitable[object]]
"""One line to its answer's body; raises what went wrong."""

LEAST = 0.2
"""Seconds before the worker's end in which a failure is the worker's, and not the line's."""


class LineDeferred(Exception):
    """The line stays undone: somebody else, or nobody, will ask."""


class LineRetry(Struct, frozen=True):
    """
    How long to go on: `patience` seconds from the first failure, and not past `until` by `clock`.

    `is_stopping` says whether the job is to end.
    """

    ask: Ask
    pace: AdaptiveConcurrency
    retry: Retry
    patience: float
    until: float | None
    is_stopping: Callable[[], bool]
    clock: Callable[[], float]

    async def answer(self, line: Line, size: int, request_id: str) -> object:
        """The answer's body; raises the last error, or `LineDeferred`."""
        clock = self.clock
        failing: float | None = None
        round_number = 0
        while True:
            left = None if self.until is None else max(0.1, self.until - clock())
            try:
                return await self.ask(LineRequest(line, request_id, left, size), self.pace)
            except FanoutError as error:
                if self.until is not None and clock() >= self.until - LEAST:
                    raise LineDeferred from None
                failing = clock() if failing is None else failing
                pause = self.retry.delay(round_number, _first(error))
                if not _worth_asking(error) or clock() + pause - failing > self.patience:
                    raise
                if self.is_stopping():
                    raise LineDeferred from None
            await asyncio.sleep(pause)
            if self.is_stopping():
                raise LineDeferred
            round_number += 1


def _worth_asking(error: FanoutError) -> bool:
    """Whether the provider, or one of several, may answer later."""
    if isinstance(error, AllFailed):
        return any(is_retryable(cause.error) for cause in error.failures)
    return is_retryable(error)


def _first(error: FanoutError) -> Exception:
    """The error whose `Retry-After` counts."""
    if isinstance(error, AllFailed):
        again = [cause.error for cause in error.failures if is_retryable(cause.error)]
        waits = [e for e in again if isinstance(e, ProviderError) and e.retry_after is not None]
        return waits[0] if waits else error
    return error
