"""
Who pays for the jobs of virtual keys. Protocols; `keys/jobs.py` has what charges the keys.

A job of a key of the config has no account, and the rights of its key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ...config.catalog import ClientKey
from ...errors import StorageError
from ..service.records import Job
from ..store import JobProgress
from ..totals import Totals


class ChargedProgress(JobProgress, Protocol):
    """
    A job's progress that also reserves each line's cost of the key, and charges the key for it.

    A line starts if both the job's cap and the key's budget permit it.
    """

    def current_client(self) -> ClientKey:
        """The job's client, with the rights that its key has now."""
        ...


class JobAccounts(Protocol):
    """The accounts of virtual keys, for their jobs."""

    def close(self) -> None:
        """Close their store; nothing is called after it."""
        ...

    async def client(self, job: Job) -> ClientKey:
        """The job's client; one without any rights if the key is not valid any more."""
        ...

    async def has_budget(self, job: Job) -> bool:
        """Whether the key has a budget, so that the price of each model must be known."""
        ...

    async def charged(
        self,
        job: Job,
        progress: JobProgress,
        *,
        part: str = "",
        own: Callable[[], Totals] | None = None,
    ) -> ChargedProgress:
        """
        The progress of a job that its key pays for.

        If `part` names one of several parts that workers run at the same time, `own` has the totals
        of all lines of this part.
        """
        ...

    async def settle(self, job: Job) -> None:
        """Charge what stored lines of an ended job have cost that had parts; may be repeated."""
        ...


def required(accounts: JobAccounts | None) -> JobAccounts:
    """The accounts; raises `StorageError` if this process has none."""
    if accounts is None:
        raise StorageError("virtual keys", "this process cannot charge the job's key")
    return accounts
