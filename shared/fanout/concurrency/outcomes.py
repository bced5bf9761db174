"""Types of calls and of their outcomes, and `attempt`, which runs a call to its outcome."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from time import perf_counter
from typing import Generic, ParamSpec, TypeAlias, TypeVar

from msgspec import Struct

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


async def attempt(call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> Outcome[T]:
    """Run one call to its `Outcome`. Cancellation is not an outcome: it is raised."""
    started = perf_counter()
    try:
        value = await call(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 -- the one place: a failure is a result here
        return Failure(error, perf_counter() - started)
    return Success(value, perf_counter() - started)


def drop_tracebacks(error: BaseException) -> None:
    """
    Forget where a call's error was raised, and where the hidden errors before it were.

    Tracebacks hold the variables of each function: of a failed call, all of the response that has
    arrived. Task groups and requests keep the error until Python's garbage collector runs. The
    tracebacks of a bug, which is the cause of another error, are kept.
    """
    found: BaseException | None = error
    while found is not None and found.__cause__ is None:
        found.__traceback__ = None
        found = found.__context__
