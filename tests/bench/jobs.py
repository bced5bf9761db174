"""Jobs: planner, worker and finisher, each number of lines in a process of its own."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from .report import Section, Verdict, number
from .servers import ENV, OURS, ROOT
from .testbed import Plan, Scene

WAIT = 1.0
ROUNDS = 20
"""How often a worker with 400 lines at a time has to wait for its slow provider."""

PATIENCE = 3600.0


def measure(made: Scene, plan: Plan) -> Section:
    """Speed by the processor's time, and memory over the number of lines."""
    by_lines = {lines: _run(lines) for lines in plan.lines}
    least, most = min(by_lines), max(by_lines)
    served = _run(plan.lines[0] * 2, "--url", made.url("stub"))
    slow = _run(400 * ROUNDS, "--wait", str(WAIT))
    rows = [
        *(_row(f"{lines:,} lines, provider in the process", f) for lines, f in by_lines.items()),
        _row(f"{served['lines']:,} lines, provider over HTTP", served),
        _row(f"{slow['lines']:,} lines, provider takes {WAIT:g} s", slow),
    ]
    grown = by_lines[most]["peak_mb"][-1] / by_lines[least]["peak_mb"][-1]
    verdicts = [
        Verdict("job: planner", by_lines[most]["plan_mb_s"], 100, "MB/s", at_least=True),
        Verdict(
            "job: worker, instant provider", served["work_lines_s"], 1_500, "/s", at_least=True
        ),
        Verdict(f"job: worker, {WAIT:g} s, 400 at a time: over ideal", slow["ideal"], 1.3, "x"),
        Verdict(f"job: peak memory, {most:,} lines over {least:,}", grown, 1.1, "x"),
    ]
    note = (
        "A process each, with its files in a folder and its records in SQLite; about a kilobyte a "
        "line. Speeds are by the processor's time of that process. The provider in the process "
        "answers at once; the one over HTTP is the stub of the other sections."
    )
    header = ["", "planned", "worked", "joined", "peak: planned", "worked", "joined"]
    return Section("Jobs", note, header, rows, verdicts)


def _row(what: str, found: dict[str, Any]) -> list[str]:
    speeds = number(found["plan_mb_s"], "MB/s"), number(found["work_lines_s"], "/s")
    peaks = (number(peak, "MB") for peak in found["peak_mb"][1:])
    return [what, *speeds, number(found["finish_s"], "s"), *peaks]


def _run(lines: int, *words: str) -> dict[str, Any]:
    """What the job's own process found."""
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
