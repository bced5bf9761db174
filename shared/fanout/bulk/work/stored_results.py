"""Reads a shard's stored results: which lines have one, their totals, and what others have paid."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from ..model_totals import plus
from ..paid_calls import PaidCalls, read_paid_line
from ..store import ShardResults
from ..totals import (
    LineCost,
    Totals,
    count_cost,
    count_failure,
    count_response,
    count_tokens,
    is_cut,
    paid_calls,
    paid_of_error,
)
from .result_lines import ResultReader, StoredResult


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
        else:
            totals.add(count_result(result, cost))
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
        calls = PaidCalls(line.calls, line.unlisted)
        if known is None or len(known.charged) < len(calls.charged):
            found[line.custom_id] = calls
    return found


def count_paid(calls: PaidCalls, cost: Callable[[object], LineCost]) -> Totals:
    """What the calls of a line without a result have cost, and their tokens."""
    found = cost(paid_calls(calls.charged))
    models = {name: replace(one, lines=0) for name, one in found.models.items()}
    totals = Totals(cost=found.nanodollars, models=models)
    count_tokens(totals, calls.charged)
    return totals


def count_result(result: StoredResult, cost: Callable[[object], LineCost]) -> Totals:
    """The totals of a stored line."""
    if result.error is not None:
        return count_error(result.error, result.custom_id, None, cost)
    return count_success(result.body, result.unlisted, cost)


def count_success(
    body: object, unlisted: Sequence[Mapping[str, Any]], cost: Callable[[object], LineCost]
) -> Totals:
    """
    The totals of a line that succeeded, with the calls that its response does not have.

    Its cost is not complete if one of these has failed: what it was billed for is not all known.
    """
    found = cost(body)
    if unlisted:
        more = cost(paid_calls(unlisted))
        is_known = not any(map(_is_estimated, unlisted))
        found = replace(
            found if found.nanodollars else more,
            nanodollars=found.nanodollars + more.nanodollars,
            is_complete=found.is_complete and more.is_complete and is_known,
            models=plus(found.models, more.models),
        )
    return count_response(body, found, unlisted)


def count_error(
    error: Mapping[str, object],
    custom_id: str,
    line: int | None,
    cost: Callable[[object], LineCost],
) -> Totals:
    """
    The totals of a failed line, by the error that is stored of it.

    Its cause is the error's code, or its type if it has none. Its cost is that of the calls that
    the error has; it is not complete if a price is unknown, or if one of them may be billed that
    has failed.
    """
    cause = error.get("code") or error.get("type") or "error"
    totals = count_failure(str(cause), custom_id, line, str(error.get("message") or ""))
    is_known = not is_cut(error)
    if paid := paid_of_error(error):
        found = cost(paid_calls(paid))
        is_known &= found.is_complete and not any(map(_is_estimated, paid))
        count_cost(totals, found)
        count_tokens(totals, paid)
    totals.unpriced = 0 if is_known else 1
    return totals


def _is_estimated(call: Mapping[str, Any]) -> bool:
    """Whether a call has failed, and may be billed for more than is known."""
    return call.get("outcome") == "failed" and bool(call.get("usage"))
