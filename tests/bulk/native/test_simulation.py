"""Some of the simulated jobs; `simulation.py` is the command that runs a thousand."""

from __future__ import annotations

from pathlib import Path

from tests.bulk.native.simulated_cases import case_of
from tests.bulk.native.simulation import simulate

SEEDS = (33, 10, 16)
"""Jobs of an hour and of six, with several vendors, that are killed."""


def test_killed_jobs_have_one_result_for_each_line_in_time_and_report_their_bill(
    tmp_path: Path,
) -> None:
    found = [simulate(case_of(seed), tmp_path / str(seed)) for seed in SEEDS]
    assert [(one.case.seed, one.wrong) for one in found if one.wrong] == []
    assert all(one.case.kills for one in found)
