"""Calls and what becomes of them, as values; `attempt` makes the one of the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from time import perf_counter
from typing import Generic, TypeAlias, TypeVar

from msgspec import Struct

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
    """It was still running, or just too late, when another won."""

    elapsed: float


Outcome: TypeAlias = Success[T] | Failure
Fate: TypeAlias = Success[T] | Failure | Cancelled | None
"""What became of a contestant; `None` is one that was never started."""


class RaceResult(Struct, Generic[T], frozen=True):
    """A finished race: who won (`None`: nobody), and what became of each, in call order."""

    winner: int | None
    fates: Sequence[Fate[T]]

    @property
    def value(self) -> T:
        """What the winner returned."""
        fate = self.fates[self.winner] if self.winner is not None else None
        if isinstance(fate, Success):
            return fate.value
        raise LookupError("nobody won")


async def attempt(call: Call[T]) -> Outcome[T]:
    """Run one call to its `Outcome`. Cancellation is not an outcome: it propagates."""
    started = perf_counter()
    try:
        value = await call()
    except Exception as error:  # noqa: BLE001 -- the one place: a failure is a result here
        return Failure(error, perf_counter() - started)
    return Success(value, perf_counter() - started)
