"""A job in DynamoDB whose clock a test sets."""

from __future__ import annotations

import json
from typing import Any

from fanout.bulk.activity import ActivityTracker
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.job_progress import DynamoJobProgress
from fanout.bulk.totals import Totals
from fanout.telemetry.prices import to_nanodollars


class ClockedJob:
    """Makes the workers' views of one job's progress; `time` is their clock, in seconds."""

    def __init__(self, table: DynamoTable, max_cost: float | None = None) -> None:
        self.table = table
        self.max_cost = max_cost
        self.time = 1_000.0

    def progress(self, **more: Any) -> DynamoJobProgress:
        return DynamoJobProgress(
            self.table,
            "j",
            expires_at=9_000.0,
            now=lambda: self.time,
            max_cost=None if self.max_cost is None else usd(self.max_cost),
            **more,
        )

    def tracker(self, in_flight: int = 0, refused: int = 0) -> ActivityTracker:
        """A worker's activity."""
        return ActivityTracker(lambda: self.time, in_flight, refused)

    async def set_status(self, status: str, reason: str | None = None) -> None:
        raw = await self.table.get("batch", "j")
        record = {"status": status, "reason": reason}
        await self.table.put("batch", "j", json.dumps(record).encode(), raw)

    async def account(self) -> tuple[int, int]:
        item = await self.table.item("counts#j", "budget")
        assert item is not None
        return int(item["spent"]["N"]), int(item["committed"]["N"])


def usd(dollars: float) -> int:
    """Dollars in nanodollars."""
    return to_nanodollars(dollars)


def one(cost: float = 0.0) -> Totals:
    """The totals of one line."""
    return Totals(done=1, tokens_in=2, tokens_out=3, cost=usd(cost))
