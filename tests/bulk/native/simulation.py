"""
Many jobs with windows of 1, 6 and 24 hours at doubles of the batch APIs, in virtual time.

Queue times are spread, batches have faults, and the process is killed: the next one finds only
what was on the disk. `python -m tests.bulk.native.simulation [JOBS] [FIRST]` runs so many jobs and
prints what they come to; each job's number is its seed.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from argparse import ArgumentParser
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from fanout.bulk.service.new_job import BatchOptions
from fanout.bulk.service.records import Job
from fanout.config.catalog import Catalog
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.transport.engine import Outgoing
from fanout.wire.http import WireResponse
from tests.bulk.local_jobs import open_jobs
from tests.bulk.native.native_jobs import Ended, Providers, config, ended, lines_of
from tests.bulk.native.native_jobs import now as job_time
from tests.bulk.native.simulated_cases import (
    HOUR,
    QUEUES,
    WINDOWS,
    Case,
    Limit,
    Outcome,
    case_of,
    outcome,
    scripts_of,
)
from tests.bulk.native.simulated_job import SimulatedJob, run_all
from tests.support.native_doubles.bill import Lane
from tests.support.virtual_clock import now as virtual_now
from tests.support.virtual_clock import run_threads_at_once

DOWN = 120.0
"""Seconds between a kill and the next process."""

START = time() - 12 * HOUR
"""When each job begins. A file's age is that of the real clock, so the virtual one is near it."""

UNSTORED = 5.0
"""Seconds before a kill whose responses in real time may be neither here nor on the disk."""


class Found(Struct):
    """
    What a job came to. `wrong` has what may not be; costs are in nanodollars.

    `in_real_time` is the part of `cost` for lines that were sent so.
    """

    case: Case
    cost: int
    in_real_time: int
    at_list_price: int
    lanes: Counter[Lane]
    hedged: int
    twice: int
    wrong: list[str] = field(default_factory=list)


def now() -> float:
    return START + virtual_now()


class KilledProviders(Providers):
    """Doubles whose caller is killed after so many calls, with a response on its way."""

    def __init__(self, case: Case) -> None:
        scripts = {vendor: scripts_of(case, vendor) for vendor in case.vendors}
        limit = case.limit
        calls = limit.calls if limit is not None and limit.stated is None else None
        super().__init__(scripts, Outcome(now, calls), seconds=2.0)
        for double in self.doubles.values():
            double.clock = now
        self._kills = list(case.kills)
        self._calls = 0
        self._is_dead = False
        self.killed = asyncio.Event()

    async def send(self, request: Outgoing) -> WireResponse:
        await self._alive()
        self._calls += 1
        response = await super().send(request)
        if self._kills and self._calls >= self._kills[0] and not self._is_dead:
            self._kills.pop(0)
            self._calls, self._is_dead = 0, True
            self._lose()
            self.killed.set()
        await self._alive()
        return response

    async def _alive(self) -> None:
        """Return, or never if the caller is dead."""
        if self._is_dead:
            await asyncio.get_running_loop().create_future()

    def _lose(self) -> None:
        """Mark what was on its way when the process was killed, or not stored yet."""
        since = now() - UNSTORED
        self.bill.entries = [
            replace(one, lost=True) if one.lane == "realtime" and one.at >= since else one
            for one in self.bill.entries
        ]

    def revive(self) -> None:
        """The next process calls."""
        self.killed.clear()
        self._is_dead = False


async def _run(case: Case, home: Path) -> tuple[Ended, KilledProviders]:
    """Run the job in as many processes as it takes."""
    providers = KilledProviders(case)
    data = lines_of(case.vendors, case.lines, **case.fields)
    began, job = job_time(), None
    for process in range(len(case.kills) + 1):
        folder = home / str(process)
        async with open_jobs(
            folder, providers, now=now, config=config(**case.settings), sync_interval=5.0
        ) as jobs:
            if job is None:
                job = await _create(jobs, case, data)
            async with asyncio.TaskGroup() as group:
                over = group.create_task(ended(jobs, job, began))
                killed = group.create_task(providers.killed.wait())
                await asyncio.wait({over, killed}, return_when=asyncio.FIRST_COMPLETED)
                if not over.done():
                    shutil.copytree(folder, home / str(process + 1))
                over.cancel()
                killed.cancel()
            if not over.cancelled():
                return over.result(), providers
        await asyncio.sleep(DOWN)
        providers.revive()
    raise AssertionError("the job was killed more often than it was to be")


async def _create(jobs: Any, case: Case, data: bytes) -> Job:
    fanout = BatchOptions(lane=case.lane, native="auto" if case.lane == "auto" else None)
    made: Job = await jobs.create(data, fanout=fanout, completion_window=case.window)
    return made


def simulate(case: Case, home: Path) -> Found:
    """Run one job, and check what must hold."""

    async def main() -> tuple[Ended, KilledProviders]:
        async with asyncio.timeout(200 * HOUR):
            return await _run(case, home)

    over, providers = run_threads_at_once(main(), 0.0)
    providers.settle()
    bill, totals = providers.bill, over.job.totals
    assert totals is not None
    found = Found(
        case,
        bill.nanodollars,
        bill.in_real_time,
        bill.at_list_price,
        bill.lines(),
        totals.hedged.lines,
        len(bill.twice()),
    )
    found.wrong += _wrong(case, over, providers, found)
    return found


