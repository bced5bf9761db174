"""
The activity of a job's workers: one small record for each worker.

A worker writes its record when its calls or the reasons of its waits have changed, and every few
seconds while it has any. A worker that has no calls in flight, never got a 429 and does not wait
has none. If a worker is killed, its calls in flight and its waits no longer count when its record
is `MAX_AGE` old. A worker that leaves its lines to a later one, because all of them wait for long,
says so in its last record: those waits count until their time.
"""

from __future__ import annotations

import secrets
from typing import Any

from msgspec.structs import replace

from ...wire import json
from ..activity import MAX_AGE, Activity, ActivityTracker, Wait
from .dynamodb import DynamoTable, item_key

PREFIX = "worker#"


class WorkerActivityRecord:
    """One worker's record, among its job's counts; DynamoDB deletes it at `ttl`."""

    def __init__(self, table: DynamoTable, kind: str, tracker: ActivityTracker, ttl: int) -> None:
        self._table = table
        self._kind = kind
        self._tracker = tracker
        self._ttl = ttl
        self._name = f"{PREFIX}{secrets.token_hex(6)}"
        self._written = Activity(0.0)

    async def sync(self) -> None:
        """Write the record, if its calls or reasons have changed, or if it is getting old."""
        now, left = self._tracker.snapshot(), self._tracker.left
        if left is not None:
            now = replace(now, waits=left.waits, left=self._tracker.left_lines)
        is_active = now.in_flight > 0 or bool(now.waits)
        is_old = is_active and now.at >= self._written.at + MAX_AGE / 2
        if _essence(now) == _essence(self._written) and not is_old:
            return
        if not is_active and not now.rate_limited:
            await self._table.delete(self._kind, self._name)
        else:
            item = {
                "in_flight": {"N": str(now.in_flight)},
                "refused": {"N": str(now.rate_limited)},
                "at": {"N": f"{now.at:.3f}"},
                "ttl": {"N": str(self._ttl)},
            }
            if now.rate is not None:
                item["rate"] = {"N": f"{now.rate:.4g}"}
            if now.waits:
                item["waits"] = {"S": json.encode(now.waits).decode()}
            if now.left:
                item["left"] = {"N": str(now.left)}
            await self._table.write_if(
                self._table.client.put_item, Item=item_key(self._kind, self._name) | item
            )
        self._written = now


def _essence(activity: Activity) -> tuple[object, ...]:
    """What is written at once if it changes."""
    reasons = {(wait.reason, wait.model) for wait in activity.waits}
    return activity.in_flight, activity.rate_limited, activity.left, reasons


def is_worker_activity(item: dict[str, Any]) -> bool:
    """Whether an item of a job's counts is a worker's record of its activity."""
    return bool(item["id"]["S"].startswith(PREFIX))


def read_worker_activity(item: dict[str, Any], now: float) -> Activity:
    """A worker's activity; only its 429s count if the record is too old."""
    rate_limited = int(item["refused"]["N"])
    waits = json.decode(item["waits"]["S"].encode(), type=list[Wait]) if "waits" in item else []
    found = Activity(
        float(item["at"]["N"]),
        int(item["in_flight"]["N"]),
        rate_limited,
        float(item["rate"]["N"]) if "rate" in item else None,
        waits,
    )
    if "left" in item:
        left = [wait for wait in waits if wait.until is not None and wait.until > now]
        lines = int(item["left"]["N"]) if left else 0
        return Activity(found.at, rate_limited=rate_limited, waits=left, left=lines)
    return found if found.is_recent(now) else Activity(found.at, rate_limited=rate_limited)
