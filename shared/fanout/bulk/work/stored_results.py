"""Reads a shard's stored results: which lines have one, and their totals."""

from __future__ import annotations

from collections.abc import Callable

from ...wire import json
from ..store import ShardResults
from ..totals import Totals, count_failure, count_response


async def count_stored(
    results: ShardResults, cost: Callable[[object], int]
) -> tuple[set[str], Totals]:
    """The `custom_id`s of the stored lines, and their totals; `cost` is that of a response body."""
    custom_ids: set[str] = set()
    totals = Totals()
    async for failed, raw in results.stored():
        result = json.decode(raw)
        if (custom_id := result["custom_id"]) in custom_ids:
            continue
        custom_ids.add(custom_id)
        if failed:
            error = result["error"] or result["response"]["body"]["error"]
            cause, message = error.get("code") or "error", error.get("message") or ""
            totals.add(count_failure(str(cause), custom_id, None, str(message)))
        else:
            body = result["response"]["body"]
            totals.add(count_response(body, cost(body)))
    return custom_ids, totals
