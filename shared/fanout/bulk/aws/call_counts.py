"""
The calls of a job's workers, in flight and refused: one small record for each worker.

A worker writes its record when it has changed. A worker that has no calls in flight and was never
refused has none. If a worker is killed, its calls in flight no longer count when its record is
`MAX_AGE` old.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from ..totals import CallCounts
from .dynamodb import DynamoTable, item_key

MAX_AGE = 10.0
"""Seconds for which a record's calls in flight count; workers renew it twice as often."""

PREFIX = "worker#"


class CallCountsRecord:
    """One worker's record, among its job's counts; DynamoDB deletes it at `ttl`."""

    def __init__(
        self, table: DynamoTable, kind: str, calls: CallCounts, now: Callable[[], float], ttl: int
    ) -> None:
        self._table = table
        self._kind = kind
        self._calls = calls
        self._now = now
        self._ttl = ttl
        self._name = f"{PREFIX}{secrets.token_hex(6)}"
        self._written = CallCounts()
        self._written_at = 0.0

    async def sync(self) -> None:
        """Write the record, if it has changed or has calls in flight and is getting old."""
        calls, at = replace(self._calls), self._now()
        is_old = calls.in_flight > 0 and at >= self._written_at + MAX_AGE / 2
        if calls == self._written and not is_old:
            return
        if calls == CallCounts():
            await self._table.delete(self._kind, self._name)
        else:
            await self._table.write_if(
                self._table.client.put_item,
                Item=item_key(self._kind, self._name)
                | {
                    "in_flight": {"N": str(calls.in_flight)},
                    "refused": {"N": str(calls.refused)},
                    "at": {"N": f"{at:.3f}"},
                    "ttl": {"N": str(self._ttl)},
                },
            )
        self._written, self._written_at = calls, at


def is_call_counts(item: dict[str, Any]) -> bool:
    """Whether an item of a job's counts is a worker's record of its calls."""
    return bool(item["id"]["S"].startswith(PREFIX))


def read_call_counts(item: dict[str, Any], now: float) -> CallCounts:
    """A worker's calls; those in flight count only if the record is not too old."""
    is_fresh = float(item["at"]["N"]) > now - MAX_AGE
    in_flight = int(item["in_flight"]["N"]) if is_fresh else 0
    return CallCounts(in_flight, int(item["refused"]["N"]))
