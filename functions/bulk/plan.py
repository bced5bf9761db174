"""The first step: checks the execution's input and cuts the job into shards."""

from __future__ import annotations

from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.parser import event_parser

from .events import PlanEvent
from .runtime import runtime
from .start_events import read_start


@event_parser(model=PlanEvent)
def handler(event: PlanEvent, _context: object) -> Any:
    """Handle the invocation; return the next state."""
    read = partial(read_start, event.given)
    return runtime.run_transition(lambda states: states.begin(read, event.execution.value))
