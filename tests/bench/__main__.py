"""
`make bench`: measures Fanout next to LiteLLM and other clients, and compares it with its targets.

Prints docs/benchmarks.md and writes it. `--quick` takes fewer measurements, leaves LiteLLM out, and
writes nothing. These options measure sections alone, and put them into the page with the date:
`--prompts` (thousands of prompts at once), `--votes` (agreement and hedges), `--keys` (virtual
keys), `--cpu` (where the CPU of a call goes), `--embeddings` (many texts in one request), and
`--lambda` (under AWS's runtime code).
If the machine has other work, `chrt -r 5 make bench ONLY=lambda` gets the CPU first. All load stays
on this machine; every process is stopped, even after an error.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import ParamSpec

import psutil

from . import (
    cpu_shares,
    embeddings,
    gateway,
    hedges,
    jobs,
    keys,
    lambda_limits,
    lambda_runtime,
    many_invocations,
    prompts,
    race,
    scale,
    startup,
    votes,
)
from .report import Section, page, with_section
from .servers import OURS, ROOT
from .testbed import QUICK, Plan, open_testbed, start_servers

P = ParamSpec("P")

PAGE = ROOT / "docs" / "benchmarks.md"
PEERS = ("litellm", "granian", "httpx", "aiohttp")
OWN = ("fanout-gateway", "pyqwest", "uvicorn", "uvloop", "httptools", "msgspec")
ADAPTER_HEAD = (
    "The row of the Lambda Web Adapter needs its binary. If cargo (Rust) is installed, the first",
    "run builds it into `.build/web-adapter`, in about four minutes: the version of the stack's",
    "layer, or the newest crate. `make bench WEB_ADAPTER=FILE` takes another binary.",
    "`make bench ONLY=lambda` measures that section alone.",
)


def main(arguments: Sequence[str]) -> int:
    """Measure, print, write."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every `with` block ends
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))  # the stub has thousands of clients
    for name, (measurement, after) in _ALONE.items():
        if f"--{name}" in arguments:
            return _measure_alone(measurement, after)
    plan = QUICK if "--quick" in arguments else Plan()
    used = _Usage()
    sections = measure(plan)
    report = page(_head(used.seconds(), used.by_others()), sections)
    print(report)
    if plan.peers:
        PAGE.write_text(report)
    return 0


def _measure_alone(measurement: Callable[[], Sequence[Section]], after: str) -> int:
    """Measure some sections, and put them into the page after the section `after`."""
    used = _Usage()
    sections = measurement()
    told = (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}, without the other sections{_priority()}; "
        f"other processes used {used.by_others() * 100:.0f} % of the CPU."
    )
    for section in sections:
        dated = replace(section, note=f"{section.note} {told}")
        PAGE.write_text(with_section(PAGE.read_text(), dated, after))
        after = section.title
    return 0 if sections else 1


def _measure_prompts() -> Sequence[Section]:
    with tempfile.TemporaryDirectory() as name, open_testbed(Path(name)) as bed:
        folder, plan = Path(name), Plan()
        many = prompts.measure(folder, plan, version("litellm"))
        return [many, scale.measure(folder, bed, plan)]


def _measure_votes() -> Sequence[Section]:
    """Votes and hedges in virtual time, and the time of a decision over HTTP."""
    with (
        tempfile.TemporaryDirectory() as name,
        open_testbed(Path(name)) as bed,
        start_servers(bed, peers=False) as servers,
    ):
        row, figure = race.vote(bed.stub, servers["fanout"], Plan())
    voted = votes.measure()
    note = f"{voted.note} Over HTTP, {row[0]}: {row[1]} for the second equal response, {row[2]}."
    return [replace(voted, note=note, figures=[*voted.figures, figure]), hedges.measure()]


def _measure_cpu() -> Sequence[Section]:
    with tempfile.TemporaryDirectory() as name, open_testbed(Path(name)) as bed:
        return [cpu_shares.measure(Path(name), bed, Plan())]


def _measure_keys() -> Sequence[Section]:
    with tempfile.TemporaryDirectory() as name, open_testbed(Path(name)) as bed:
        return [keys.measure(bed, Plan())]


def _measure_lambda() -> Sequence[Section]:
    with tempfile.TemporaryDirectory() as name, open_testbed(Path(name)) as bed:
        return lambda_runtime.measure(bed, Plan())


_ALONE: dict[str, tuple[Callable[[], Sequence[Section]], str]] = {
    "prompts": (_measure_prompts, ""),
    "votes": (_measure_votes, "A race"),
    "keys": (_measure_keys, "The gateway"),
    "cpu": (_measure_cpu, "The gateway"),
    "embeddings": (lambda: [embeddings.measure()], "Jobs"),
    "lambda": (_measure_lambda, "What a cold start imports"),
}
"""The sections that can be measured alone, and those that they stand after."""


