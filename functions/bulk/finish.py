"""The last step: joins the results, starts another round, or closes a job that failed."""

from __future__ import annotations

from typing import Any

import msgspec

from fanout.bulk.aws.step_payloads import Beginning, State

from .host import host


def handler(event: dict[str, Any], _context: object) -> Any:
    """Handle the invocation; an hourly schedule sends `look`, which counts overdue jobs."""
    if "look" in event:
        return host.report_overdue()
    if "error" in event:
        failure = msgspec.convert(event, Beginning)
        return host.run_step(lambda steps: steps.give_up(failure))
    state = msgspec.convert(event, State)
    return host.run_step(lambda steps: steps.finish(state))
