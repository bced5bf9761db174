"""
The accounts of virtual keys, for their jobs: whose rights a job has, and who pays for it.

`charged_job.py` charges the lines while they are sent.
"""

from __future__ import annotations

from collections.abc import Callable

from ..bulk.service.records import Job
from ..bulk.store import JobProgress
from ..bulk.totals import Totals
from ..config.catalog import Catalog, ClientKey
from .account import account_key, limit_of
from .charged_job import ChargedJob
from .clients import models_of
from .groups import shared_account, shared_models
from .items import Item
from .job_rows import JobRows, charged_parts
from .ledger import KeyLedger

REST = "rest"
"""The part of a job that has what the runs of no other part have charged."""


class KeyAccounts:
    """The accounts of a ledger, for the jobs of virtual keys."""

    def __init__(self, ledger: KeyLedger, catalog: Catalog) -> None:
        self.ledger = ledger
        self._general = catalog.general

    def close(self) -> None:
        """Close the store."""
        self.ledger.store.close()

    async def client(self, job: Job) -> ClientKey:
        """The job's client, without any models if its key is not valid any more."""
        models: frozenset[str] | None = frozenset()
        if (item := await self._find(job)) is not None:
            models = models_of(item)
            if (shared := await shared_account(self.ledger, item)) is not None:
                models = shared_models(models, models_of(shared))
        return ClientKey(job.owner, None, models)

    async def has_budget(self, job: Job) -> bool:
        """Whether the key has a budget, so that the price of each model must be known."""
        if self._general.unpriced_models != "reject" or (item := await self._find(job)) is None:
            return False
        shared = await shared_account(self.ledger, item)
        payers = [item] if shared is None else [item, shared]
        return any(limit_of(one, "max_budget") is not None for one in payers)

    async def charged(
        self,
        job: Job,
        progress: JobProgress,
        *,
        part: str = "",
        own: Callable[[], Totals] | None = None,
    ) -> ChargedJob:
        """
        The progress of a job that its key pays for.

        On AWS, it is that of a worker: `part` is its shard, and `own` has the totals of its lines.
        """
        item = await self._find(job)
        rows = JobRows(self.ledger, job, str(job.account), part)
        charged = ChargedJob(progress, rows, item, own)
        await charged.open()
        shared = None if item is None else await shared_account(self.ledger, item)
        if shared is not None:
            rows = JobRows(self.ledger, job, shared["id"], part)
            charged = ChargedJob(charged, rows, shared, own)
            await charged.open()
        return charged

    async def settle(self, job: Job) -> None:
        """
        Charge what the stored lines of an ended job have cost and no row has; it may be repeated.

        So a worker that was killed, and whose shard no other one took over, leaves nothing open.
        """
        parts = await charged_parts(self.ledger, job)
        if job.totals is None or len(parts) > 2:  # noqa: PLR2004 -- the key, and what it shares
            return  # nothing is stored, or the key has changed its team meanwhile
        for account, items in parts.items():
            item = await self.ledger.store.get(account_key(account))
            if item is None:
                continue
            rest = JobRows(self.ledger, job, account, REST)
            known = await rest.take()
            due = rest.used_by(job.totals).minus(known)
            for part, found in items.items():
                if part != REST:
                    rows = JobRows(self.ledger, job, account, part)
                    due = due.minus(await rows.take() if found["rows"] else rows.charged_by(found))
            if due.cost > 0:
                await rest.charge(item, known, due)

    async def _find(self, job: Job) -> Item | None:
        return await self.ledger.store.get(account_key(str(job.account)))
