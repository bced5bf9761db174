"""The bench of faults in short: a real gateway process, and the scenarios that matter most."""

from __future__ import annotations

from pathlib import Path

from .report import judge
from .rows import MODES, WAYS, read_expected
from .run_scenarios import play_all, stage
from .scenarios import QUICK, SCENARIOS

PATIENCE = 5.0
"""Seconds: how soon a call is closed is for the bench to measure; here only that it is."""

HEAD_START = 0.35
"""Seconds: more than the bench's, as others may be at work."""


def test_faults_come_out_as_written_down(tmp_path: Path) -> None:
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in QUICK]
    assert len(scenarios) == len(QUICK)
    with stage(scenarios, tmp_path, PATIENCE, HEAD_START) as place:
        seen = play_all(place)
        assert [verdict for verdict in judge(seen) if verdict.wrong] == []
        assert '"event":"bug"' not in place.gateway.log
    assert len(seen) == len(QUICK) * len(MODES) * len(WAYS)


def test_a_row_is_written_down_for_every_scenario_in_every_mode() -> None:
    wanted = {
        (scenario.name, mode, way) for scenario in SCENARIOS for mode in MODES for way in WAYS
    }
    assert read_expected().keys() == wanted
