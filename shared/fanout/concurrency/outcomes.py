"""Types of calls and of their outcomes, `attempt`, which runs a call, and a group of tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from time import perf_counter
from types import TracebackType
from typing import Generic, ParamSpec, TypeAlias, TypeVar

from msgspec import Struct

from ..errors import FanoutError, drop_tracebacks

P = ParamSpec("P")
T = TypeVar("T")

Call: TypeAlias = Callable[[], Awaitable[T]]
Opener: TypeAlias = Callable[[], AbstractAsyncContextManager[AsyncIterator[T]]]


class Success(Struct, Generic[T], frozen=True):
    value: T
    elapsed: float


class Failure(Struct, frozen=True):
    error: Exception
    elapsed: float


class Cancelled(Struct, frozen=True):
    """The call was still running, or had just finished, when another one won."""

    elapsed: float


Outcome: TypeAlias = Success[T] | Failure
RaceOutcome: TypeAlias = Success[T] | Failure | Cancelled | None
"""The outcome of one call of a race; `None` if it was never started."""


class RaceResult(Struct, Generic[T], frozen=True):
    """A finished race: the winner's index (`None` if none), and each outcome, in call order."""

    winner: int | None
    outcomes: Sequence[RaceOutcome[T]]

    @property
    def value(self) -> T:
        """What the winner returned."""
        outcome = self.outcomes[self.winner] if self.winner is not None else None
        if isinstance(outcome, Success):
            return outcome.value
        raise LookupError("no call won")


def failure_of(error: Exception, started: float) -> Failure:
    """
    The failure of a call that started at `started`, by `perf_counter`.

    Where the error was raised is forgotten, unless it is a bug: those functions may hold outcomes.
    """
    if isinstance(error, FanoutError):
        drop_tracebacks(error)
    return Failure(error, perf_counter() - started)


async def attempt(call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> Outcome[T]:
    """Run one call to its `Outcome`. Cancellation is not an outcome: it is raised."""
    started = perf_counter()
    try:
        value = await call(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 -- the one place: a failure is a result here
        return failure_of(error, started)
    return Success(value, perf_counter() - started)


class TaskGroup(asyncio.TaskGroup):
    """
    As `asyncio.TaskGroup`, whose last frame holds the error that it raises.

    The error has that frame in its traceback, so what the block and its callers have is held until
    Python's garbage collector runs: github.com/python/cpython/issues/124958 (fixed in 3.13.1).
    """

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the tasks; raise an exception group if one of them failed."""
        try:
            await super().__aexit__(kind, error, trace)
        except BaseException as raised:
            raised.__traceback__ = None
            raise
        finally:
            self._parent_task = None  # a cancelled one holds the frame with this group
            del kind, error, trace