def measure(plan: Plan) -> list[Section]:
    """
    Measure every section; servers run only while they are needed.

    A section that fails is left out, so that the others are not lost: its error is printed, and the
    page says that it was not measured.
    """
    litellm = version("litellm")
    with tempfile.TemporaryDirectory() as name, open_testbed(Path(name)) as bed:
        many = _sections("A thousand prompts", prompts.measure, Path(name), plan, litellm)
        more = _sections("Thousands of prompts", scale.measure, Path(name), bed, plan)
        with start_servers(bed, peers=plan.peers) as servers:
            load = _sections("The gateway", gateway.measure, bed.stub, servers, plan, litellm)
            raced = _sections("A race", race.measure, bed.stub, servers, plan, litellm)
        shares = _sections("What limits", cpu_shares.measure, Path(name), bed, plan)
        keyed = _sections("Virtual keys", keys.measure, bed, plan)
        voted = _sections("Agreement", votes.measure)
        voted += _sections("Adaptive hedges", hedges.measure)
        batch = _sections("Jobs", jobs.measure, bed, plan)
        vectors = _sections("Embeddings", embeddings.measure, 3 if plan.peers else 1)
        seconds = servers["litellm"].seconds if plan.peers else None
        start = _sections("Start", startup.measure, bed, plan, litellm, seconds)
        limited = _sections("As a Lambda", lambda_limits.measure, bed, plan)
        emulated = _sections("Under AWS's runtime code", lambda_runtime.measure, bed, plan)
        together = _sections("Many requests in one environment", many_invocations.measure, bed)
    first, costs = load[:1], load[1:]
    parts = (
        many,
        more,
        first,
        shares,
        keyed,
        raced,
        voted,
        batch,
        vectors,
        start,
        limited,
        emulated,
        together,
        costs,
    )
    return [section for part in parts for section in part]


def _sections(
    title: str, measurement: Callable[P, Section | Sequence[Section]], *args: P.args, **kw: P.kwargs
) -> list[Section]:
    """Measure some sections; if that fails, return one that says so."""
    print(f"bench: {title} …", file=sys.stderr, flush=True)
    try:
        measured = measurement(*args, **kw)
    except Exception:  # noqa: BLE001 -- the other sections are worth minutes
        traceback.print_exc()
        return [Section(title, "Not measured: the run of this section failed.", [], [])]
    return [measured] if isinstance(measured, Section) else list(measured)


def _priority() -> str:
    """That this run gets the CPU before other processes, if it does."""
    scheduler = getattr(os, "sched_getscheduler", None)  # Linux has it
    is_first = scheduler is not None and scheduler(0) in {os.SCHED_FIFO, os.SCHED_RR}
    return ", at real-time priority" if is_first else ""


class _Usage:
    """The time and the CPU that have been used since this was made."""

    def __init__(self) -> None:
        self._began, self._busy, self._own = time.perf_counter(), _busy(), _own()

    def seconds(self) -> float:
        """Seconds so far."""
        return time.perf_counter() - self._began

    def by_others(self) -> float:
        """The share of the machine's CPU that other processes have used."""
        others = _busy() - self._busy - (_own() - self._own)
        return max(0.0, others) / (self.seconds() * (psutil.cpu_count() or 1))


def _busy() -> float:
    """CPU seconds that the machine has used so far."""
    times = psutil.cpu_times()._asdict()
    # Linux counts the time of guests twice.
    idle = ("idle", "iowait", "guest", "guest_nice")
    return float(sum(seconds for name, seconds in times.items() if name not in idle))


def _own() -> float:
    """CPU seconds that this run and its processes have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _head(seconds: float, others: float) -> list[str]:
    """The head of the page: what it shows, and the conditions of the run."""
    cores, memory = psutil.cpu_count() or 0, psutil.virtual_memory().total / 1e9
    python = platform.python_version()
    machine = f"{platform.system()} {platform.machine()}, {cores} cores, {memory:.0f} GB"
    return [
        "# Benchmarks",
        "",
        "This page shows the time, CPU and memory that Fanout needs, next to LiteLLM and to bare",
        "HTTP clients and servers. For example, the first row is the time for 1,000 prompts at",
        "once to a provider that takes 1 s. `make bench` generates the page.",
        "",
        "Each server is one process. All run on one machine, with the load generator and the stub",
        "provider: the ratios are meaningful, the absolute times are not.",
        "",
        *ADAPTER_HEAD,
        "",
        f"* {datetime.now(UTC):%Y-%m-%d}, {machine}, Python {python}; {seconds / 60:.1f} minutes.",
        f"* Other processes used {others * 100:.0f} % of the CPU.",
        f"* Fanout and its packages: {_versions(_installed())}.",
        f"* Compared with: {_versions({name: version(name) for name in PEERS})}.",
    ]


def _versions(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in found.items())


def _installed() -> dict[str, str]:
    """The versions in the gateway's environment."""
    code = "import json, sys\nfrom importlib.metadata import version\n"
    code += "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
    command: list[str | Path] = [OURS / "python", "-c", code, *OWN]
    found: dict[str, str] = json.loads(
        subprocess.run(command, capture_output=True, check=True).stdout
    )
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
