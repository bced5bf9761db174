"""Jobs keep to limits that nobody states, learned from 429s alone; whole jobs in virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bulk.pacing.unstated_limits import Kind, run_limited_job

CASES: list[tuple[Kind, int, float, int]] = [
    ("fixed", 60, 20.0, 300),
    ("fixed", 60, 0.2, 300),
    ("sliding", 60, 0.2, 300),
    ("sliding", 60, 20.0, 300),
    ("sliding", 600, 2.0, 1200),
    ("bucket", 60, 0.2, 300),
    ("bucket", 60, 2.0, 300),
    ("small bucket", 120, 0.2, 60),
    ("small bucket", 120, 2.0, 60),
    ("small bucket", 600, 0.2, 900),
]


@pytest.mark.parametrize("retry_after", [True, False], ids=["retry-after", "bare"])
@pytest.mark.parametrize(("kind", "limit", "latency", "lines"), CASES)
def test_under_a_tenth_of_the_calls_is_rejected_at_over_80_percent_of_an_unstated_limit(
    tmp_path: Path, kind: Kind, limit: int, latency: float, lines: int, *, retry_after: bool
) -> None:
    outcome = run_limited_job(tmp_path, kind, limit, latency, lines, retry_after=retry_after)
    assert outcome.rejected < 0.1
    assert outcome.used > 0.8
