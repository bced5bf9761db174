"""
Decides which state of the state machine comes next.

A job goes from `begin` to rounds of work and `finish`, as long as shards are left. If several
rounds in a row store no new line, the job ends as failed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from math import ceil
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ...errors import NotFound, RequestError
from .job_starter import Execution, InboxObject, JobStarter, Start
from .step_handlers import StepHandlers
from .step_payloads import Finished
from .worker_slots import NEW_ACCOUNT, WorkerLimits, divide

IDLE_ROUNDS = 8
"""A job fails after more rounds than this without a new line."""

PAUSE, LONGEST_PAUSE = 15, 300
"""Seconds before the next round: the first time, and at most. Each idle round doubles them."""

LONGEST_HOLD = 900
"""Seconds after which a job that only waits is looked at again, for example if it is cancelled."""

Next: TypeAlias = Literal["work", "hold", "finish", "refuse", "fail", "done"]


class JobState(Struct, frozen=True):
    """
    What one state passes to the next; the field names are part of the state machine's definition.

    `next` is `work` on the shards of `manifest`, `hold` (all lines wait for long, or for native
    batches), `finish`,
    `refuse` (the input is rejected), `fail` or `done`; `why` is the reason of `refuse`
    and `fail`. `wait` is the pause in seconds before the next round, `lines` the number stored so
    far, and `idle` the rounds in a row without a new one.
    `workers` is the job's limit of workers in this round, `slots` that of all jobs; 0 is none.
    """

    job: str
    next: Next
    status: str = ""
    manifest: str = ""
    wait: int = 0
    idle: int = 0
    lines: int = 0
    why: str = ""
    workers: int = 0
    slots: int = 0


class StateTransitions:
    """
    The states that begin or end a job; workers call `StepHandlers.work` directly.

    `worker_limits` returns those of a job beside others, from the ids of those that are starting.
    """

    def __init__(
        self,
        handlers: StepHandlers,
        starter: JobStarter,
        worker_limits: Callable[[Collection[str]], Awaitable[WorkerLimits]] | None = None,
    ) -> None:
        self._handlers = handlers
        self._starter = starter
        self._worker_limits = worker_limits

    async def begin(self, read: Callable[[], Start], execution: Execution) -> JobState:
        """
        Create the job and cut it into shards.

        `read` returns what started the execution. If it, or the job's creation, raises
        `RequestError`, the execution fails with that message. If an object in the inbox started it,
        the message is written to the outbox, and the execution succeeds.
        """
        start: Start | None = None
        try:
            start = read()
            job_id = await self._starter.start(start, execution)
        except RequestError as error:
            if not isinstance(start, InboxObject):
                return JobState("", "refuse", why=str(error))
            await self._starter.report_rejected(start, execution, error)
            return JobState("", "done", "refused", why=str(error))
        if job_id is None:
            return JobState("", "done", "ignored")
        planned = await self._handlers.plan(job_id)
        state = JobState(job_id, planned.next, manifest=planned.manifest)
        return await self._limited(state, planned.max_workers)

    async def _limited(self, state: JobState, most: int) -> JobState:
        """The state with the limits of workers of this moment; `most` is the job's own, or 0."""
        if self._worker_limits is None:
            return state
        starting = await self._handlers.just_started()
        limits = await self._worker_limits({state.job, *starting})
        if not limits.slots and state.slots:
            return state  # the account's limit cannot be read now
        if not limits.slots:  # nor could it be before
            limits = divide(limits.workers, NEW_ACCOUNT)
        workers = min(limits.workers, most or limits.workers)
        return replace(state, workers=workers, slots=limits.slots)

    async def finish(self, state: JobState) -> JobState:
        """Close the job, or return what the next round works on and when it starts."""
        finished = await self._handlers.finish(state.job)
        if finished.next == "done":
            return _done(finished)
        state = await self._limited(state, finished.max_workers)
        is_idle = state.next == "work" and finished.lines <= state.lines
        if finished.hold is not None and (is_idle or not finished.manifest):
            hold = min(ceil(finished.hold), LONGEST_HOLD)  # until the native batches have more
            return self._next(state, "hold", finished, hold, 0)
        waits = finished.pause is not None or state.next == "hold"
        idle = state.idle + 1 if finished.lines <= state.lines and not waits else 0
        if finished.pause and finished.only_waits:
            hold = min(ceil(finished.pause), LONGEST_HOLD)
            return self._next(state, "hold", finished, hold, idle)
        if state.next == "hold":
            return self._next(state, "work", finished, 0, idle)
        if idle > IDLE_ROUNDS:
            why = f"{IDLE_ROUNDS} rounds over the remaining lines stored no new result"
            finished = await self._handlers.fail(state.job, f"{why}; see the log of its workers.")
            return JobState(finished.job, "fail", finished.status, why=why)
        return self._next(state, "work", finished, min(PAUSE * 2**idle, LONGEST_PAUSE), idle)

    @staticmethod
    def _next(state: JobState, next_: Next, finished: Finished, wait: int, idle: int) -> JobState:
        return JobState(
            finished.job,
            next_,
            finished.status,
            finished.manifest,
            wait,
            idle,
            finished.lines,
            workers=state.workers,
            slots=state.slots,
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
