"""
The finisher: joins the results of all shards into one output file and one error file.

The results of complete shards are joined as they are. In the other shards, and in those whose files
were damaged, it counts the stored lines and writes an error line for each line without a result,
with the calls that the line has made.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence

from msgspec import Struct

from ...concurrency import Failure, map_all
from ..input.line_parser import parse_line
from ..input.planner import Shard
from ..input.splitter import iter_lines
from ..paid_calls import PaidCalls
from ..store import BlobStore, JobProgress, ResultKeys, ResultStore
from ..totals import LineCost, Totals
from .ordered_results import merge_results, order_results
from .result_lines import skipped_line
from .stored_results import count_error, count_stored, paid_lines


class SkipReason(Struct, frozen=True):
    """The error of lines that never ran, such as `batch_expired` or `batch_cancelled`."""

    code: str
    message: str


DAMAGED = SkipReason(
    "result_damaged",
    "The stored result of this request was damaged. Send the request again.",
)
"""The error of lines whose stored results were damaged after the worker's end."""


class FinishSpec(Struct, frozen=True):
    """
    What the finisher needs to know of a job.

    The bytes of `earlier_outputs` (keys) go before the output. Intermediate files go below
    `scratch`. With `ordered_at_once`, the results are in the order of the input: those of so many
    shards are put in order at the same time. Those of earlier outputs are between them as `names`
    (a key) has all lines, if it is there.
    """

    input_key: str
    output_key: str
    errors_key: str
    scratch: str
    default_model: str | None = None
    skip_reason: SkipReason | None = None
    earlier_outputs: tuple[str, ...] = ()
    ordered_at_once: int = 0
    names: str | None = None


class FinishResult(Struct, frozen=True):
    """The sizes of the two files in bytes, and the job's totals."""

    output_size: int
    errors_size: int
    totals: Totals


async def finish(
    spec: FinishSpec,
    shards: AsyncIterable[Shard],
    blobs: BlobStore,
    results: ResultStore,
    progress: JobProgress,
    cost: Callable[[object], LineCost],
) -> FinishResult:
    """Join all results; after a crash, running it again gives the same files."""
    total = Totals()
    earlier = [key for key in spec.earlier_outputs if await blobs.size(key) is not None]
    found = list[tuple[Shard, ResultKeys]]()
    async for shard in shards:
        keys = await results.keys(shard.index)
        totals = await progress.completed_totals(shard.index)
        if totals is None or not await results.is_whole(shard.index, totals.lines):
            totals, skipped = await _count_incomplete(spec, shard, blobs, results, cost)
            keys = await results.keys(shard.index)
            keys = ResultKeys(keys.responses, [*keys.failures, *skipped])
        total.add(totals)
        found.append((shard, keys))
    if spec.ordered_at_once:
        found = await _ordered(spec, found, blobs)
    responses = [key for _, keys in found for key in keys.responses]
    failures = [key for _, keys in found for key in keys.failures]
    if spec.names is not None and earlier and await blobs.size(spec.names) is not None:
        merged = f"{spec.scratch}/ordered/all.jsonl"
        await blobs.write(merged, merge_results(earlier, responses, spec.names, blobs))
        earlier, responses = [], [merged]
    responses = [*earlier, *responses]
    output_size = await blobs.join(responses, spec.output_key) if responses else 0
    errors_size = await blobs.join(failures, spec.errors_key) if failures else 0
    return FinishResult(output_size, errors_size, total)


async def output_bytes(
    spec: FinishSpec, shards: AsyncIterable[Shard], blobs: BlobStore, results: ResultStore
) -> int:
    """About how many bytes the job's files have: those of the results that are joined."""
    keys = list(spec.earlier_outputs)
    async for shard in shards:
        found = await results.keys(shard.index)
        keys += [*found.responses, *found.failures]
    return sum([await blobs.size(key) or 0 for key in keys])


async def _ordered(
    spec: FinishSpec, found: Sequence[tuple[Shard, ResultKeys]], blobs: BlobStore
) -> list[tuple[Shard, ResultKeys]]:
    """The keys of each shard's results in the order of its lines."""
    folder = f"{spec.scratch}/ordered"

    async def order(one: tuple[Shard, ResultKeys]) -> tuple[Shard, ResultKeys]:
        shard, keys = one
        return shard, await order_results(
            keys, shard, blobs, spec.input_key, spec.default_model, folder
        )

    ordered: list[tuple[Shard, ResultKeys]] = []
    for outcome in await map_all(order, found, limit=spec.ordered_at_once):
        if isinstance(outcome, Failure):
            raise outcome.error
        ordered.append(outcome.value)
    return ordered


async def _count_incomplete(
    spec: FinishSpec,
    shard: Shard,
    blobs: BlobStore,
    results: ResultStore,
    cost: Callable[[object], LineCost],
) -> tuple[Totals, list[str]]:
    """The totals of a shard, and the key of the error lines for what never ran, if anything."""
    stored = await results.open(shard.index)
    try:
        custom_ids, totals = await count_stored(stored, cost)
        paid = await paid_lines(stored, custom_ids)
    finally:
        await stored.close()
    if totals.lines >= shard.lines:
        return totals, []
    reason = spec.skip_reason or DAMAGED
    key = f"{spec.scratch}/unrun/{shard.index:06d}.jsonl"
    skipped = _Skipped(reason, custom_ids, paid, totals, cost)
    await blobs.write(key, skipped.error_lines(spec, shard, blobs))
    return totals, [key]


class _Skipped(Struct):
    """Lines of a shard that have no result; `paid` are the calls that some of them have made."""

    reason: SkipReason
    stored: set[str]
    paid: dict[str, PaidCalls]
    totals: Totals
    cost: Callable[[object], LineCost]

    async def error_lines(
        self, spec: FinishSpec, shard: Shard, blobs: BlobStore
    ) -> AsyncIterator[bytes]:
        """The error lines, each of which is counted in `totals`."""
        if await blobs.size(spec.input_key) is None:
            return  # their ids are unknown
        source = blobs.read(spec.input_key, shard.start, shard.end)
        async for number, _, _, data in iter_lines(source, shard.start, shard.first):
            if not data:
                continue
            custom_id = parse_line(data, number, spec.default_model).custom_id
            if custom_id not in self.stored:
                yield self._line(custom_id, number)

    def _line(self, custom_id: str, number: int) -> bytes:
        code, message = self.reason.code, self.reason.message
        used = self.paid[custom_id].charged if custom_id in self.paid else []
        error = {"code": code, "message": message, "attempts": used}
        self.totals.add(count_error(error, custom_id, number, self.cost))
        request_id = f"req_{random.getrandbits(64):016x}"
        return skipped_line(custom_id, request_id, code, message, used)
