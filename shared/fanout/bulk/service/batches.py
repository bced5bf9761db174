"""
Batches as their callers see them: created, listed, cancelled, tried again.

Who runs them is the `Host`'s business; how one is run, `run.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Collection
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from ...errors import NotFound, RequestError
from ...schema.validation import convert
from ...wire import json
from ..input import lines
from ..input.planner import iter_lines
from ..store import RecordStore
from ..totals import Totals
from .files import MONTH, FileService
from .records import FileRecord, Job
from .registry import Page, Registry, new_id

HOUR = 3600
WINDOWS = (HOUR, 14 * 24 * HOUR)
MAX_PAIRS, MAX_NAME, MAX_VALUE = 16, 64, 512


class NewJob(Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/batches`: OpenAI's fields, and the last three, which are ours."""

    input_file_id: str
    endpoint: str
    completion_window: str = "24h"
    metadata: dict[str, str] | None = None
    output_expires_after: dict[str, str | int] | None = None
    model: str | None = None
    max_cost_usd: float | None = None
    dry_run: bool = False


class Host(Protocol):
    """Runs jobs."""

    @property
    def name(self) -> str:
        """What a job's record calls it."""
        ...

    async def start(self, job_id: str) -> None:
        """See to it that the job is run to its end."""
        ...

    async def totals(self, job: Job) -> Totals:
        """What a job has come to so far."""
        ...


