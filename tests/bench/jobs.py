"""Measures bulk jobs: planner, worker and finisher, each job in its own process."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from .report import Figure, Section, number
from .servers import ENV, OURS, ROOT
from .testbed import Plan, Testbed

WAIT = 1.0
ROUNDS = 20
"""How many times a worker with 400 lines in flight waits for its slow provider."""

PATIENCE = 3600.0


def measure(bed: Testbed, plan: Plan) -> Section:
    """Speed in CPU time, and memory by number of lines."""
    by_lines = {lines: _run(lines) for lines in plan.lines}
    least, most = min(by_lines), max(by_lines)
    served = _run(plan.lines[0] * 2, "--url", bed.url("stub"))
    slow = _run(400 * ROUNDS, "--wait", str(WAIT))
    rows = [
        *(_row(f"{lines:,} lines, provider in the process", f) for lines, f in by_lines.items()),
        _row(f"{served['lines']:,} lines, provider over HTTP", served),
        _row(f"{slow['lines']:,} lines, provider takes {WAIT:g} s", slow),
    ]
    growth = by_lines[most]["peak_mb"][-1] / by_lines[least]["peak_mb"][-1]
    figures = [
        Figure("job: planner", by_lines[most]["plan_mb_s"], 100, "MB/s", at_least=True),
        Figure("job: worker, instant provider", served["work_lines_s"], 1_500, "/s", at_least=True),
        Figure(
            f"job: worker, provider takes {WAIT:g} s: time relative to the ideal",
            slow["ideal"],
            1.3,
            "x",
        ),
        Figure(f"job: peak memory, {most:,} lines relative to {least:,}", growth, 1.1, "x"),
    ]
    note = (
        "Each job runs in its own process, with files in a folder and records in SQLite; a line "
        "has about 1 kB. Speeds are relative to the CPU time of that process. The provider in the "
        "process responds at once; the provider over HTTP is the stub of the other sections. With "
        "400 lines in flight, the ideal time is one wait for each 400 lines."
    )
    header = ["", "planner", "worker", "finisher", "peak memory: planner", "worker", "finisher"]
    return Section("Jobs", note, header, rows, figures)


def _row(what: str, found: dict[str, Any]) -> list[str]:
    speeds = number(found["plan_mb_s"], "MB/s"), number(found["work_lines_s"], "/s")
    peaks = (number(peak, "MB") for peak in found["peak_mb"][1:])
    return [what, *speeds, number(found["finish_s"], "s"), *peaks]


def _run(lines: int, *words: str) -> dict[str, Any]:
    """Run a job in its own process; returns its measurements."""
    done = subprocess.run(
        [OURS / "python", "-m", "tests.bench.job_process", str(lines), *words],
        cwd=ROOT,
        env=ENV,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
