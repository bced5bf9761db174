"""Some of the simulated jobs; `simulation.py` is the command that runs a thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from fanout.config.load import check
from fanout.config.resolve import resolve
from tests.bulk.native.native_jobs import config
from tests.bulk.native.simulated_cases import case_of
from tests.bulk.native.simulation import main, simulate, simulate_merger

OF_A_DAY = range(602, 722, 3)
"""Jobs of 24 hours, of which many have a fault; a thousand jobs have 52 %."""

SEEDS = (33, 10, 16)
"""Jobs of an hour and of six, with several vendors, that are killed."""


def test_killed_jobs_have_one_result_for_each_line_in_time_and_report_their_bill(
    tmp_path: Path,
) -> None:
    found = [simulate(case_of(seed), tmp_path / str(seed)) for seed in SEEDS]
    assert [(one.case.seed, one.wrong) for one in found if one.wrong] == []
    assert all(one.case.kills for one in found)


def test_jobs_of_a_day_with_faults_cost_at_most_55_percent_of_the_list_price() -> None:
    catalog = resolve(check(config(), {}), {})
    found = [simulate_merger(case_of(seed), catalog) for seed in OF_A_DAY]
    assert {one.case.window for one in found} == {"24h"}
    assert [(one.case.seed, one.wrong) for one in found if one.wrong] == []
    assert sum(one.cost for one in found) <= 0.55 * sum(one.at_list_price for one in found)


@pytest.mark.parametrize(("word", "status"), [("--help", 0), ("--fast", 2), ("merger", 2)])
def test_the_command_prints_its_usage_for_help_and_for_unknown_words(
    word: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([word])
    assert ended.value.code == status
    assert "usage: python -m tests.bulk.native.simulation" in "".join(capsys.readouterr())