class JobService:
    """Everything that `/v1/batches` asks for."""

    def __init__(
        self, files: FileService, table: RecordStore, host: Host, now: Callable[[], float]
    ) -> None:
        self.files = files
        files.is_used = self._is_read
        self.registry = Registry(table, "batch", Job, lambda job: job.owner)
        self._host = host
        self._now = now

    async def create(self, asked: NewJob, owner: str, allowed: Collection[str] | None) -> Job:
        """A job in `validating`; what is wrong inside its file is found after that."""
        check_endpoint(asked)
        parse_window(asked.completion_window)
        file = await self._input(asked.input_file_id, owner)
        return await self.add(self.draft(asked, file, owner, allowed))

    def draft(
        self,
        asked: NewJob,
        file: FileRecord,
        owner: str,
        allowed: Collection[str] | None = None,
    ) -> Job:
        """A job that is not kept yet; what is wrong with what was asked is told."""
        _check_metadata(asked.metadata)
        if asked.max_cost_usd is not None and asked.max_cost_usd <= 0:
            raise RequestError("`max_cost_usd` must be above 0", "max_cost_usd")
        return replace(
            self._new(file, owner, parse_window(asked.completion_window)),
            completion_window=asked.completion_window,
            allowed=None if allowed is None else sorted(allowed),
            model=asked.model,
            max_cost_usd=asked.max_cost_usd,
            metadata=asked.metadata,
            output_lifetime=parse_lifetime(asked.output_expires_after, "output_expires_after"),
        )

    async def add(self, job: Job) -> Job:
        """Keep a job and have it run."""
        await self.registry.create(job.id, job)
        await self.run(job)
        return job

    async def run(self, job: Job) -> None:
        """Have it run, unless it does."""
        await self._host.start(job.id)

    def _new(self, file: FileRecord, owner: str, window: int) -> Job:
        now = self._now()
        return Job(
            id=new_id("batch_", now),
            host=self._host.name,
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
        return file

    async def _is_read(self, key: str) -> bool:
        """Whether a job that is not over has these bytes as its input, or as earlier answers."""

        def reads(job: Job) -> bool:
            return not job.is_over and (job.input_key == key or key in job.extra)

        found = await self.registry.page(None, after=None, limit=1, keep=reads)
        return bool(found.records)

    async def find(self, job_id: str, caller: str | None) -> Job:
        """The caller's job."""
        return await self.registry.find(job_id, caller)

    async def page(self, caller: str | None, *, after: str | None, limit: int) -> Page[Job]:
        """The caller's jobs, newest first."""
        return await self.registry.page(caller, after=after, limit=limit)

    async def totals(self, job: Job) -> Totals:
        """Its counts: exact once it is over, as they move until then."""
        return job.totals or await self._host.totals(job)

    async def cancel(self, job_id: str, caller: str | None) -> Job:
        """Ask for its end; lines under way have some seconds, finished ones are kept."""
        await self.find(job_id, caller)

        def change(job: Job) -> Job | None:
            if job.is_over:
                raise RequestError(f"Cannot cancel a batch with status '{job.status}'.", "id")
            if job.status in {"cancelling", "finalizing"}:
                return None
            return replace(
                job, status="cancelling", cancelling_at=int(self._now()), reason="cancelled"
            )

        return await self.registry.change(job_id, change)

    # ---- again ----

    async def retry(self, job_id: str, caller: str, *, max_cost_usd: float | None = None) -> Job:
        """A job of just the failed lines, whose output will have the earlier answers too."""
        old = await self.find(job_id, caller)
        if not old.is_over or old.error_file_id is None:
            raise RequestError(f"the job is {old.status} and has no failed lines to do again", "id")
        errors = await self.files.find(old.error_file_id, None)
        names = {name async for name in self._names(errors)}
        key = self.files.new_key()
        await self.files.blobs.write(key, self._again(old, names))
        file = await self.files.register(key, f"retry-of-{old.id}.jsonl", "batch", old.owner)
        extra = []
        if old.output_file_id is not None:
            extra = [(await self.files.find(old.output_file_id, None)).key]
        job = replace(
            self._new(file, old.owner, parse_window(old.completion_window)),
            completion_window=old.completion_window,
            allowed=old.allowed,
            model=old.model,
            max_cost_usd=max_cost_usd or old.max_cost_usd,
            metadata=old.metadata,
            output_lifetime=old.output_lifetime,
            retry_of=old.id,
            extra=extra,
        )
        return await self.add(job)

    async def _names(self, errors: FileRecord) -> AsyncIterator[str]:
        async for _, _, _, line in iter_lines(self.files.content(errors)):
            yield json.decode(line)["custom_id"]

    async def _again(self, old: Job, names: set[str]) -> AsyncIterator[bytes]:
        source = self.files.blobs.read(old.input_key)
        async for number, _, _, data in iter_lines(source):
            if data:
                line = lines.read_line(data, number, old.model)
                if line.custom_id in names:
                    yield lines.asked(line) if line.fault is None else data + b"\n"


def check_endpoint(asked: NewJob) -> None:
    """There is one that a batch may have."""
    if asked.endpoint != lines.ENDPOINT:
        raise RequestError(f"`endpoint` must be {lines.ENDPOINT}", "endpoint")


def parse_window(text: str) -> int:
    """Seconds of a `completion_window`, `1h` to `14d`."""
    found = re.fullmatch(r"([1-9]\d{0,3})([hd])", text)
    seconds = int(found[1]) * (HOUR if found[2] == "h" else 24 * HOUR) if found else 0
    if not WINDOWS[0] <= seconds <= WINDOWS[1]:
        raise RequestError(
            "`completion_window` must be between `1h` and `14d`, such as `24h`", "completion_window"
        )
    return seconds


def parse_lifetime(given: dict[str, str | int] | None, param: str) -> int | None:
    """Seconds of an `expires_after`."""
    if given is None:
        return None
    try:
        seconds = int(given.get("seconds", 0))
    except ValueError:
        seconds = 0
    if given.get("anchor") != "created_at" or not HOUR <= seconds <= MONTH:
        raise RequestError(
            f"`{param}` must have `anchor: created_at` and `seconds` from {HOUR} to {MONTH}", param
        )
    return seconds


def _check_metadata(metadata: dict[str, str] | None) -> None:
    pairs = metadata or {}
    if len(pairs) > MAX_PAIRS or any(
        len(name) > MAX_NAME or len(value) > MAX_VALUE for name, value in pairs.items()
    ):
        raise RequestError(
            f"`metadata` may have {MAX_PAIRS} pairs, names of {MAX_NAME} and values of {MAX_VALUE} "
            "characters",
            "metadata",
        )


def parse_new_job(body: object) -> NewJob:
    """The body of a request, checked."""
    return convert(body, NewJob)
