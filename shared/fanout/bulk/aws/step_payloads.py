"""
The states of the state machine, as its functions are given them and give them back.

A state says what comes next; the machine only follows. It goes round, work and finish, while there
are shards left, and gives up where rounds bring nothing.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from ...errors import NotFound, RequestError
from .job_start import Execution, JobStarter, job_of
from .step_handlers import Finished, StepHandlers

IDLE_ROUNDS = 8
"""Rounds without a new line after which a job is given up."""

PAUSE, LONGEST = 15, 300
"""Seconds before the next round: the first time, and at most; each idle one doubles them."""


class State(Struct, frozen=True):
    """
    Where a job is. `lines` are stored so far, `idle` the rounds since there were fewer.

    `next`: `work` on the shards of `manifest`; `finish`; `refuse` the input, `fail`: both for the
    reason in `why`; `done`.
    """

    job: str
    next: Literal["work", "finish", "refuse", "fail", "done"]
    status: str = ""
    manifest: str = ""
    wait: int = 0
    idle: int = 0
    lines: int = 0
    why: str = ""


class Beginning(Struct, frozen=True):
    """What an execution begins with; after a fault also the error's name."""

    given: Any
    execution: Execution
    error: str = ""
    abandon: bool = False


class Steps:
    """What the functions do, but for the work itself."""

    def __init__(self, machine: StepHandlers, intake: JobStarter) -> None:
        self._machine = machine
        self._intake = intake

    async def begin(self, asked: Beginning) -> State:
        """Take the input in, and cut it into shards."""
        try:
            job = await self._intake.take(asked.given, asked.execution)
        except RequestError as error:
            return State("", "refuse", why=str(error))
        if job is None:
            return State("", "done", "ignored")
        planned = await self._machine.plan(job)
        return State(job, planned.next, manifest=planned.manifest)

    async def finish(self, state: State) -> State:
        """Close the job, or say when and on what the next round works."""
        finished = await self._machine.finish(state.job)
        if finished.next == "done":
            return _end(finished)
        idle = state.idle + 1 if finished.lines <= state.lines else 0
        if idle > IDLE_ROUNDS:
            why = f"{IDLE_ROUNDS} rounds over the lines that are left brought no answer"
            finished = await self._machine.fail(state.job, f"{why}; see the log of its workers.")
            return State(finished.job, "fail", finished.status, why=why)
        return State(
            state.job,
            "work",
            finished.status,
            finished.manifest,
            min(PAUSE * 2**idle, LONGEST),
            idle,
            finished.lines,
        )

    async def give_up(self, asked: Beginning) -> State:
        """A step has failed for good: end the job, and keep what is answered."""
        job = job_of(asked.given, asked.execution)
        why = f"A step of the state machine failed with `{asked.error}`"
        end = self._machine.abandon if asked.abandon else self._machine.fail
        try:
            finished = await end(job, f"{why}; finished lines are kept.")
        except NotFound:  # it failed before there was a job
            return State("", "fail", why=why)
        return State(finished.job, "fail", finished.status, why=why)


def _end(finished: Finished) -> State:
    return State(finished.job, "done", finished.status)
