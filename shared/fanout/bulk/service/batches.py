"""
Batches as clients see them: create, list, cancel, retry.

A `Host` starts them, `runner.py` runs them.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from ...errors import NotFound, RequestError
from ..input import lines
from ..input.job_source import JobSource
from ..lanes import NativeChoice, choose_native
from ..store import Change, RecordStore
from ..totals import Totals
from .deletion import delete_job, delete_names
from .failed_lines import failed_lines
from .file_records import FileRecord, job_of_output
from .files import FileService
from .host import Host
from .line_names import names_for_retry
from .new_job import NewJob, check_endpoint, check_metadata, cost_cap, parse_lifetime, parse_window
from .records import Job
from .registry import Page, Registry, Report, new_id
from .webhooks import Webhook

ENDING = frozenset({"cancelling", "finalizing"})
"""Statuses of a job that will soon be over."""

NO_NATIVE = (
    "a virtual key's lines are sent in real time or on the flex tier, where each counts against its"
    " budget: leave `native` out, or use a key of `general_settings`"
)


def job_registry(table: RecordStore, report: Report = lambda _id, _error: None) -> Registry[Job]:
    """The jobs of a table; those that are not over, or owe a webhook, are listed apart."""
    return Registry(
        table,
        "batch",
        Job,
        lambda job: job.owner,
        report,
        is_open=lambda job: not job.is_over or job.owed_webhook is not None,
    )


class JobService:
    """The operations of `/v1/batches`."""

    def __init__(
        self, files: FileService, table: RecordStore, host: Host, now: Callable[[], float]
    ) -> None:
        self.files = files
        files.is_used = self._is_input
        self._table = table
        self.registry = job_registry(table, files.report)
        self._host = host
        self._now = now

    async def create(
        self,
        new: NewJob,
        owner: str,
        webhook: Webhook | None = None,
        account: str | None = None,
    ) -> Job:
        """
        Create and start a job; errors inside its file are found later, when it is validated.

        `webhook` is the checked one of `new`, `account` that of a virtual key.
        """
        check_endpoint(new)
        _ = self.native(new), new.cache, new.order  # checks them, the lane and the window
        file = await self._input(new.input_file_id, owner)
        job = self.draft(new, file, owner, webhook)
        if account is not None:
            if job.native == "require":
                raise RequestError(NO_NATIVE, "fanout.native")
            job = replace(job, account=account, native="never")
        return await self.add(job)

    def draft(
        self, new: NewJob, file: FileRecord, owner: str, webhook: Webhook | None = None
    ) -> Job:
        """
        A job that is not stored yet; raises `RequestError` for an invalid option.

        `webhook` is the checked one of `new`.
        """
        check_metadata(new.metadata)
        return replace(
            self._new(file, owner, parse_window(new.completion_window)),
            completion_window=new.completion_window,
            model=new.model,
            max_cost=cost_cap(new.max_cost_usd),
            metadata=new.metadata,
            output_lifetime=parse_lifetime(new.output_expires_after, "output_expires_after"),
            lane=new.lane,
            webhook=webhook,
            keep_input=new.fanout is None or new.fanout.keep_input,
            native=self.native(new),
            cache=new.cache,
            order=new.order,
            endpoint=lines.EMBEDDINGS if new.endpoint in lines.EMBEDDING_URLS else lines.ENDPOINT,
        )

    @property
    def has_batches(self) -> bool:
        """Whether the host sends lines by the providers' own batches."""
        return self._host.has_batches

    @property
    def has_accounts(self) -> bool:
        """Whether virtual keys may have jobs."""
        return self._host.has_accounts

    def native(self, new: NewJob) -> NativeChoice:
        """Whether the job's lines go by batches; raises `RequestError` if they cannot here."""
        given = new.fanout.native if new.fanout else None
        return choose_native(given, new.lane, has_batches=self._host.has_batches)

    async def add(self, job: Job) -> Job:
        """Store a job and start it."""
        await self.registry.create(job.id, job)
        await self.run(job)
        return job

    async def run(self, job: Job) -> None:
        """Start a job, unless it is running."""
        await self._host.start(job.id)

    def _new(self, file: FileRecord, owner: str, window: int) -> Job:
        now = self._now()
        return Job(
            id=new_id("batch_", now),
            host=self._host.name,
            config=self._host.config,
            owner=owner,
            input_file_id=file.id,
            input_key=file.key,
            completion_window="",
            created_at=int(now),
            expires_at=int(now) + window,
        )

    async def _input(self, file_id: str, owner: str) -> FileRecord:
        try:
            file = await self.files.find(file_id, owner)
        except NotFound:
            raise RequestError(f"there is no file `{file_id[:80]}`", "input_file_id") from None
        if file.purpose != "batch":
            raise RequestError(
                f"the file's purpose is `{file.purpose}`, not `batch`", "input_file_id"
            )
        await self.files.check_bytes(file)
        return file

    async def _is_input(self, key: str) -> bool:
        """Whether an unfinished job has this key as its input, or among its earlier outputs."""

        def reads(job: Job) -> bool:
            return not job.is_over and (job.input_key == key or key in job.earlier_outputs)

        return any(map(reads, await self.registry.all_open()))

    async def find(self, job_id: str, client: str | None) -> Job:
        """The client's job; `NotFound` if it is missing or another client's."""
        return await self.registry.find(job_id, client)

    async def writer_of(self, file_id: str, client: str) -> Job | None:
        """The client's job that is writing this output file; `None` if there is none."""
        job_id = job_of_output(file_id)
        if job_id is None:
            return None
        try:
            job = await self.find(job_id, client)
        except NotFound:
            return None
        return None if job.is_over else job

    async def page(self, client: str | None, *, after: str | None, limit: int) -> Page[Job]:
        """The client's jobs, newest first, one page of them."""
        return await self.registry.page(client, after=after, limit=limit)

    async def totals(self, job: Job) -> Totals:
        """The job's totals: exact when it is over, about a second old while it runs."""
        return job.totals or await self._host.totals(job)

    async def cancel(self, job_id: str, client: str | None) -> Job:
        """Cancel the job: lines in flight have some seconds to finish, finished lines are kept."""
        await self.find(job_id, client)

        def change(job: Job) -> Job | None:
            if job.is_over:
                raise RequestError(f"Cannot cancel a batch with status '{job.status}'.", "id")
            if job.status in ENDING:
                return None
            return replace(
                job, status="cancelling", cancelling_at=int(self._now()), reason="cancelled"
            )

        return await self.registry.change(job_id, change)

    async def delete(self, job_id: str, client: str | None) -> None:
        """Delete a job that is over, that nothing runs or whose record is damaged, and its data."""
        job = await self.registry.find_or_delete(job_id, client)
        if job is None:
            await self.files.blobs.delete(f"jobs/{job_id}")
        elif job.is_over or (await self.totals(job)).is_stopped:
            await delete_job(self.files, self._table, self.registry, job)
        else:
            first = "wait for its end" if job.status in ENDING else "cancel it first"
            raise RequestError(f"Cannot delete a batch with status '{job.status}': {first}.", "id")
        await self._host.forget(job_id)

    # ---- retry ----

    async def retry(self, job_id: str, client: str, *, max_cost: int | None = None) -> Job:
        """
        The job of the failed lines; its output has the earlier responses, too.

        A job is retried once: another call returns the same retry, and starts it if it was stopped.
        """
        old = await self.find(job_id, client)
        if not old.is_over or old.error_file_id is None:
            raise RequestError(f"the job is {old.status} and has no failed lines to retry", "id")
        job: Job | None = None
        while True:
            known = await self._table.get("retry", old.id)
            found = (
                None
                if known is None
                else await self._retry_of(known.decode(errors="replace"), max_cost)
            )
            if found is not None and found.is_over and found.reason in {"refused", "unfunded"}:
                return await self.retry(found.id, client, max_cost=max_cost)
            if found is None:
                job = job or await self._new_retry(old, max_cost)
                pointer = Change("retry", old.id, job.id.encode(), known)
                if not await self.registry.create_with(job.id, job, pointer):
                    continue
                found = job
            elif job is not None:
                await self.files.delete(job.input_file_id, job.owner)
                await delete_names(self.files, job)
            if not found.is_over:
                await self.run(found)
            return found

    async def _retry_of(self, job_id: str, max_cost: int | None) -> Job | None:
        """
        An earlier retry, with this cap if there is one.

        `None` if it is gone or failed, unless it ended because every call was rejected.
        """

        def set_cap(job: Job) -> Job | None:
            is_same = max_cost is None or job.max_cost == max_cost
            return None if job.is_over or is_same else replace(job, max_cost=max_cost)

        try:
            job = await self.registry.change(job_id, set_cap)
        except NotFound:
            return None
        return None if job.status == "failed" and job.reason != "refused" else job

    async def _new_retry(self, old: Job, max_cost: int | None) -> Job:
        """A job of the failed lines, not stored yet."""
        key = self.files.new_key()
        await self.files.blobs.write(key, failed_lines(self.files, old))
        file = await self.files.register(key, f"retry-of-{old.id}.jsonl", "batch", old.owner)
        earlier: list[str] = []
        if old.output_file_id is not None:
            earlier = [(await self.files.find(old.output_file_id, None)).key]
        return replace(
            self._new(file, old.owner, parse_window(old.completion_window)),
            completion_window=old.completion_window,
            model=old.model,
            max_cost=old.max_cost if max_cost is None else max_cost,
            metadata=old.metadata,
            output_lifetime=old.output_lifetime,
            lane=old.lane,
            webhook=old.webhook and old.webhook.restarted(),
            keep_input=old.keep_input,
            native=old.native,
            cache=old.cache,
            order=old.order,
            endpoint=old.endpoint,
            retry_of=old.id,
            earlier_outputs=earlier,
            source=_with_rows(old),
            names=await names_for_retry(self.files, old) if old.order == "input" else None,
            account=old.account,
            config_path=old.config_path,
        )


def _with_rows(job: Job) -> JobSource | None:
    """The source of a job's retry, whose own input has only the failed lines."""
    source = job.source
    return replace(source, key=source.key or job.input_key) if source else None
