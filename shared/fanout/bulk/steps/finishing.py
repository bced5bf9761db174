"""The last step: join the results into files, and close the job."""

from __future__ import annotations

from msgspec.structs import replace

from ...errors import StorageFull
from ..service.records import Job
from ..work.finisher import FinishResult, FinishSpec, output_bytes
from ..work.finisher import finish as join_results
from ..work.spec import line_cost
from . import transitions
from .host import JobHost


async def finish(host: JobHost, job: Job) -> Job:
    """Join the results into files, and close the job."""
    output = f"files/{job.future_output_id}"
    errors = f"{output[:-1]}e"
    folder = f"jobs/{job.id}"
    hedged = await host.native_host().hedged(job) if host.uses_batches(job) else None
    spec = FinishSpec(
        job.input_key,
        output,
        errors,
        folder,
        job.model,
        transitions.SKIP_REASONS[job.reason] if job.reason else None,
        tuple(job.earlier_outputs),
        ordered_at_once=host.options.ordered_at_once if job.order == "input" else 0,
        names=job.names,
    )
    finished = await _joined(host, job, spec)
    ids: list[str | None] = []
    for key, size, kind in (
        (output, finished.output_size, "output"),
        (errors, finished.errors_size, "error"),
    ):
        if size:
            record = await host.files.register(
                key, f"{job.id}_{kind}.jsonl", "batch_output", job.owner, job.output_lifetime
            )
        ids.append(record.id if size else None)
    if hedged is not None:
        finished.totals.add(hedged)
    closed = await host.jobs.change(
        job.id,
        lambda found: replace(
            transitions.ended(found, int(host.now())),
            totals=finished.totals,
            output_file_id=ids[0],
            error_file_id=ids[1],
        ),
    )
    await host.blobs.delete(folder)
    if host.uses_batches(job):
        ledger = host.native_host().ledger(job)
        rows = await ledger.rows() if host.options.ends_batches_later else ()
        if not any(row.is_to_cancel for row in rows):  # else its last turn clears it
            await ledger.clear()
    await host.files.delete_orphan(job.input_file_id, job.input_key)
    return closed


async def _joined(host: JobHost, job: Job, spec: FinishSpec) -> FinishResult:
    """The joined results; raises `NoRoomForOutput` if a disk is full."""
    results = host.results(job)
    try:
        progress, cost = host.progress(job), line_cost(job, host.costs)
        return await join_results(spec, host.shards(job), host.blobs, results, progress, cost)
    except StorageFull as error:
        size = await output_bytes(spec, host.shards(job), host.blobs, results)
        raise NoRoomForOutput(error, size) from None


class NoRoomForOutput(StorageFull):
    """The results are all stored, and there is no room for the files that they are joined to."""

    def __init__(self, error: StorageFull, size: int) -> None:
        super().__init__(error.path, error.reason)
        self.cause = (
            f"all calls are done and their results are stored; the files of the job, of about"
            f" {size:,} bytes, need as much room: {error.cause}"
        )
