"""
Puts the result lines of native batches into a job's results, each once.

A line that has a result keeps it: the first one counts. What a batch's response to such a line cost
is counted as wasted, unless the stored one is that response.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from ...telemetry.prices import BATCH
from ..input.planner import Shard
from ..store import BlobStore, CappedProgress, ResultStore
from ..totals import LineCost, responses_in
from ..work.result_lines import StoredResult, read_result
from ..work.stored_results import count_result, count_stored
from .ledger import BatchEntry, BatchLedger
from .result_parts import part_lines


class ResultMerger:
    """Merges the rows of one job, below the key `folder`; no worker has its shards open."""

    def __init__(
        self,
        ledger: BatchLedger,
        folder: str,
        blobs: BlobStore,
        results: ResultStore,
        progress: CappedProgress,
        cost: Callable[[object], LineCost],
    ) -> None:
        self._ledger = ledger
        self._folder = folder
        self._blobs = blobs
        self._results = results
        self._progress = progress
        self._cost = cost

    async def merge(self, rows: Sequence[BatchEntry], shards: Sequence[Shard]) -> None:
        """Merge stored rows, whose state is `merged` then; `shards` are all of the job's."""
        wasted = {row.number: (row.twice, row.wasted) for row in rows}
        for shard in shards:
            own = [row for row in rows if shard.index in row.shards]
            if own:
                for row, more in zip(own, await self._merge_shard(shard, own), strict=True):
                    twice, cost = wasted[row.number]
                    wasted[row.number] = (twice + more[0], cost + more[1])
        for row in rows:
            twice, cost = wasted[row.number]
            self._progress.charge(cost - row.wasted)
            await self._ledger.write(replace(row, state="merged", twice=twice, wasted=cost))

    async def _merge_shard(self, shard: Shard, rows: Sequence[BatchEntry]) -> list[tuple[int, int]]:
        """Add the shard's lines; how many of each row are not used, and their nanodollars."""
        results = await self._results.open(shard.index)
        try:
            stored, totals = await count_stored(results, self._cost)
            own = await self._own(shard.index) if any(row.hedged for row in rows) else set()
            self._progress.begin_shard(shard.index, totals)
            wasted: list[tuple[int, int]] = []
            for row in rows:
                twice = spent = 0
                async for line in part_lines(self._blobs, self._folder, row, shard.index):
                    failed, result = _read(line)
                    if result is None:
                        continue
                    if result.custom_id not in stored:
                        stored.add(result.custom_id)
                        await results.put(line, failed=failed)
                        counted = count_result(result, self._cost)
                        totals.add(counted)
                        self._progress.settle(shard.index, 0, counted)
                    elif row.hedged and not failed and result.custom_id not in own:
                        twice += 1
                        spent += count_result(result, self._cost).cost
                wasted.append((twice, spent))
            await results.flush()
        finally:
            await results.close()
        if totals.lines >= shard.lines:
            self._progress.complete_shard(shard.index)
        return wasted

    async def _own(self, shard: int) -> set[str]:
        """The lines of a shard whose stored response came by a batch."""
        found: set[str] = set()
        async for failed, line in self._results.lines(shard):
            result = None if failed else read_result(line, failed=False)
            if result is not None and is_by_batch(result):
                found.add(result.custom_id)
        return found


def is_by_batch(result: StoredResult) -> bool:
    """Whether a response came by a native batch."""
    return any(one.get("service_tier") == BATCH for one in responses_in(result.body))


def _read(line: bytes) -> tuple[bool, StoredResult | None]:
    """Whether the line is a failure, and what it says."""
    if (response := read_result(line, failed=False)) is not None:
        return False, response
    return True, read_result(line, failed=True)
