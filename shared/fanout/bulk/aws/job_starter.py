"""
Creates a job from what started the state machine: the API, a request by hand, or an inbox object.

Step Functions may retry a step, and EventBridge may deliver an event twice. Both lead to one job.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias, assert_never

from msgspec import Struct
from msgspec.structs import replace

from ...errors import NotFound, RequestError
from ...wire import json
from ..input.lines import ENDPOINT, BadLine
from ..service.file_records import FileRecord
from ..service.new_job import BatchOptions, NewJob
from ..service.records import Job
from ..service.webhooks import FieldNames, NewWebhook, WebhookRules, check_webhook
from .batch_service import AWSBatchService
from .job_progress import RETENTION
from .s3 import once

INBOX, OUTBOX = "inbox/", "outbox/"
PRIVATE_PREFIXES = ("jobs/", "uploads/")
"""Where Fanout keeps the data of running jobs and uploads."""

OWNER = "master"
WEBHOOK_FIELDS = FieldNames("webhook.url", "webhook.secret")


class Execution(Struct, frozen=True):
    """An execution of the state machine: its ARN, and when it started."""

    id: str
    started: datetime

    @property
    def suffix(self) -> str:
        """The end of the ids that this execution creates: always the same, and sorted by time."""
        digest = hashlib.sha256(self.id.encode()).hexdigest()
        return f"{int(self.started.timestamp() * 1_000_000):014x}{digest[:12]}"

    @property
    def job_id(self) -> str:
        """The id of the job that this execution creates."""
        return f"batch_{self.suffix}"


class ExistingJob(Struct, frozen=True):
    """A job that the API has created."""

    job: str


class StartRequest(Struct, frozen=True):
    """
    A request by someone who is allowed to start the state machine.

    `input` is the address of an object in the stack's bucket; `output` is what the addresses of the
    results start with.
    """

    input: str
    output: str | None = None
    model: str | None = None
    max_cost_usd: float | None = None
    completion_window: str = "24h"
    lane: str | None = None
    webhook: NewWebhook | None = None
    cache: str | None = None
    native: str | None = None
    order: str | None = None


class InboxObject(Struct, frozen=True):
    """A new object; each version of it has a `sequencer` of its own."""

    bucket: str
    key: str
    sequencer: str


Start: TypeAlias = ExistingJob | StartRequest | InboxObject


class JobStarter:
    """
    Creates jobs in a stack.

    `check` raises `BadLine` for a model that may not be used; `rules` are those for webhooks.
    """

    def __init__(
        self,
        service: AWSBatchService,
        bucket: str,
        check: Callable[[str], None],
        rules: WebhookRules,
    ) -> None:
        self._service = service
        self._bucket = bucket
        self._check = check
        self._rules = rules

    async def start(self, start: Start, execution: Execution) -> str | None:
        """
        Return the job's id, or `None` if there is nothing to do: another execution has the job.

        `RequestError` names the field that is wrong.
        """
        match start:
            case ExistingJob():
                return await self._existing(start.job)
            case StartRequest():
                return await self._create(start, execution)
            case InboxObject():
                return await self._from_inbox(start, execution)
            case _:
                assert_never(start)

    async def report_rejected(
        self, new: InboxObject, execution: Execution, error: RequestError
    ) -> None:
        """
        Write the batch object of a job that `error` kept from being created.

        Its place is where the batch object would be at the job's end.
        """
        detail = error.detail
        at = int(execution.started.timestamp())
        line = {"code": detail.code, "message": detail.message, "param": detail.param, "line": None}
        batch = {
            "id": execution.job_id,
            "object": "batch",
            "endpoint": ENDPOINT,
            "status": "failed",
            "errors": {"object": "list", "data": [line]},
            "input_file_id": None,
            "created_at": at,
            "failed_at": at,
        }
        name = f"{_outbox(new)}batch.json"
        await self._service.files.blobs.write(name, once(json.encode(batch)))

    async def _existing(self, job_id: str) -> str:
        try:
            return (await self._service.jobs.find(job_id, None)).id
        except NotFound:
            raise RequestError(f"there is no job `{job_id[:80]}`", "job") from None

    async def _from_inbox(self, new: InboxObject, execution: Execution) -> str | None:
        if new.key.endswith("/"):
            return None  # S3's console creates such an object for an empty folder
        request = _inbox_request(new)
        name = f"{new.key}#{new.sequencer}"
        until = int(execution.started.timestamp()) + RETENTION
        if await self._service.table.claim("inbox", name, execution.id, until) != execution.id:
            return None
        return await self._create(request, execution)

    async def _create(self, request: StartRequest, execution: Execution) -> str:
        """Create the job of a request, unless an earlier attempt of this execution has done so."""
        job = self._draft(request, execution)
        try:
            return (await self._service.jobs.find(job.id, None)).id
        except NotFound:
            pass
        source = self._key(request.input, "input")
        files = self._service.files
        try:  # the job gets a copy: the object may change while the job runs
            await files.blobs.join([source], job.input_key)
        except FileNotFoundError:
            raise RequestError(f"there is no object `{request.input[:200]}`", "input") from None
        await files.register(job.input_key, source.rpartition("/")[2], "batch", OWNER)
        await self._service.jobs.registry.create(job.id, job)
        return job.id

    def _draft(self, request: StartRequest, execution: Execution) -> Job:
        for model in request.model.split(",") if request.model else ():
            try:
                self._check(model.strip())
            except BadLine as error:
                raise RequestError(str(error), "model") from None
        self._key(request.input, "input")
        name = f"file-{execution.suffix}"
        file = FileRecord(
            id=name, bytes=0, created_at=0, filename="", purpose="batch", owner=OWNER,
            key=f"files/{name}",
        )  # fmt: skip
        new = NewJob(
            input_file_id=name,
            endpoint=ENDPOINT,
            completion_window=request.completion_window,
            model=request.model,
            max_cost_usd=request.max_cost_usd,
            fanout=BatchOptions(
                lane=request.lane,
                cache=request.cache,
                native=request.native,
                order=request.order,
            ),
        )
        job_id = execution.job_id
        output = OUTBOX + f"{job_id}/"
        if request.output is not None:
            output = self._key(request.output, "output")
        given = request.webhook
        webhook = check_webhook(given, self._rules, WEBHOOK_FIELDS) if given else None
        draft = self._service.jobs.draft(new, file, OWNER, webhook)
        return replace(draft, id=job_id, deliver_to=output)

    def _key(self, url: str, param: str) -> str:
        """The key in the stack's bucket that an `s3://` address names."""
        start = f"s3://{self._bucket}/"
        key = url.removeprefix(start)
        if not url.startswith(start) or not key:
            raise RequestError(f"`{param}` must be in this stack's bucket: `{start}…`", param)
        if param == "output" and not key.startswith(OUTBOX):
            raise RequestError(f"`output` must begin with `{start}{OUTBOX}`", param)
        if param == "input" and key.startswith(PRIVATE_PREFIXES):
            raise RequestError(f"`input` may not be below `{start}jobs/` or `uploads/`", param)
        return key


def _inbox_request(new: InboxObject) -> StartRequest:
    """The request of `inbox/MODEL/NAME.jsonl`; without `MODEL/`, each line names its model."""
    if not new.key.startswith(INBOX) or not new.key.endswith(".jsonl"):
        raise RequestError(f"`{new.key[:200]}` is not `{INBOX}MODEL/NAME.jsonl`", "input")
    return StartRequest(
        input=f"s3://{new.bucket}/{new.key}",
        output=f"s3://{new.bucket}/{_outbox(new)}",
        model=new.key.removeprefix(INBOX).rpartition("/")[0] or None,
    )


def _outbox(new: InboxObject) -> str:
    """What the names of an inbox object's results begin with."""
    return f"{OUTBOX}{new.key.removeprefix(INBOX).removesuffix('.jsonl')}."
