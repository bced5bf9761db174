"""
What starts a job on AWS: the API's `{"job": id}`, a request by hand, an object in the inbox.

Each may come twice (a retried step, an event that EventBridge delivers again), and makes one job.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from ...errors import NotFound, RequestError
from ...schema.validation import convert
from ..input.lines import ENDPOINT, BadLine
from ..service.batches import NewJob
from ..service.records import FileRecord, Job
from .batch_service import AWSBatchService
from .job_progress import KEPT

INBOX, OUTBOX = "inbox/", "outbox/"
PRIVATE = ("jobs/", "uploads/")
"""Where what is under way is."""

OWNER = "master"
CREATED = "Object Created"
"""The `detail-type` of S3's events; see
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html."""


class Execution(Struct, frozen=True):
    """A run of the state machine: its ARN, and when it began."""

    id: str
    started: datetime

    @property
    def mark(self) -> str:
        """An id's end that is always the same for this run, and sorts by its time."""
        digest = hashlib.sha256(self.id.encode()).hexdigest()
        return f"{int(self.started.timestamp() * 1_000_000):014x}{digest[:12]}"


class _ById(Struct, frozen=True, forbid_unknown_fields=True):
    job: str


class StartRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """
    The state machine's input from somebody who may start it.

    `input` is an object of the stack's bucket, `output` what its results' keys begin with.
    """

    input: str
    output: str | None = None
    model: str | None = None
    max_cost_usd: float | None = None
    completion_window: str = "24h"


class _Object(Struct, frozen=True):
    key: str
    sequencer: str = ""


class _Bucket(Struct, frozen=True):
    name: str


class _Detail(Struct, frozen=True):
    bucket: _Bucket
    object: _Object


class _Event(Struct, frozen=True):
    detail: _Detail


def job_of(given: object, execution: Execution) -> str:
    """The id of the job that an execution of this input is about."""
    named = given.get("job") if isinstance(given, Mapping) else None
    return named if isinstance(named, str) else f"batch_{execution.mark}"


class JobStarter:
    """What the state machine is started with, as jobs; `check` refuses a model by `BadLine`."""

    def __init__(self, bulk: AWSBatchService, bucket: str, check: Callable[[str], None]) -> None:
        self._bulk = bulk
        self._bucket = bucket
        self._check = check

    async def take(self, given: object, execution: Execution) -> str | None:
        """
        The job's id; `None` where there is nothing to do, as another execution has it.

        `RequestError` says what is wrong with the input.
        """
        if not isinstance(given, Mapping):
            raise RequestError("the input must be a JSON object")
        if "job" in given:
            return await self._known(convert(given, _ById).job)
        if given.get("detail-type") != CREATED:
            return await self._create(convert(given, StartRequest), execution)
        detail = convert(given, _Event).detail
        if detail.object.key.endswith("/"):
            return None  # what the console calls a folder
        asked = self._inbox(detail)
        name = f"{detail.object.key}#{detail.object.sequencer}"
        until = int(execution.started.timestamp()) + KEPT
        if await self._bulk.table.claim("inbox", name, execution.id, until) != execution.id:
            return None
        return await self._create(asked, execution)

    async def _known(self, job_id: str) -> str:
        try:
            return (await self._bulk.jobs.find(job_id, None)).id
        except NotFound:
            raise RequestError(f"there is no job `{job_id[:80]}`", "job") from None

    def _inbox(self, detail: _Detail) -> StartRequest:
        """`inbox/MODEL/NAME.jsonl`; without a MODEL the lines name their own."""
        key = detail.object.key
        if not key.startswith(INBOX) or not key.endswith(".jsonl"):
            raise RequestError(f"`{key[:200]}` is not `{INBOX}MODEL/NAME.jsonl`", "input")
        place = key.removeprefix(INBOX)
        return StartRequest(
            input=f"s3://{detail.bucket.name}/{key}",
            output=f"s3://{detail.bucket.name}/{OUTBOX}{place.removesuffix('.jsonl')}.",
            model=place.rpartition("/")[0] or None,
        )

    async def _create(self, asked: StartRequest, execution: Execution) -> str:
        """The job of a request; made once, however often it is asked for."""
        job = self._draft(asked, execution)
        try:
            return (await self._bulk.jobs.find(job.id, None)).id
        except NotFound:
            pass
        source = self._key(asked.input, "input")
        files = self._bulk.files
        try:  # a copy of our own: the object may change while the job runs
            await files.blobs.join([source], job.input_key)
        except FileNotFoundError:
            raise RequestError(f"there is no object `{asked.input[:200]}`", "input") from None
        await files.register(job.input_key, source.rpartition("/")[2], "batch", OWNER)
        await self._bulk.jobs.registry.create(job.id, job)
        return job.id

    def _draft(self, asked: StartRequest, execution: Execution) -> Job:
        for model in asked.model.split(",") if asked.model else ():
            try:
                self._check(model.strip())
            except BadLine as error:
                raise RequestError(str(error), "model") from None
        self._key(asked.input, "input")
        name = f"file-{execution.mark}"
        file = FileRecord(
            id=name, bytes=0, created_at=0, filename="", purpose="batch", owner=OWNER,
            key=f"files/{name}",
        )  # fmt: skip
        new = NewJob(
            input_file_id=name,
            endpoint=ENDPOINT,
            completion_window=asked.completion_window,
            model=asked.model,
            max_cost_usd=asked.max_cost_usd,
        )
        job_id = f"batch_{execution.mark}"
        output = OUTBOX + f"{job_id}/"
        if asked.output is not None:
            output = self._key(asked.output, "output")
        return replace(self._bulk.jobs.draft(new, file, OWNER), id=job_id, deliver_to=output)

    def _key(self, url: str, param: str) -> str:
        """The key in the stack's bucket that an `s3://` address names."""
        start = f"s3://{self._bucket}/"
        key = url.removeprefix(start)
        if not url.startswith(start) or not key:
            raise RequestError(f"`{param}` must be in this stack's bucket: `{start}…`", param)
        if param == "output" and not key.startswith(OUTBOX):
            raise RequestError(f"`output` must begin with `{start}{OUTBOX}`", param)
        if param == "input" and key.startswith(PRIVATE):
            raise RequestError(f"`input` may not be below `{start}jobs/` or `uploads/`", param)
        return key
