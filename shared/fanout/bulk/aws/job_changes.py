"""How the state machine's steps change a job's record. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from ..input.planner import LineError
from ..service.records import Job
from ..store import Stop


def ended_early(stop: Stop | None, now: int, job: Job) -> Job | None:
    """The job that sends no more lines, because of its window or its cost cap."""
    if job.status != "in_progress" or job.reason is not None:
        return None
    if stop == "expired":
        return replace(job, reason="expired")
    message = f"`max_cost_usd` ({job.max_cost_usd:g}) was reached; finished lines are kept."
    return replace(
        job,
        status="cancelling",
        cancelling_at=now,
        reason="capped",
        errors=[LineError("max_cost_reached", message, "max_cost_usd", None)],
    )


def expired(now: float, job: Job) -> Job | None:
    """The job, if its completion window is over."""
    return ended_early("expired", int(now), job) if now >= job.expires_at else None


def failing(why: str, job: Job) -> Job | None:
    """The job that is to end as failed, with the results that it has."""
    if job.is_over or job.reason is not None:
        return None
    return replace(job, reason="failed", errors=[*job.errors, _job_failed(why)])


def failed(why: str, now: int, job: Job) -> Job | None:
    """The job that has failed, without its results."""
    if job.is_over:
        return None
    known = job.reason in {"failed", "refused"}
    errors = job.errors if known else [*job.errors, _job_failed(why)]
    return replace(job, status="failed", failed_at=now, reason="failed", errors=errors)


def finalized(now: int, job: Job) -> Job | None:
    """The job whose results are joined next."""
    if job.status != "in_progress":
        return None  # it was cancelled in the meantime
    return replace(job, status="finalizing", finalizing_at=now)


def rejected(error: LineError, job: Job) -> Job | None:
    """The job whose calls are all rejected."""
    if job.status != "in_progress" or job.reason is not None:
        return None
    return replace(job, reason="refused", errors=[error])


def _job_failed(why: str) -> LineError:
    return LineError("job_failed", why, None, None)