def simulate_merger(case: Case, catalog: Catalog) -> Found:
    """Run one job's merger; unless it is clean, each twentieth call kills its process."""
    vendor, kills = case.vendors[0], 0.05 if case.has_faults else 0.0
    script = scripts_of(case, vendor)
    hours = case.seconds / HOUR
    limit = case.limit or Limit(60, 0, stated=None)
    if limit.stated is not None:
        catalog = resolve(check(config(**limit.settings), {}), {})
    seconds, tokens = 60.0 / limit.calls, limit.tokens
    job = SimulatedJob(
        catalog, vendor, hours, case.lines, script, case.seed, kills,
        seconds=seconds, max_tokens=tokens,
    )  # fmt: skip
    run_all([job])
    bill, late = job.bill, job.ended_at - job.deadline
    found = Found(
        replace(case, kills=()),
        bill.nanodollars,
        bill.in_real_time,
        bill.at_list_price,
        bill.lines(),
        len(job.hedged),
        len(bill.twice()),
    )
    if job.results.keys() != set(job.names):
        found.wrong.append(f"{len(job.results)} results of {len(job.names)} lines")
    if late > 0:
        found.wrong.append(f"late by {late:.0f} s")
    unclear = {job.names[number - 1] for number in job.unclear}
    if unreported := bill.twice() - job.hedged - unclear:
        found.wrong.append(f"billed twice: {sorted(unreported)[:5]}")
    return found


def _wrong(case: Case, over: Ended, providers: Providers, found: Found) -> Iterator[str]:
    """What may not be."""
    names = {f"n{number}" for number in range(case.lines)}
    bad = {name for name in names if outcome(name, "native") != 200}
    if over.responses.keys() != names - bad or over.errors.keys() != bad:
        missing = sorted(names - bad - over.responses.keys())
        yield f"{over.job.status}: no response for {missing[:5]}, of {len(missing)}"
    if over.seconds > case.seconds + 60.0:
        yield f"late: {over.seconds / HOUR:.2f} h"
    if found.twice > found.hedged:
        yield f"{found.twice} lines billed twice, {found.hedged} hedged"
    known = sum(one.nanodollars for one in providers.bill.entries if not one.lost)
    lost = sum(
        one.nanodollars for one in providers.bill.entries if one.lost and one.lane == "realtime"
    )
    hedged = providers.bill.twice() if found.hedged else set()
    unseen = sum(
        one.nanodollars
        for one in providers.bill.entries
        if one.lane == "native" and one.text in hedged
    )
    totals = over.job.totals
    if totals is not None and not known - unseen <= totals.cost <= known + lost:
        yield f"the cost is {totals.cost}, and the bill {known}"


def summary(found: list[Found]) -> str:
    """
    The figures of all jobs, by window and by queue time.

    What they cost above half of the list price is for lines in real time, and for those that a
    vendor billed twice: their rows were lost, or their batch did not end when it was cancelled.
    """
    groups: dict[tuple[str, str], list[Found]] = defaultdict(list)
    for one in found:
        groups[one.case.window, one.case.queue].append(one)
        groups[one.case.window, "all"].append(one)
    head = "window queue  jobs lines  native realtime hedged twice  cost/list"
    lines = [f"{head} = 50% + realtime + twice"]
    for (window, queue), ones in sorted(groups.items(), key=lambda item: _order(*item[0])):
        lanes: Counter[Lane] = sum((one.lanes for one in ones), Counter())
        whole = sum(one.at_list_price for one in ones)
        share = sum(one.cost for one in ones) / whole
        slow = sum(one.in_real_time for one in ones) / whole / 2
        count = sum(one.case.lines for one in ones)
        hedged, twice = sum(one.hedged for one in ones), sum(one.twice for one in ones)
        lines.append(
            f"{window:>6} {queue:6} {len(ones):4} {count:5} {lanes['native']:7} "
            f"{lanes['realtime']:8} {hedged:6} {twice:5} {share:10.1%} "
            f"{slow:16.1%} {share - 0.5 - slow:7.1%}"
        )
    kills = sum(len(one.case.kills) for one in found)
    wrong = [one for one in found if one.wrong]
    killed = f", {kills} kills" if kills else ""
    return "\n".join([*lines, f"{len(found)} jobs{killed}, {len(wrong)} wrong"])


def _order(window: str, queue: str) -> tuple[int, int]:
    return WINDOWS.index(window), [*QUEUES, "all"].index(queue)


def main(arguments: list[str]) -> int:
    """Run the jobs, and print those that are wrong and the figures."""
    parser = ArgumentParser("python -m tests.bulk.native.simulation")
    for name, default in (("jobs", 1000), ("first", 0)):
        parser.add_argument(name, nargs="?", type=int, default=default)
    parser.add_argument("--clean", action="store_true", help="without faults and kills")
    parser.add_argument("--merger", action="store_true", help="mergers only: 60 times as fast")
    given = parser.parse_args(arguments)
    catalog = resolve(check(config(), {}), {})
    found: list[Found] = []
    for seed in range(given.first, given.first + given.jobs):
        case = case_of(seed, is_clean=given.clean)
        with tempfile.TemporaryDirectory() as folder:
            merges = given.merger
            one = simulate_merger(case, catalog) if merges else simulate(case, Path(folder))
        found.append(one)
        if one.wrong:
            print(seed, one.case, *one.wrong, sep="\n  ", flush=True)  # noqa: T201 -- a command
    print(summary(found))  # noqa: T201 -- a command
    return int(any(one.wrong for one in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
