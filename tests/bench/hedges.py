"""The section on adaptive hedges: `hedge_times.py` measures in a process with Fanout's packages."""

from __future__ import annotations

import json
import subprocess

from .report import Figure, Section
from .servers import OURS, ROOT


def measure() -> Section:
    """The slowest times with and without hedges, and what they cost."""
    command = [str(OURS / "python"), "-m", "tests.bench.hedge_times"]
    found = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
    return Section(
        "Adaptive hedges",
        "6,000 requests in each row, in virtual time, by the gateway's code. Times to the "
        "first token are lognormal (0.45 s in the median, sigma 0.6), with a stall of 15 s in 2 % "
        "of calls. In a brown-out, the second half of all calls is three times slower, and starts "
        "at the same time, so that no new time is known.",
        ["hedge", "median", "95 %", "99 %", "99.9 %", "extra calls", "in the second half"],
        found["rows"],
        [
            Figure("p95 hedge: 99 % of times, shorter by", found["shorter"], 4, "x", at_least=True),
            Figure("p95 hedge: extra calls", found["extra"], 6, "%"),
            Figure(
                "p95 hedge in a brown-out: extra calls with a budget of 10 %",
                found["brown_out"],
                10,
                "%",
            ),
            Figure(
                "p95 of 300 times, counts of three workers added: median error",
                found["error"],
                10,
                "%",
            ),
        ],
    )
