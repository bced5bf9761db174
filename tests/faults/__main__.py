"""
`make faults`: every scenario in every mode, callers that vanish, and overload, on this machine.

Prints what is not as it should be, writes docs/faults.md, and ends with 1 if something is not.
`--record` takes what was seen for what should be: read its diff.
"""

from __future__ import annotations

import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from . import orphans, overload, page, rows
from .play import play_all, stage
from .rows import Row
from .scenarios import SCENARIOS
from .scene import ROOT

PAGE = ROOT / "docs" / "faults.md"


def main(arguments: Sequence[str]) -> int:
    """Try everything."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every block is left
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _say(f"{len(SCENARIOS)} scenarios")
        with stage(SCENARIOS, folder) as place:
            seen = play_all(place)
            peak = place.gateway.memory("VmHWM")
            stray = _stray(place.gateway.log)
        if "--record" in arguments:
            rows.write_expected(_floored(row) for row in seen)
        verdicts = page.judge(seen)
        _say("callers that vanish")
        figures = [page.Figure("peak memory in all scenarios", peak, 400, "MB")]
        figures += orphans.measure(folder)
        _say("overload")
        figures += overload.measure(folder)
    figures.append(page.Figure("log lines that are no JSON", len(stray), 0))
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    text = page.page(system, time.perf_counter() - began, verdicts, figures)
    PAGE.write_text(text)
    wrong = [*stray, *page.complaints(verdicts, figures)]
    print(
        "\n".join(wrong) if wrong else f"all {len(verdicts)} rows and {len(figures)} figures pass"
    )
    print(f"written: {PAGE.relative_to(ROOT)}")
    return int(bool(wrong))


def _say(what: str) -> None:
    print(f"faults: {what} …", file=sys.stderr, flush=True)


def _stray(log: str) -> list[str]:
    """Lines that the gateway should not have written: what is not JSON, or tells of a bug."""
    lines = log.splitlines()[1:]  # the first says where it serves
    return [line for line in lines if not line.startswith("{") or '"event":"bug"' in line]


STEPS = (0.0, 0.14, 0.34, 0.59, 0.79, 0.94, 0.99)
RANDOM = frozenset({"500 then fine"})
"""Scenarios whose time is partly chance: the pause before another try."""


def _floored(row: Row) -> Row:
    """The row with the least time that it must take."""
    took = 0.0 if row.scenario in RANDOM else float(row.takes)
    least = max(step for step in STEPS if step <= took)
    return Row(row.scenario, row.mode, row.way, f"{least:g}", row.got, row.saw, row.log)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
