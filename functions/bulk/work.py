"""The middle step: works on one shard for as long as the invocation may run."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.parser import event_parser

from .events import WorkEvent
from .runtime import runtime

MARGIN = 10.0
"""Seconds before the invocation's end, in which the worker stores results and writes counts."""


@event_parser(model=WorkEvent)
def handler(event: WorkEvent, context: Any) -> Any:
    """Handle the invocation; return what the worker did and how many lines are left."""
    seconds = context.get_remaining_time_in_millis() / 1000 - MARGIN
    return runtime.run_worker(
        event.job,
        event.shard.value,
        seconds,
        workers=event.workers,
        slots=event.slots,
        waits=event.waits,
    )
