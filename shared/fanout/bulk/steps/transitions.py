"""How a job's record changes when a step ends. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from ...telemetry.prices import TokenPrices
from ..input.planner import LineError, Plan
from ..service.records import Job
from ..work.finisher import SkipReason
from ..work.spec import WorkResult

SKIP_REASONS = {
    "cancelled": SkipReason(
        "batch_cancelled", "The batch was cancelled before this request was made."
    ),
    "expired": SkipReason(
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    "capped": SkipReason(
        "batch_cancelled", "The job's `max_cost_usd` was reached before this request was made."
    ),
    "unfunded": SkipReason(
        "batch_cancelled",
        "The budget of the job's key or team was spent before this request was made.",
    ),
    "forbidden": SkipReason(
        "batch_cancelled", "The job's key was not valid any more before this request was made."
    ),
    "failed": SkipReason("batch_failed", "The batch failed before this request was completed."),
    "refused": SkipReason(
        "batch_failed", "The batch ended before this request was made: earlier ones were rejected."
    ),
}

KEY_ERRORS = {
    "unfunded": LineError(
        "budget_exceeded",
        "Budget has been exceeded: that of the job's key, or of its team, does not cover its next "
        "line. "
        "Finished lines are kept; retry the job when the budget is raised or its next window has "
        "begun.",
        None,
        None,
    ),
    "forbidden": LineError(
        "invalid_api_key",
        "The job's key or its team is blocked or deleted, or the key has expired; finished lines "
        "are kept.",
        None,
        None,
    ),
}
"""Why a job of a virtual key ends before its last line."""


def planned(job: Job, result: Plan, prices: dict[str, TokenPrices], now: int) -> Job:
    """
    The job after its input is checked; it may have been cancelled meanwhile.

    `prices` are those of its models.
    """
    if result.errors:
        errors = result.errors
        if result.more_errors:
            message = f"{result.more_errors} more errors are not listed."
            errors = [*errors, LineError("too_many_errors", message, None, None)]
        return replace(job, status="failed", failed_at=now, errors=errors)
    found = replace(job, total=result.total, models=dict(result.models), prices=prices)
    if job.status != "validating":
        return found
    return replace(found, status="in_progress", in_progress_at=now)


def failed(job: Job, error: LineError, now: int) -> Job | None:
    """The job that fails for this reason; `None` if it has ended or ends for another."""
    if job.is_over or job.reason is not None:
        return None
    return replace(job, status="finalizing", finalizing_at=now, reason="failed", errors=[error])


def worked(job: Job, result: WorkResult, now: int) -> Job | None:  # noqa: PLR0911 -- one for each stop
    """The job after its lines are sent, or why no more are; `None` if nothing changes."""
    if job.status != "in_progress":
        return None
    if result.rejection is not None:
        return replace(job, reason="refused", errors=[result.rejection])
    if result.stop is None:
        return replace(job, status="finalizing", finalizing_at=now)
    if result.stop == "expired":
        return replace(job, reason="expired")
    if result.stop == "capped":
        message = f"`max_cost_usd` ({job.max_cost_usd:g}) was reached; finished lines are kept."
        errors = [LineError("max_cost_reached", message, "max_cost_usd", None)]
        return replace(job, status="cancelling", cancelling_at=now, reason="capped", errors=errors)
    if result.stop == "unfunded" or result.stop == "forbidden":  # noqa: PLR1714 -- for the type
        errors = [KEY_ERRORS[result.stop]]
        return replace(
            job, status="cancelling", cancelling_at=now, reason=result.stop, errors=errors
        )
    return None


def ended(job: Job, now: int) -> Job:
    """The job after its results are joined."""
    if job.reason == "expired":
        return replace(job, status="expired", expired_at=now)
    if job.reason in {"failed", "refused"}:
        return replace(job, status="failed", failed_at=now)
    if job.reason is not None:
        return replace(job, status="cancelled", cancelled_at=now)
    return replace(job, status="completed", completed_at=now)
