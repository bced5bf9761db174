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
from dataclasses import replace
from pathlib import Path

from . import leaks, overload, report, rows
from .cpu_meter import QUIET, Meter
from .gateway_process import ROOT
from .rows import Row
from .run_scenarios import play_all, stage
from .scenarios import SCENARIOS

PAGE = ROOT / "docs" / "faults.md"


def main(arguments: Sequence[str]) -> int:
    """Try everything."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every block is left
    began, meter = time.perf_counter(), Meter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seen, figures = _scenarios(folder)
        if "--record" in arguments:
            known = rows.read_expected()
            rows.write_expected(_floored(row, known.get(row.key)) for row in seen)
        verdicts = report.judge(seen)
        _say("callers that vanish")
        figures += leaks.measure(folder)
        _say("overload")
        figures += overload.measure(folder)
    others = meter.others()
    minutes = (time.perf_counter() - began) / 60
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    run = [
        f"{system}; {minutes:.1f} minutes.",
        f"Work of others took {others * 100:.0f} % of the processors meanwhile.",
    ]
    quiet = others <= QUIET
    PAGE.write_text(report.page(run, verdicts, figures, quiet=quiet))
    wrong = list(report.complaints(verdicts, figures, quiet=quiet))
    passed = f"all {len(verdicts)} rows and {len(figures)} figures pass"
    print("\n".join(wrong) if wrong else passed + ("" if quiet else ", times not judged"))
    print(f"written: {PAGE.relative_to(ROOT)}")
    return int(bool(wrong))


def _scenarios(folder: Path) -> tuple[list[Row], list[report.Figure]]:
    _say(f"{len(SCENARIOS)} scenarios")
    with stage(SCENARIOS, folder) as place:
        seen = play_all(place)
        peak = place.gateway.memory("VmHWM")
        stray = _stray(place.gateway.log)
    print("\n".join(stray))
    return seen, [
        report.Figure("peak memory in all scenarios", peak, 400, "MB"),
        report.Figure("log lines that are no JSON, or tell of a bug", len(stray), 0),
    ]


def _say(what: str) -> None:
    print(f"faults: {what} …", file=sys.stderr, flush=True)


def _stray(log: str) -> list[str]:
    """Lines that the gateway should not have written: what is not JSON, or tells of a bug."""
    lines = log.splitlines()[1:]  # the first says where it serves
    return [line for line in lines if not line.startswith("{") or '"event":"bug"' in line]


def _floored(row: Row, expected: Row | None) -> Row:
    """What was seen; the least time that it must take is a law, and not what was measured."""
    return replace(row, takes=expected.takes if expected else "0")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
