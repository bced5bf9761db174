"""The last step: joins the results, starts another round, or closes a job that failed."""

from __future__ import annotations

from typing import Any, assert_never

from aws_lambda_powertools.utilities.parser import event_parser

from .events import FINISH_EVENT, FailureEvent, FinishEvent, ScheduleEvent, StateEvent
from .runtime import runtime


@event_parser(model=FINISH_EVENT)
def handler(event: FinishEvent, _context: object) -> Any:
    """Handle the invocation; return the next state, or for the schedule a count of jobs."""
    match event:
        case ScheduleEvent():
            return runtime.report_overdue()
        case FailureEvent(error=error, abandon=abandon):
            return runtime.run_transition(
                lambda states: states.give_up(event.job_id, error, abandon=abandon)
            )
        case StateEvent():
            return runtime.run_transition(lambda states: states.finish(event.value))
        case _:
            assert_never(event)
