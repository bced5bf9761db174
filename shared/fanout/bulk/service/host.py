"""What the service of batches needs of the host that runs its jobs."""

from __future__ import annotations

from typing import Protocol

from ..totals import Totals
from .records import Job


class Host(Protocol):
    """What runs jobs: this process, or a state machine on AWS."""

    @property
    def has_batches(self) -> bool:
        """Whether it sends lines by the providers' own batches."""
        ...

    @property
    def has_accounts(self) -> bool:
        """Whether it charges jobs to virtual keys."""
        ...

    @property
    def name(self) -> str:
        """The value of `host` in its jobs' records."""
        ...

    @property
    def config(self) -> str | None:
        """The digest of its models, for hosts that may share a store."""
        ...

    async def start(self, job_id: str) -> None:
        """Start the job; the host runs it to its end."""
        ...

    async def forget(self, job_id: str) -> None:
        """Delete what the host itself has of a job whose record is deleted."""
        ...

    async def totals(self, job: Job) -> Totals:
        """The totals of a job so far."""
        ...
