"""`make faults` in short: a real gateway process and the most important scenarios."""

from __future__ import annotations

from pathlib import Path

from tests.support.patience import PATIENCE

from .report import judge
from .rows import MODES, WAYS, read_expected
from .run_scenarios import open_testbed, run_all
from .scenarios import QUICK, SCENARIOS

SLOWNESS = 5.0
"""The machine may be busy, which that of `make faults` is not."""


def test_faults_end_as_expected(tmp_path: Path) -> None:
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in QUICK]
    assert len(scenarios) == len(QUICK)
    # Here a call must only be closed; `make faults` measures how soon.
    with open_testbed(scenarios, tmp_path, PATIENCE, SLOWNESS) as bed:
        observed = run_all(bed)
        assert [verdict for verdict in judge(observed) if verdict.differences] == []
        assert '"event":"unexpected_error"' not in bed.gateway.log
    assert len(observed) == len(QUICK) * len(MODES) * len(WAYS)


def test_there_is_an_expected_row_for_every_scenario_in_every_mode() -> None:
    wanted = {
        (scenario.name, mode, way) for scenario in SCENARIOS for mode in MODES for way in WAYS
    }
    assert read_expected().keys() == wanted
