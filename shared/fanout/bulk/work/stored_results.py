"""Reads a shard's stored results: which lines have one, and their totals."""

from __future__ import annotations

from collections.abc import Callable

from ..store import ShardResults
from ..totals import LineCost, Totals, count_failure, count_response
from .result_lines import ResultReader


async def count_stored(
    results: ShardResults, cost: Callable[[object], LineCost]
) -> tuple[set[str], Totals]:
    """
    The `custom_id`s of the stored lines, and their totals; `cost` is that of a response body.

    Lines that are not whole results are removed; their requests are sent again.
    """
    reader, totals, has_damaged = ResultReader(), Totals(), False
    async for failed, line in results.stored():
        result = reader.read(line, failed=failed)
        if result is None:
            has_damaged = True
        elif result.error is None:
            totals.add(count_response(result.body, cost(result.body)))
        else:
            cause, message = result.error.get("code"), result.error.get("message")
            totals.add(
                count_failure(str(cause or "error"), result.custom_id, None, str(message or ""))
            )
    if has_damaged:
        await results.remove_damaged()
    return reader.custom_ids, totals
