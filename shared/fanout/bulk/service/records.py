"""The record of a job, and its JSON in the API; those of files are in `file_records.py`. Pure."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, TypeVar

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.structs import asdict, force_setattr, replace

from ...telemetry.prices import TokenPrices, to_dollars, to_nanodollars
from ..activity import Wait
from ..input.job_source import JobSource
from ..input.planner import LineError
from ..lanes import REALTIME, CacheChoice, LaneChoice, NativeChoice, OrderChoice
from ..totals import Totals, rounded_dollars
from .file_records import JOB_PREFIX, FileRecord, UploadRecord
from .webhooks import Webhook

Status: TypeAlias = Literal[
    "validating",
    "failed",
    "in_progress",
    "finalizing",
    "completed",
    "expired",
    "cancelling",
    "cancelled",
]
FINAL = frozenset({"failed", "completed", "expired", "cancelled"})

STORAGE_FULL = LineError(
    "storage_full",
    "The gateway's storage is full: no line starts until there is room. Nothing is lost.",
    None,
    None,
)


class Job(Struct, frozen=True, kw_only=True):
    """
    A bulk job, a batch in OpenAI's API.

    `host` is the name of what runs it, `owner` the name of the key whose rights it has.
    `max_cost` is its cost cap in nanodollars, `reason` why it ended early. A job that retries
    another one's failed lines has its id in `retry_of`, and in `earlier_outputs` the keys whose
    bytes go before its own output. `names` is the key of all lines' names, if the job's files are
    in the order of the input, and that is only a part. `config` is the digest of its host's models,
    and `waits_for` says why another host leaves it alone. On AWS, copies of its results go to keys
    that begin with `deliver_to`. `source` is the file of `fanout batch run`; `reused` lines of it
    have responses of earlier jobs, and are neither in the job's input nor in its counts. `lane` is
    how its lines are sent, `native` whether they go by their providers' batches, `cache` what is
    done about providers' caches, `order` that of its files. `prices` are those of its models when
    it began, unless they are many. Without `keep_input`, the input file is deleted with the job,
    and if the job fails before its first call. `account` is that of the virtual key that pays for
    it. `config_path` is the file of the config with which `fanout batch` runs it, if there is one.
    """

    id: str
    host: str
    owner: str
    input_file_id: str
    input_key: str
    completion_window: str
    created_at: int
    expires_at: int
    status: Status = "validating"
    model: str | None = None
    max_cost: int | None = field(default=None, name="max_nanodollars")
    metadata: dict[str, str] | None = None
    output_lifetime: int | None = None
    retry_of: str | None = None
    earlier_outputs: list[str] = field(default_factory=list, name="extra")
    total: int = 0
    models: dict[str, int] = {}
    prices: dict[str, TokenPrices] = {}
    errors: list[LineError] = []
    reason: (
        Literal["cancelled", "expired", "capped", "failed", "refused", "unfunded", "forbidden"]
        | None
    ) = None
    deliver_to: str | None = None
    config: str | None = None
    waits_for: str | None = None
    source: JobSource | None = None
    reused: int = 0
    account: str | None = None
    config_path: str | None = None
    lane: LaneChoice = REALTIME
    webhook: Webhook | None = None
    keep_input: bool = True
    native: NativeChoice = "never"
    cache: CacheChoice = "order"
    order: OrderChoice = "any"
    names: str | None = None
    endpoint: str = "/v1/chat/completions"
    totals: Totals | None = field(default=None, name="tally")
    output_file_id: str | None = None
    error_file_id: str | None = None
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    stored_max_cost: float | UnsetType | None = field(default=UNSET, name="max_cost_usd")

    def __post_init__(self) -> None:
        """Read the cost cap of an older record, which is in dollars."""
        if self.stored_max_cost is not UNSET:
            dollars = self.stored_max_cost
            force_setattr(self, "max_cost", None if dollars is None else to_nanodollars(dollars))
            force_setattr(self, "stored_max_cost", UNSET)

    @property
    def max_cost_usd(self) -> float | None:
        """The cost cap in US dollars."""
        return None if self.max_cost is None else to_dollars(self.max_cost)

    @property
    def is_over(self) -> bool:
        return self.status in FINAL

    @property
    def ended_at(self) -> int | None:
        """When the job ended, in seconds since 1970."""
        times = (self.completed_at, self.failed_at, self.expired_at, self.cancelled_at)
        return next((at for at in times if at is not None), None) if self.is_over else None

    @property
    def owed_webhook(self) -> Webhook | None:
        """The webhook of a job that has ended, unless it is delivered or given up."""
        webhook = self.webhook
        return webhook if webhook and self.is_over and not webhook.is_ended else None

    @property
    def is_invalid(self) -> bool:
        """Whether its file has errors, so that nothing was sent."""
        return self.status == "failed" and self.reason is None and not self.total

    @property
    def future_output_id(self) -> str:
        """The id of the output file, which the job has from its start."""
        return f"file-{self.id.removeprefix(JOB_PREFIX)}o"

    def partial_output(self) -> FileRecord:
        """The record of the output while the job runs: it has no bytes that would stay the same."""
        return FileRecord(
            id=self.future_output_id,
            bytes=0,
            created_at=self.created_at,
            filename=f"{self.id}_output.jsonl",
            purpose="batch_output",
            owner=self.owner,
            key="",
        )

    @property
    def manifest_key(self) -> str:
        return f"jobs/{self.id}/manifest.jsonl"

    @property
    def order_key(self) -> str:
        return f"jobs/{self.id}/order"

    def waits(self, totals: Totals) -> list[Wait]:
        """What the job's lines wait for."""
        if self.is_over:
            return []
        left_alone = [Wait("models_missing", self.waits_for)] if self.waits_for else []
        return left_alone + (totals.activity.waits if totals.activity else [])

    def seconds_left(self, totals: Totals) -> float | None:
        """
        Estimated seconds to the end, by the speed of the last minute; `None` if unknown.

        It is unknown while no line starts, and if no line has succeeded in that minute. It is not
        before the last time that lines are known to wait for. Lines that wait for their next
        attempt end at that time at the earliest: the speed is that of the others.
        """
        activity = totals.activity
        if self.status != "in_progress" or not activity or not activity.rate or not self.total:
            return None
        left, waits = max(0, self.total - totals.lines), self.waits(totals)
        failing = sum(wait.lines or 0 for wait in waits if wait.reason == "provider_error")
        ends = [end for wait in waits if (end := wait.last or wait.until) is not None]
        if any(wait.lines is None for wait in waits) or (0 < left <= failing and not ends):
            return None
        others = max(0, left - failing)
        return round(max(others / activity.rate, max(ends, default=0.0) - activity.at), 1)

    def to_dict(self, totals: Totals) -> dict[str, Any]:
        """OpenAI's batch object, with two more fields: `cost_usd` and `fanout`."""
        activity = None if self.is_over else totals.activity
        full = [STORAGE_FULL] if activity and activity.storage_full else []
        errors = [asdict(error) for error in [*self.errors, *full]]
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "model": next(iter(self.models)) if len(self.models) == 1 else None,
            "errors": {"object": "list", "data": errors} if errors else None,
            "input_file_id": self.input_file_id,
            "completion_window": self.completion_window,
            "status": self.status,
            "output_file_id": self.output_file_id if self.is_over else self.future_output_id,
            "error_file_id": self.error_file_id,
            "created_at": self.created_at,
            "in_progress_at": self.in_progress_at,
            "expires_at": self.expires_at,
            "finalizing_at": self.finalizing_at,
            "completed_at": self.completed_at,
            "failed_at": self.failed_at,
            "expired_at": self.expired_at,
            "cancelling_at": self.cancelling_at,
            "cancelled_at": self.cancelled_at,
            "request_counts": {
                "total": self.total,
                "completed": totals.done,
                "failed": totals.failed,
            },
            "usage": totals.usage,
            "metadata": self.metadata,
            "cost_usd": totals.cost_usd,
            "fanout": {
                "max_cost_usd": self.max_cost_usd,
                "known_cost_usd": totals.known_cost_usd,
                "unpriced_lines": totals.unpriced,
                **lane_fields(self, totals),
                "retry_of": self.retry_of,
                "causes": totals.causes,
                "examples": {
                    cause: [asdict(example) for example in examples]
                    for cause, examples in totals.examples.items()
                },
                "in_flight": activity and activity.in_flight,
                "refused": activity and activity.rate_limited,
                "lines_per_second": activity and activity.rate and round(activity.rate, 3),
                "seconds_left": self.seconds_left(totals),
                "waits": [wait.to_dict() for wait in self.waits(totals)],
                **({"waits_for": self.waits_for} if self.waits_for else {}),
                **({"reused_lines": self.reused} if self.reused else {}),
                **({"webhook": self.webhook.to_dict()} if self.webhook else {}),
            },
        }


