"""Which lines of a batch that is over may be billed although no row of it says so."""

from __future__ import annotations

import asyncio
from pathlib import Path

from msgspec import Struct

from fanout.bulk.native.numbers import unpack
from fanout.bulk.service.new_job import BatchOptions
from fanout.config.load import check
from fanout.config.resolve import resolve
from tests.bulk.local_jobs import open_jobs
from tests.bulk.native.native_jobs import (
    KINDS,
    LEAST,
    Ended,
    Providers,
    config,
    ended,
    lines_of,
    now,
)
from tests.bulk.native.simulated_job import SimulatedJob
from tests.support.native_doubles.script import Script
from tests.support.virtual_clock import run_threads_at_once

HOUR = 3600.0
HALF = LEAST // 2

NONE = dict.fromkeys(KINDS, 0)


class End(Struct, frozen=True):
    """
    How a batch ends, and how many of its lines may be billed at each vendor.

    It is not looked at for so many hours, and is cancelled then unless it has ended.
    """

    script: Script
    hours: float
    billed: dict[str, int]


STARTED, WAITING = Script(queue=60.0, stuck=0.5), Script(queue=1000 * HOUR)

ENDS = {
    # Gemini leaves nothing, and does not say what it bills. Mistral has rows of what is done.
    "out of time, half done": End(
        STARTED, 50, {**NONE, "gemini": LEAST, "mistral": HALF, "bedrock": HALF}
    ),
    "out of time, not begun": End(WAITING, 50, {**NONE, "gemini": LEAST, "mistral": LEAST}),
    # OpenAI and Anthropic have a row for each line. Bedrock has rows of what is done.
    "cancelled, half done": End(STARTED, 1, {**NONE, "mistral": HALF, "bedrock": HALF}),
    "cancelled, not begun": End(WAITING, 1, NONE),
    "cancelled, and a line is lost": End(
        Script(queue=60.0, stuck=0.5, cancel="loses"),
        1,
        {**dict.fromkeys(KINDS, 1), "mistral": HALF + 1, "bedrock": HALF + 1},
    ),
    "complete, but for a row": End(Script(queue=60.0, missing=1), 1, dict.fromkeys(KINDS, 1)),
}


def test_a_line_without_a_row_may_be_billed_unless_its_vendor_says_that_it_is_not() -> None:
    catalog = resolve(check(config(), {}), {})

    async def unclear(vendor: str, end: End) -> int:
        job = SimulatedJob(catalog, vendor, 300, LEAST, end.script, 7, kills=0.0)
        merger, native = await job.begin()
        while not any(row.state == "open" for row in (await merger.step()).rows):
            job.clock.advance(60)
        job.clock.advance(end.hours * HOUR)
        while not (status := await merger.step(is_ending=True)).stored:
            job.clock.advance(30)
        (row,) = await native.ledger.rows()
        assert status.stored == (row,)
        return len(unpack(row.unclear))

    async def main() -> dict[str, dict[str, int]]:
        return {
            name: {vendor: await unclear(vendor, end) for vendor in KINDS}
            for name, end in ENDS.items()
        }

    assert asyncio.run(main()) == {name: end.billed for name, end in ENDS.items()}


def test_lines_of_an_expired_batch_are_reported_if_they_may_be_paid_twice(tmp_path: Path) -> None:
    """No process looks at the batch before it has expired; then its lines are sent again."""
    data = lines_of(["gemini", "openai"], 10)

    async def main() -> Ended:
        providers = Providers(dict.fromkeys(KINDS, Script(queue=1000 * HOUR)))
        began = now()
        async with open_jobs(tmp_path, providers, now=now, config=config()) as jobs:
            fanout = BatchOptions(lane="native")
            job = await jobs.create(data, fanout=fanout, completion_window="3d")
            await asyncio.sleep(HOUR)
        await asyncio.sleep(50 * HOUR)
        providers.doubles["gemini"].script = providers.doubles["openai"].script = lambda _: Script()
        async with open_jobs(tmp_path, providers, now=now, config=config()) as jobs:
            return await ended(jobs, job, began)

    found = run_threads_at_once(main(), 0.0)
    assert (found.job.status, found.lanes) == ("completed", {"native": 10})
    assert found.job.totals is not None
    assert found.job.totals.hedged.lines == 5
