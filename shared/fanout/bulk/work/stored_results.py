"""Reads a shard's stored results: which lines have one, their totals, and what others have paid."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping

from ..paid_calls import PaidCalls, read_paid_line
from ..store import ShardResults
from ..totals import (
    LineCost,
    Totals,
    count_failure,
    count_response,
    count_tokens,
    is_cut,
    paid_calls,
    paid_of_error,
)
from .result_lines import ResultReader


class StoredIds:
    """Which `custom_id`s are stored, in eight bytes for each."""

    def __init__(self, custom_ids: Iterable[str]) -> None:
        self._hashes = array("q", sorted(map(hash, custom_ids)))

    def __contains__(self, custom_id: object) -> bool:
        hashed = hash(custom_id)
        at = bisect_left(self._hashes, hashed)
        return at < len(self._hashes) and self._hashes[at] == hashed


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
            totals.add(count_error(result.error, result.custom_id, None, cost))
    if has_damaged:
        await results.remove_damaged()
    return reader.custom_ids, totals


async def paid_lines(results: ShardResults, stored: Collection[str]) -> dict[str, PaidCalls]:
    """
    The paid calls of lines without a result, by `custom_id`; `stored` are those that have one.

    A line that has ended several times without a result has stored its calls each time, those of
    before included.
    """
    found: dict[str, PaidCalls] = {}
    async for data in results.paid():
        line = read_paid_line(data)
        if line is None or line.custom_id in stored:
            continue
        known = found.get(line.custom_id)
        if known is None or len(known.made) < len(line.calls):
            found[line.custom_id] = PaidCalls(line.calls)
    return found


def count_error(
    error: Mapping[str, object],
    custom_id: str,
    line: int | None,
    cost: Callable[[object], LineCost],
) -> Totals:
    """
    The totals of a failed line, by the error that is stored of it.

    Its cause is the error's code, or its type if it has none. Its cost is that of the calls whose
    responses did not fit the schema; it is not complete if a response was cut.
    """
    cause = error.get("code") or error.get("type") or "error"
    totals = count_failure(str(cause), custom_id, line, str(error.get("message") or ""))
    if is_cut(error):
        totals.unpriced = 1
    if paid := paid_of_error(error):
        totals.cost = cost(paid_calls(paid)).nanodollars
        count_tokens(totals, paid)
    return totals