def lanes_to_dict(totals: Totals) -> dict[str, Any]:
    """The lines that succeeded on each lane, what they cost, and what the lane has saved."""
    return {
        name: {
            "lines": lane.lines,
            "known_cost_usd": rounded_dollars(lane.cost),
            "saved_usd": rounded_dollars(lane.saved),
        }
        for name, lane in totals.by_lane.items()
    }


def hedged_to_dict(totals: Totals) -> dict[str, Any]:
    """The lines that were sent twice, and what the responses cost that are not used."""
    hedged = totals.hedged
    return {"lines": hedged.lines, "known_cost_usd": rounded_dollars(hedged.cost)}


def lane_fields(job: Job, totals: Totals) -> dict[str, Any]:
    """The lane and the cache choice that a job asks for, and what came by each lane."""
    found: dict[str, Any] = {"lane": job.lane, "cache": job.cache}
    found |= {"lanes": lanes_to_dict(totals), "saved_usd": totals.saved_usd}
    if job.order != "any":
        found["order"] = job.order
    if job.native != "never":
        found["native"] = job.native
    if totals.hedged.lines:
        found["hedged"] = hedged_to_dict(totals)
    return found


CLOCK_TOLERANCE = 60
"""Seconds by which a record may have been created in the future."""

R = TypeVar("R", FileRecord, UploadRecord, Job)


def as_if_created_now(record: R, now: float) -> R | None:
    """The record with its whole lifetime from now, if it was created in the future; else `None`."""
    ahead = record.created_at - int(now)
    if ahead <= CLOCK_TOLERANCE:
        return None
    end = None if record.expires_at is None else record.expires_at - ahead
    changes: dict[str, Any] = {"created_at": record.created_at - ahead, "expires_at": end}
    return replace(record, **changes)
