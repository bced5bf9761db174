"""
Result files that cannot be fetched, for hours or at all: no line goes by a second batch meanwhile.

What has arrived counts. A line that is sent in real time at last may be billed twice: it is
reported, its cost is not known, and the cost cap covers what it may have cost in its batch.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from fanout.bulk.aws.native_steps import JobBatches
from fanout.bulk.native.ledger import BatchEntry
from fanout.bulk.service.new_job import BatchOptions
from fanout.bulk.service.records import Job
from fanout.config.catalog import Catalog
from fanout.config.deployment import Deployment
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.errors import ErrorDetail, Unreachable
from fanout.transport.engine import ConnectionLost, Incoming, Outgoing, StreamedResponse
from fanout.wire.http import WireRequest, WireResponse
from tests.bulk.local_jobs import LocalJobs, jsonl, line, open_jobs
from tests.bulk.native.native_jobs import LEAST, Ended, Providers, config, ended, now, run_job
from tests.bulk.native.simulated_job import SimulatedJob, run_all
from tests.support.native_doubles.script import Script
from tests.support.virtual_clock import run_threads_at_once

HOUR = 3600.0
VENDORS = ("openai", "gemini", "bedrock")
"""The last one's files are fetched in ranges."""

SCRIPT = Script(queue=1_200.0)
COUNT = 60
DOLLAR = 1_000_000_000
LINES = [line(f"n{n}", "openai", f"{n} " + "abcd" * 1_000, max_tokens=7) for n in range(COUNT)]
"""Each costs about a dollar in real time, which is also its estimate."""

CAP = 76.0
"""More than all lines cost in real time, and less than that and what their batch costs."""


LOST = ConnectionLost("reset")


async def _parts(data: bytes, share: float, error: Exception = LOST) -> AsyncIterator[bytes]:
    """The data in small parts, of which so much arrives if it is not short, then the error."""
    end = len(data) if share == 1.0 or len(data) < 2_000 else int(len(data) * share)
    for start in range(0, end, 5_000):
        yield data[start : min(start + 5_000, end)]
    if end < len(data):
        raise error


def _part(whole: WireResponse, asked: str | None, share: float) -> StreamedResponse:
    """So much of the response, or of the rest of it that is asked for."""
    if asked is None or whole.status != 200:
        return StreamedResponse(whole.status, whole.headers, _parts(whole.body, share))
    start, size = int(asked.removeprefix("bytes=").partition("-")[0]), len(whole.body)
    headers = {"content-range": f"bytes {start}-{size - 1}/{size}"}
    return StreamedResponse(206, headers, _parts(whole.body[start:], share))


class BrokenJob(SimulatedJob):
    """A job whose downloads are a 503 for so many hours, and then break off after a `share`."""

    def __init__(
        self, catalog: Catalog, vendor: str, window: float, hours: float, share: float = 1.0
    ) -> None:
        super().__init__(catalog, vendor, window, LEAST, SCRIPT, 1, kills=0.0)
        self.until, self.share, self.asked = self.began + hours * HOUR, share, 0

    @asynccontextmanager
    async def open(self, deployment: Deployment, request: WireRequest) -> AsyncIterator[Incoming]:
        self.asked += 1
        if self.clock() < self.until:
            yield StreamedResponse(503, {}, _parts(b"busy", 1.0))
            return
        whole = await self.send(deployment, request)
        body = _parts(whole.body, self.share, Unreachable(deployment, ErrorDetail("reset")))
        yield StreamedResponse(whole.status, whole.headers, body)


def faults(job: BrokenJob) -> dict[str, Any]:
    """What may never be, whatever happens to the downloads."""
    unclear = {job.names[number - 1] for number in job.unclear}
    wrong = {
        "late": job.ended_at > job.deadline,
        "other batches": len(job.double.batches) != 1,
        "without a result": job.results.keys() != set(job.names),
        "not reported": job.bill.twice() ^ unclear,
        "asked too often": job.asked > 250,
    }
    return {name: fault for name, fault in wrong.items() if fault}


def test_no_line_is_in_a_second_batch_while_downloads_fail() -> None:
    catalog, wrong = resolve(check(config(), {}), {}), list[Any]()
    for vendor, window, hours in product(VENDORS, (6, 24), (0.5, 3, 9, 20, 1_000)):
        job = BrokenJob(catalog, vendor, window, hours)
        run_all([job])
        is_in_time = hours < window - 1
        lanes = {"native" if is_in_time else "realtime": LEAST}
        most = hours * HOUR + 2_000.0 if is_in_time else window * HOUR
        if (fault := faults(job)) or Counter(job.results.values()) != lanes:
            wrong.append((vendor, window, hours, fault, Counter(job.results.values())))
        elif job.ended_at - job.began > most:
            wrong.append((vendor, window, hours, (job.ended_at - job.began) / HOUR))
    assert wrong == []


def test_the_rows_of_a_download_that_always_breaks_off_count() -> None:
    catalog, wrong = resolve(check(config(), {}), {}), list[Any]()
    for vendor, window, share in product(VENDORS[:2], (7, 12), (0.2, 0.8)):
        job = BrokenJob(catalog, vendor, window, 0.0, share)
        run_all([job])
        rows = Counter(job.results.values())["native"]
        if (fault := faults(job)) or not LEAST * share - 3 <= rows <= LEAST * share:
            wrong.append((vendor, window, share, fault, rows))
    assert wrong == []


