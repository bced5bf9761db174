"""
The events of the bulk functions, as pydantic models for Powertools' parser.

`infra/bulk/state_machine_definition.py` defines which state sends what. An execution's own input is
in `given` and is not checked here: `start_events.py` has its models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Discriminator,
    NonNegativeInt,
    Tag,
    TypeAdapter,
    ValidationInfo,
    field_validator,
)

from fanout.bulk.aws.job_starter import Execution
from fanout.bulk.aws.state_transitions import JobState, Next
from fanout.bulk.input.planner import Shard

CONFIG = ConfigDict(frozen=True, hide_input_in_errors=True)
"""Values are left out of errors, which go to the log."""


class Event(BaseModel):
    """An event. Unknown fields are ignored: a newer state machine may send more."""

    model_config = CONFIG


class ExecutionEvent(Event):
    """
    The execution that invokes the function: its ARN, and when it started.

    See https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html.
    """

    id: str
    started: AwareDatetime

    @property
    def value(self) -> Execution:
        """The same as a struct, for `fanout.bulk.aws`."""
        return Execution(self.id, self.started)


class PlanEvent(Event):
    """The planner's event: `given` is the execution's own input."""

    given: Any
    execution: ExecutionEvent


class ShardEvent(Event):
    """A shard, as it is in the manifest."""

    index: NonNegativeInt
    start: NonNegativeInt
    end: NonNegativeInt
    first: NonNegativeInt
    lines: NonNegativeInt

    @field_validator("end")
    @classmethod
    def _ends_after_its_start(cls, end: int, info: ValidationInfo) -> int:
        if end < info.data.get("start", 0):
            raise ValueError("a shard cannot end before its start")
        return end

    @property
    def value(self) -> Shard:
        return Shard(**self.model_dump())


class WorkEvent(Event):
    """A worker's event: one shard of a job."""

    job: str
    shard: ShardEvent
    workers: NonNegativeInt = 0
    slots: NonNegativeInt = 0
    waits: NonNegativeInt = 0


class JobEvent(Event):
    """The event of a function that is repeated for a job."""

    job: str


class StateEvent(Event):
    """The finisher's event: the state that an earlier function returned."""

    job: str
    next: Next
    status: str = ""
    manifest: str = ""
    wait: int = 0
    idle: int = 0
    lines: int = 0
    why: str = ""
    workers: NonNegativeInt = 0
    slots: NonNegativeInt = 0

    @property
    def value(self) -> JobState:
        return JobState(**self.model_dump())


class FailureEvent(PlanEvent):
    """The finisher's event after a step has failed; with `abandon`, ending the job failed, too."""

    error: str
    abandon: bool = False

    @property
    def job_id(self) -> str:
        """The job that the execution runs, or would have created."""
        job = self.given.get("job") if isinstance(self.given, Mapping) else None
        return job if isinstance(job, str) else self.execution.value.job_id


class ScheduleEvent(Event):
    """The finisher's hourly event: count the overdue jobs."""

    check: Literal["overdue_jobs"]


def _kind(event: Any) -> str:
    """The tag of the model for an event of the finisher."""
    keys = event if isinstance(event, Mapping) else ()
    return next((key for key in ("check", "error") if key in keys), "state")


FinishEvent: TypeAlias = StateEvent | FailureEvent | ScheduleEvent

FINISH_EVENT: TypeAdapter[FinishEvent] = TypeAdapter(
    Annotated[
        Annotated[StateEvent, Tag("state")]
        | Annotated[FailureEvent, Tag("error")]
        | Annotated[ScheduleEvent, Tag("check")],
        Discriminator(_kind),
    ],
    config=CONFIG,
)
