"""The function of a job's native batches: one turn for each invocation."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.parser import event_parser

from .events import JobEvent
from .runtime import runtime


@event_parser(model=JobEvent)
def handler(event: JobEvent, _context: object) -> Any:
    """Handle the invocation; return whether another turn follows, and when."""
    return runtime.run(lambda handlers: handlers.native.turn(event.job))
