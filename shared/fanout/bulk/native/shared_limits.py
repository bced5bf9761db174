"""
What other jobs take of the rate limits that a job's lines need in real time. Pure.

Jobs take turns at a model's limit, so while a job sends a line, each other one sends one at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from ..service.records import Job

MOST_JOBS = 100
"""Open jobs that are looked at, the newest ones: each is a read of its record."""

OtherLines: TypeAlias = Mapping[str, int]
"""How many lines of each model another job may send before as many of the job's own are sent."""


def other_lines(own: Job, jobs: Iterable[Job], now: float) -> list[OtherLines]:
    """
    The lines of other jobs that may take turns with those of the job `own`.

    A job counts until it ends, with all of its lines: those that wait for batches may be sent at
    any time, and those that have been sent already are not known.
    """
    found = [
        {
            name: min(count, own.models[name])
            for name, count in job.models.items()
            if name in own.models
        }
        for job in jobs
        if job.id != own.id and _may_send(job, now)
    ]
    return [one for one in found if one]


def _may_send(job: Job, now: float) -> bool:
    """Whether the job may send further lines."""
    is_on = job.status in {"validating", "in_progress"} and job.reason is None
    return is_on and job.waits_for is None and now < job.expires_at


def turns_of_others(
    others: Sequence[OtherLines], seconds_of: Mapping[str, float], average: float, own: float
) -> float:
    """
    Seconds that the lines of others take while a job's own lines take `own` seconds.

    A line of a model takes as many seconds as the job's own, `seconds_of` the model or on
    `average`. Each other job takes as long as the job at most.
    """
    return sum(
        min(own, sum(count * seconds_of.get(name, average) for name, count in one.items()))
        for one in others
    )
