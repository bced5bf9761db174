"""What a vendor's files and lists show too late: rows are kept, and costs are reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fanout.config.load import check
from fanout.config.resolve import resolve
from tests.bulk.native.native_jobs import KINDS, LEAST, Providers, config, lines_of, run_job
from tests.bulk.native.simulated_job import SimulatedJob, run_all
from tests.support.native_doubles.script import Script, in_turn

ALWAYS = 10**6
COUNT = 40


def test_a_result_file_that_stays_cut_gives_its_whole_rows() -> None:
    """The other lines are sent again, and reported: the part that is missing may be billed."""
    catalog, script = resolve(check(config(), {}), {}), Script(cut_downloads=ALWAYS)
    wrong: list[Any] = []
    for hours in (6, 24):
        for vendor in KINDS:
            job = SimulatedJob(catalog, vendor, hours, LEAST, script, 1, kills=0.0)
            run_all([job])
            again = {int(name.rpartition("-")[2]) + 1 for name in job.bill.twice()}
            is_whole = job.results.keys() == set(job.names) and not job.hedged
            if not is_whole or again != job.unclear or not 0 < len(again) < 0.5 * LEAST:
                wrong.append((hours, vendor, len(again), len(job.unclear), len(job.hedged)))
    assert wrong == []


def test_a_batch_that_was_created_again_because_no_list_had_it_is_reported(tmp_path: Path) -> None:
    """Also where a list has no labels, whether the first batch ends before the second or not."""
    wrong: list[Any] = []
    cases = [
        (vendor, late, queue)
        for vendor in ("openai", "mistral", "anthropic")
        for late in (1, 2)
        for queue in (60.0, 7200.0)
    ]
    for vendor, late, queue in cases:
        lost = Script(queue=queue, reply="lost", late_lists=late)
        providers = Providers({vendor: in_turn(lost, Script())})
        folder = tmp_path / f"{vendor}{late}{queue}"
        found = run_job(folder, providers, lines_of([vendor], COUNT))
        assert found.job.totals is not None
        state = (found.lanes, len(providers.bill.twice()), found.job.totals.hedged.lines)
        hedged = COUNT if late > 1 else 0
        if state != ({"native": COUNT}, hedged, hedged):
            wrong.append((vendor, late, queue, state))
    assert wrong == []
