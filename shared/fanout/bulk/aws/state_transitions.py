"""
Decides which state of the state machine comes next.

A job goes from `begin` to rounds of work and `finish`, as long as shards are left. If several
rounds in a row store no new line, the job ends as failed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from msgspec import Struct

from ...errors import NotFound, RequestError
from .job_starter import Execution, JobStarter, Start
from .step_handlers import Finished, StepHandlers

IDLE_ROUNDS = 8
"""A job fails after more rounds than this without a new line."""

PAUSE, LONGEST_PAUSE = 15, 300
"""Seconds before the next round: the first time, and at most. Each idle round doubles them."""

Next: TypeAlias = Literal["work", "finish", "refuse", "fail", "done"]


class JobState(Struct, frozen=True):
    """
    What one state passes to the next; the field names are part of the state machine's definition.

    `next` is `work` on the shards of `manifest`, `finish`, `refuse` (the input is wrong), `fail` or
    `done`; `why` is the reason of `refuse` and `fail`. `wait` is the pause in seconds before the
    next round, `lines` the number stored so far, and `idle` the rounds in a row without a new one.
    """

    job: str
    next: Next
    status: str = ""
    manifest: str = ""
    wait: int = 0
    idle: int = 0
    lines: int = 0
    why: str = ""


class StateTransitions:
    """The states that begin or end a job; workers call `StepHandlers.work` directly."""

    def __init__(self, handlers: StepHandlers, starter: JobStarter) -> None:
        self._handlers = handlers
        self._starter = starter

    async def begin(self, read: Callable[[], Start], execution: Execution) -> JobState:
        """
        Create the job and cut it into shards.

        `read` returns what started the execution. If it, or the job's creation, raises
        `RequestError`, the execution fails with that message.
        """
        try:
            job_id = await self._starter.start(read(), execution)
        except RequestError as error:
            return JobState("", "refuse", why=str(error))
        if job_id is None:
            return JobState("", "done", "ignored")
        planned = await self._handlers.plan(job_id)
        return JobState(job_id, planned.next, manifest=planned.manifest)

    async def finish(self, state: JobState) -> JobState:
        """Close the job, or return what the next round works on and when it starts."""
        finished = await self._handlers.finish(state.job)
        if finished.next == "done":
            return _done(finished)
        idle = state.idle + 1 if finished.lines <= state.lines else 0
        if idle > IDLE_ROUNDS:
            why = f"{IDLE_ROUNDS} rounds over the remaining lines stored no new result"
            finished = await self._handlers.fail(state.job, f"{why}; see the log of its workers.")
            return JobState(finished.job, "fail", finished.status, why=why)
        return JobState(
            state.job,
            "work",
            finished.status,
            finished.manifest,
            min(PAUSE * 2**idle, LONGEST_PAUSE),
            idle,
            finished.lines,
        )

    async def give_up(self, job_id: str, error: str, *, abandon: bool = False) -> JobState:
        """
        End a job whose step failed with `error` even after retries; keep the results it has.

        If that fails, too, the state machine calls again with `abandon`: only the job's record is
        closed.
        """
        why = f"A step of the state machine failed with `{error}`"
        end = self._handlers.abandon if abandon else self._handlers.fail
        try:
            finished = await end(job_id, f"{why}; finished lines are kept.")
        except NotFound:  # the step failed before it created the job
            return JobState("", "fail", why=why)
        return JobState(finished.job, "fail", finished.status, why=why)


def _done(finished: Finished) -> JobState:
    return JobState(finished.job, "done", finished.status)
