"""The section on votes: `agreement.py` measures them in a process with Fanout's packages."""

from __future__ import annotations

import json
import subprocess

from .report import Figure, Section
from .servers import OURS, ROOT

QUESTIONS = 4_000


def measure() -> Section:
    """How often votes are right, how many calls they save, and what they cost in time."""
    command = [str(OURS / "python"), "-m", "tests.bench.agreement", str(QUESTIONS)]
    found = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
    return Section(
        "Agreement",
        f"Scripted models respond to {QUESTIONS:,} questions in virtual time, by the "
        "gateway's code. Responses take 2 s (median); mistakes are "
        "correlated (0.3), and coincide in 60 % of cases. *Paid* counts a cancelled call by the "
        "part of its time that it ran, *cost* also by its price, which differs in the last five "
        "rows.",
        ["votes", "right", "wrong", "undecided", "calls", "paid", "cost", "median", "95 %"],
        found["rows"],
        [
            Figure(
                "agree, 2 of 5: calls saved by the start policy",
                found["saved"],
                40,
                "%",
                at_least=True,
            ),
            Figure(
                "agree, 2 of 5: right in more cases than one model, in points",
                found["above_one"],
                0,
                at_least=True,
            ),
            Figure(
                "agree, 2 of 5: right in fewer cases than the full panel, in points",
                found["below_full"],
                2,
            ),
        ],
    )
