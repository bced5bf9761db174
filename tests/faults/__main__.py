"""
`make faults`: runs every scenario in every mode, disconnecting clients, overload, and attacks.

Prints what differs from the expectation, writes docs/faults.md, and exits with 1 if anything
differs. `--record` writes the observed rows to expected.tsv: review the diff.
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

from tests.support.processes import restore_signals

from . import leaks, overload, report, rows
from .attacks import SECTIONS
from .attacks.attack import Attack
from .cpu_meter import QUIET, CpuMeter
from .gateway_process import ROOT
from .rows import Row
from .run_scenarios import open_testbed, run_all
from .scenarios import SCENARIOS

PAGE = ROOT / "docs" / "faults.md"


def main(arguments: Sequence[str]) -> int:
    """Run everything."""
    restore_signals()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every `with` block ends
    began, meter = time.perf_counter(), CpuMeter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        observed, figures = _scenarios(folder)
        if "--record" in arguments:
            known = rows.read_expected()
            rows.write_expected(_with_known_time(row, known.get(row.key)) for row in observed)
        verdicts = report.judge(observed)
        _log("disconnecting clients")
        figures += leaks.measure(folder)
        _log("overload")
        figures += overload.measure(folder)
        sections = _attacks(folder)
    others = meter.others()
    minutes = (time.perf_counter() - began) / 60
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    run = [
        f"{system}; {minutes:.1f} minutes.",
        f"Other processes used {others * 100:.0f} % of the CPU.",
    ]
    quiet = others <= QUIET
    PAGE.write_text(report.page(run, verdicts, figures, sections, quiet=quiet))
    wrong = list(report.failures(verdicts, figures, sections, quiet=quiet))
    number = len(figures) + sum(len(one.figures) for many in sections.values() for one in many)
    passed = f"all {len(verdicts)} rows and {number} figures pass"
    print("\n".join(wrong) if wrong else passed + ("" if quiet else ", times not judged"))
    print(f"written: {PAGE.relative_to(ROOT)}")
    return int(bool(wrong))


def _scenarios(folder: Path) -> tuple[list[Row], list[report.Figure]]:
    _log(f"{len(SCENARIOS)} scenarios")
    with open_testbed(SCENARIOS, folder) as bed:
        observed = run_all(bed)
        peak = bed.gateway.memory("VmHWM")
        stray = _stray(bed.gateway.log)
    print("\n".join(stray))
    return observed, [
        report.Figure("peak memory over all scenarios", peak, 400, "MB"),
        report.Figure("log lines that are not JSON or report an unexpected error", len(stray), 0),
    ]


def _attacks(folder: Path) -> dict[str, list[Attack]]:
    """Every attack, by the section of the page."""
    found: dict[str, list[Attack]] = {}
    for index, (title, measure) in enumerate(SECTIONS.items()):
        mine = folder / f"attacks-{index}"
        mine.mkdir()
        found[title] = []
        for attack in measure(mine):
            _log(attack.name)
            found[title].append(attack)
    return found


def _log(what: str) -> None:
    print(f"faults: {what} …", file=sys.stderr, flush=True)


def _stray(log: str) -> list[str]:
    """Lines that the gateway should not have logged: no JSON, or an unexpected error."""
    lines = log.splitlines()[1:]  # the first shows the address
    return [
        line for line in lines if not line.startswith("{") or '"event":"unexpected_error"' in line
    ]


def _with_known_time(row: Row, expected: Row | None) -> Row:
    """The observed row with the expected minimum time, which is set by hand and not measured."""
    return replace(row, takes=expected.takes if expected else "0")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
