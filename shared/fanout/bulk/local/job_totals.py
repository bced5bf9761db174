"""The totals of this machine's jobs as they are now, also on a disk that is full."""

from __future__ import annotations

from msgspec.structs import replace

from ..activity import NOT_RUNNING, Activity
from ..service.records import Job
from ..totals import Totals
from .activity_files import ActivityFiles
from .job_progress import SQLiteJobProgress
from .sqlite import Database


class JobTotals:
    """
    The totals of each job: in memory if it runs here, else from the database and its activity file.

    `_progress` has the jobs that run here. It begins with the counts of the database, which are old
    if the disk was full. Until it has read the stored results, `_known` is nearer to the truth.
    Counts only grow, so those with more lines are newer.
    """

    def __init__(self, database: Database, activities: ActivityFiles) -> None:
        self._database = database
        self._activities = activities
        self._progress: dict[str, SQLiteJobProgress] = {}
        self._known: dict[str, Totals] = {}

    def open(self, job_id: str, progress: SQLiteJobProgress) -> SQLiteJobProgress:
        """Count with this progress, instead of an earlier one of the job."""
        self.know(job_id, self.unwritten(job_id))
        self._progress[job_id] = progress
        return progress

    def know(self, job_id: str, totals: Totals | None) -> None:
        """Note counts that an earlier run could not write to the database."""
        if totals is not None:
            self._known[job_id] = totals

    def forget(self, job_id: str) -> None:
        """The job does not run here any more."""
        self._progress.pop(job_id, None)
        self._known.pop(job_id, None)

    async def totals(self, job: Job, activity: Activity | None, *, is_ours: bool) -> Totals:
        """
        The job's totals, with its `activity` if it runs here, else with that of another process.

        `is_ours` says that a task of this process runs the job, or waits until it may.
        """
        total = await self._counted(job.id)
        if job.is_over or activity is not None:
            return replace(total, activity=None if job.is_over else activity)
        found, counts = await self._activities.read(job.id)
        if found is not None and NOT_RUNNING in found.waits and (is_ours or job.waits_for):
            found = None
        return replace(_newer(total, counts), activity=found)

    async def _counted(self, job_id: str) -> Totals:
        if (progress := self._progress.get(job_id)) is not None:
            total = await progress.total()
        else:
            total = Totals()
            for _, totals in (await self._database.shard_totals(job_id)).values():
                total.add(totals)
        return _newer(total, self._known.get(job_id))

    def unwritten(self, job_id: str) -> Totals | None:
        """The counts without examples, if the database does not have them."""
        progress, known = self._progress.get(job_id), self._known.get(job_id)
        if progress is None:
            return known
        if known is not None and known.lines > progress.lines:
            return known
        return progress.unwritten


def _newer(stored: Totals, known: Totals | None) -> Totals:
    """Those of the two with more lines; the examples are those that are stored."""
    if known is None or known.lines <= stored.lines:
        return stored
    return replace(known, examples=stored.examples)
