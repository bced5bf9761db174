"""Runs calls until a quorum: each end decides what starts next, and when the rest is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from math import inf
from time import perf_counter
from typing import Generic, TypeVar

from .outcomes import Call, Cancelled, Outcome, RaceOutcome, TaskGroup, attempt

T = TypeVar("T")


class _Quorum(Generic[T]):
    def __init__(
        self, calls: Sequence[Call[T]], after: Callable[[int, Outcome[T]], Iterable[int] | None]
    ) -> None:
        self.calls = calls
        self.after = after
        self.outcomes: list[RaceOutcome[T]] = [None] * len(calls)
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.is_over = False

    def start(self, group: asyncio.TaskGroup, indexes: Iterable[int]) -> None:
        for index in indexes:
            self.tasks[index] = group.create_task(self.run(group, index))

    async def run(self, group: asyncio.TaskGroup, index: int) -> None:
        started = perf_counter()
        try:
            outcome = await attempt(self.calls[index])
        except asyncio.CancelledError:
            self.outcomes[index] = Cancelled(perf_counter() - started)
            raise
        if self.is_over:
            self.outcomes[index] = Cancelled(outcome.elapsed)
            return
        self.outcomes[index] = outcome
        following = self.after(index, outcome)
        if following is not None:
            self.start(group, following)
            return
        self.stop(index)

    def stop(self, last: int | None = None) -> None:
        """Cancel the calls that still run; `last` is the one that has just ended."""
        self.is_over = True
        for index, task in self.tasks.items():
            if index != last:
                task.cancel()


async def run_quorum(
    calls: Sequence[Call[T]],
    first: Iterable[int],
    after: Callable[[int, Outcome[T]], Iterable[int] | None],
    deadline: float = inf,
) -> Sequence[RaceOutcome[T]]:
    """
    Run the calls whose indexes are in `first`, and those that `after` returns at each call's end.

    When `after` returns `None`, or at the `deadline` by the event loop's clock, the calls that
    still run are cancelled. All have ended before this returns their outcomes, in call order; a
    call that was never started has `None`.
    """
    quorum = _Quorum(calls, after)
    timer = None if deadline == inf else asyncio.get_running_loop().call_at(deadline, quorum.stop)
    try:
        async with TaskGroup() as group:
            quorum.start(group, first)
    finally:
        quorum.tasks.clear()  # a cancelled one holds the function that it was in, and that these
        if timer is not None:
            timer.cancel()
    return quorum.outcomes
