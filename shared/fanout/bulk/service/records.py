"""The records of files, uploads and jobs, and their JSON in the API. Pure."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.structs import asdict, force_setattr

from ...telemetry.prices import to_dollars, to_nanodollars
from ..input.planner import LineError
from ..totals import Totals

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


class FileRecord(Struct, frozen=True, kw_only=True):
    """A file; its bytes are the blob `key`. Times are in seconds since 1970."""

    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: str
    owner: str
    key: str
    expires_at: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """OpenAI's file object."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.bytes,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }


class UploadRecord(Struct, frozen=True, kw_only=True):
    """A file that is uploaded in parts."""

    id: str
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    owner: str
    status: Literal["pending", "completed", "cancelled", "expired"] = "pending"
    lifetime: int | None = None

    def to_dict(self, file: FileRecord | None) -> dict[str, Any]:
        """OpenAI's upload object."""
        return {
            "id": self.id,
            "object": "upload",
            "bytes": self.bytes,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": self.status,
            "file": file.to_dict() if file else None,
        }


class Job(Struct, frozen=True, kw_only=True):
    """
    A bulk job, a batch in OpenAI's API.

    `host` is the name of what runs it, `owner` the name of the key whose rights it has.
    `max_cost` is its cost cap in nanodollars, `reason` why it ended early. A job that retries
    another one's failed lines has its id in `retry_of`, and in `earlier_outputs` the keys whose
    bytes go before its own output. `config` is the digest of its host's models, and `waits_for`
    says why another host leaves it alone. On AWS, copies of its results go to keys that begin
    with `deliver_to`.
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
    errors: list[LineError] = []
    reason: Literal["cancelled", "expired", "capped", "failed"] | None = None
    deliver_to: str | None = None
    config: str | None = None
    waits_for: str | None = None
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
    def manifest_key(self) -> str:
        return f"jobs/{self.id}/manifest.jsonl"

    def to_dict(self, totals: Totals) -> dict[str, Any]:
        """OpenAI's batch object, with two more fields: `cost_usd` and `fanout`."""
        full = [STORAGE_FULL] if totals.storage_full and not self.is_over else []
        errors = [asdict(error) for error in [*self.errors, *full]]
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "model": next(iter(self.models)) if len(self.models) == 1 else None,
            "errors": {"object": "list", "data": errors} if errors else None,
            "input_file_id": self.input_file_id,
            "completion_window": self.completion_window,
            "status": self.status,
            "output_file_id": self.output_file_id,
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
                "retry_of": self.retry_of,
                "causes": totals.causes,
                "examples": {
                    cause: [asdict(example) for example in examples]
                    for cause, examples in totals.examples.items()
                },
                "in_flight": totals.in_flight,
                "refused": totals.refused,
                **({"waits_for": self.waits_for} if self.waits_for else {}),
            },
        }