def test_rows_that_have_arrived_stay_when_later_downloads_have_fewer_or_none() -> None:
    class Worse(BrokenJob):
        """The first response has four fifths, the next ones half, all others nothing."""

        async def send(self, deployment: Deployment, request: WireRequest) -> WireResponse:
            self.share = 0.8 if self.asked == 1 else 0.5
            if self.asked == 4:
                self.until = self.deadline
            return await super().send(deployment, request)

    job = Worse(resolve(check(config(), {}), {}), "openai", 6, 0.0)
    run_all([job])
    assert faults(job) == {}
    assert Counter(job.results.values()) == {"native": 80, "realtime": 20}


class Broken(Providers):
    """
    Providers without files, unless they `break_off` after a part. With `has_ranges`, the rest of a
    file can be asked for.
    """

    def __init__(self, break_off: float | None = None, *, has_ranges: bool = False) -> None:
        super().__init__({"openai": SCRIPT})
        self.break_off, self.has_ranges = break_off, has_ranges

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        if not request.url.endswith("/content"):
            async with super().stream(request) as incoming:
                yield incoming
        elif self.break_off is None:
            yield StreamedResponse(503, {}, _parts(b"busy", 1.0))
        else:
            asked = request.headers.get("range") if self.has_ranges else None
            yield _part(await self.send(request), asked, self.break_off)


def wrongs(found: Ended, providers: Broken, cap: float | None) -> dict[str, Any]:
    """What may not be of a job's report and its costs."""
    totals, bill = found.job.totals, providers.bill
    assert totals is not None
    twice = bill.twice()
    entries = [one for one in bill.entries if one.lane == "native" and one.text in twice]
    known = totals.cost + sum(one.nanodollars for one in entries)
    wrong = {
        "late": found.seconds > 6 * HOUR,
        "other batches": bill.lines()["native"] != COUNT or providers.batches != 1,
        "over the cap": cap is not None and bill.nanodollars > (cap + 1.1) * DOLLAR,
        "not reported": (totals.hedged.lines, totals.unpriced) != (len(twice), len(twice)),
        "a cost that is not known": (totals.cost_usd is None) != bool(twice),
        "a wrong cost": cap is None and known != bill.nanodollars,
        "the end": (found.job.reason == "capped") != bool(found.errors),
    }
    return {name: fault for name, fault in wrong.items() if fault}


REPORTS: dict[str, tuple[Broken, float | None, dict[str, int]]] = {
    "never": (Broken(), None, {"realtime": COUNT}),
    "never, with a cap": (Broken(), CAP, {"realtime": 44}),
    "a fifth": (Broken(0.2), None, {"native": 12, "realtime": 48}),
    "a fifth, with a cap": (Broken(0.2), CAP, {"native": 12, "realtime": 44}),
    "four fifths, with a cap": (Broken(0.8), CAP, {"native": 48, "realtime": 12}),
    "ranges": (Broken(0.2, has_ranges=True), CAP, {"native": COUNT}),
}
"""What arrives of a file, the cap in dollars, and the lanes of the lines with a result."""


def test_lines_that_may_be_paid_twice_are_unpriced_and_the_cap_covers_their_batch(
    tmp_path: Path,
) -> None:
    """The batch costs 30 dollars: of the cap, 45 are left for lines that may be in it."""
    wrong: list[Any] = []
    for name, (providers, cap, lanes) in REPORTS.items():
        options: dict[str, Any] = {} if cap is None else {"max_cost_usd": cap}
        found = run_job(
            tmp_path / name,
            providers,
            jsonl(LINES),
            settings=config(rpm=600),
            completion_window="6h",
            **options,
        )
        if (fault := wrongs(found, providers, cap)) or found.lanes != lanes:
            wrong.append((name, fault, found.lanes, found.job.status))
    assert wrong == []


def test_a_cancelled_job_keeps_the_rows_that_have_arrived(tmp_path: Path) -> None:
    async def cancel(jobs: LocalJobs, job: Job) -> None:
        await asyncio.sleep(3 * HOUR)  # the next download is not due soon
        await jobs.service.jobs.cancel(job.id, None)

    found = run_job(tmp_path, Broken(0.8), jsonl(LINES), meanwhile=cancel)
    assert (found.job.status, found.lanes) == ("cancelled", {"native": 48})
    assert found.seconds < 3 * HOUR + 300.0
    assert found.job.totals is not None
    assert (found.job.totals.hedged.lines, found.job.totals.unpriced) == (0, 0)


def test_the_next_process_knows_what_the_cap_has_to_cover(tmp_path: Path) -> None:
    providers, settings = Broken(), config(rpm=2)

    async def main() -> Ended:
        began = now()
        async with open_jobs(tmp_path, providers, now=now, config=settings) as jobs:
            options = BatchOptions(lane="native")
            job = await jobs.create(
                jsonl(LINES), fanout=options, completion_window="6h", max_cost_usd=CAP
            )
            await asyncio.sleep(5.2 * HOUR)
            assert 0 < providers.bill.lines()["realtime"] < 40
        async with open_jobs(tmp_path, providers, now=now, config=settings) as jobs:
            return await ended(jobs, job, began)

    found = run_threads_at_once(main(), 0.0)
    providers.settle()
    assert (found.job.reason, found.lanes) == ("capped", {"realtime": 44})
    assert providers.bill.nanodollars <= CAP * DOLLAR


def test_in_a_stack_the_cap_covers_what_merged_batches_may_have_cost_in_vain() -> None:
    """It is not held back for batches that may still cost less."""
    row = BatchEntry(1, "k", "d", "m", "1-9", 9, estimate=90, charged=40, wasted=5)
    reserved = [
        (batches.reserved, batches.pending)
        for state in ("open", "stored", "merged")
        for batches in [JobBatches((replace(row, state=state),), 0.0)]
    ]
    assert reserved == [(90, 90), (90, 90), (45, 0)]
