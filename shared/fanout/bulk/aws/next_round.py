"""The next round of a job: the manifest of its incomplete shards, and when it may start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...wire import json
from ..activity import Activity
from ..input.planner import Shard
from ..service.records import Job
from .batch_service import Stores
from .s3 import once
from .step_payloads import Finished
from .sync_schedule import max_workers

if TYPE_CHECKING:
    from .native_steps import JobBatches


async def next_round(
    job: Job, stores: Stores, everything: Sequence[Shard], batches: JobBatches | None
) -> Finished | None:
    """
    Write a manifest of the incomplete shards among `everything`; `None` if there are none.

    A shard whose lines all have results or wait for native batches is not in it.
    """
    progress = stores.progress(job, all_shards=True)
    shards = [one for one in everything if await progress.completed_totals(one.index) is None]
    if not shards:
        return None
    total = await progress.total()
    if batches is not None and batches.open:
        held = batches.held_by_shard(everything)
        lines = {one.index: await progress.stored_lines(one.index) for one in shards}
        shards = [one for one in shards if lines[one.index] + held[one.index] < one.lines]
        if not shards or batches.leave_nothing(job, total):
            return Finished(job.id, job.status, "work", lines=total.lines, hold=batches.hold)
    manifest = f"jobs/{job.id}/left.jsonl"
    left = b"".join(json.encode(shard) + b"\n" for shard in shards)
    await stores.blobs.write(manifest, once(left))
    activity = total.activity or Activity(0.0)
    at, now = activity.resumes_at, stores.now()
    pause = None if at is None else max(0.0, min(at, job.expires_at) - now)
    only_waits = pause is not None and activity.left >= job.total - total.lines
    return Finished(
        job.id,
        job.status,
        "work",
        manifest,
        total.lines,
        pause,
        only_waits,
        max_workers(job),
        batches.hold if batches is not None and batches.open else None,
    )
