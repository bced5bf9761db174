"""Counts the lines of a job that were sent twice, when it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..lanes import LaneTotals
from ..store import ResultStore
from ..totals import LineCost, Totals
from ..work.result_lines import read_result
from ..work.stored_results import count_result
from .input_lines import InputLines
from .ledger import BatchEntry
from .numbers import unpack


async def hedged_totals(
    rows: Sequence[BatchEntry],
    lines: InputLines,
    results: ResultStore,
    cost: Callable[[object], LineCost],
) -> Totals:
    """
    The lines that may have been paid for twice, and what their unused responses cost.

    These are the lines with a response of each lane, and those that were sent again although their
    batch may have run them: no file of the batch has them, or it has none. What these have cost in
    the batch is not known, so they are counted as unpriced.
    """
    unclear = {number for row in rows for number in _unclear(row)}
    sent = await _sent(sorted(unclear), lines, results, cost)
    count = sum(row.twice for row in rows) + sent.lines
    wasted = sum(row.wasted for row in rows)
    return Totals(
        cost=wasted, unpriced=sent.lines - sent.unpriced, hedged=LaneTotals(count, wasted)
    )


def _unclear(row: BatchEntry) -> list[int]:
    """The numbers of the lines of which it is not known whether the batch ran them."""
    if row.state in {"stored", "merged"}:
        return unpack(row.unclear)
    return row.numbers if row.hedged else []


async def _sent(
    numbers: Sequence[int],
    lines: InputLines,
    results: ResultStore,
    cost: Callable[[object], LineCost],
) -> Totals:
    """Those of these lines with a result, which is not the batch's that does not have them."""
    by_shard: dict[int, set[str]] = {}
    async for one in lines.read(numbers):
        by_shard.setdefault(one.shard, set()).add(one.line.custom_id)
    found = Totals()
    for shard, names in by_shard.items():
        async for failed, line in results.lines(shard):
            result = read_result(line, failed=failed)
            if result is not None and result.custom_id in names:
                names.remove(result.custom_id)
                found.add(count_result(result, cost))
    return found
