"""
`make bench`: every figure that has a target, measured in one run beside its peers.

Writes docs/benchmarks.md and prints it. `--quick` measures little and LiteLLM not at all, prints,
and writes nothing. All load stays on this machine; every process is stopped, whatever happens.
"""

from __future__ import annotations

import json
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from . import gateway, jobs, lambda_limits, prompts, race, startup
from .report import Section, page
from .servers import OURS, ROOT
from .testbed import QUICK, Plan, contestants, scene

PAGE = ROOT / "docs" / "benchmarks.md"
PEERS = ("litellm", "granian", "httpx", "aiohttp")
OWN = ("fanout-gateway", "pyqwest", "uvicorn", "uvloop", "httptools", "msgspec")


def main(arguments: Sequence[str]) -> int:
    """Measure, print, write."""
    plan = QUICK if "--quick" in arguments else Plan()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every block is left
    began, busy, own = time.perf_counter(), _busy(), _own()
    sections = measure(plan)
    seconds = time.perf_counter() - began
    others = max(0.0, _busy() - busy - (_own() - own)) / (seconds * (psutil.cpu_count() or 1))
    report = page(_head(seconds, others), sections)
    print(report)
    if plan.peers:
        PAGE.write_text(report)
    return 0


def measure(plan: Plan) -> list[Section]:
    """Every section, its servers running no longer than it needs them."""
    litellm = version("litellm")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _say("a thousand prompts")
        many = prompts.measure(folder, plan, litellm)
        with scene(folder) as made:
            _say("the gateway")
            with contestants(made, peers=plan.peers) as servers:
                load, costs = gateway.measure(made.stub, servers, plan, litellm)
                _say("a race")
                raced = race.measure(made.stub, servers, plan, litellm)
            _say("jobs")
            batch = jobs.measure(made, plan)
            _say("start")
            theirs = servers["litellm"].seconds if plan.peers else None
            start = startup.measure(made, plan, litellm, theirs)
            _say("Lambda's shape")
            held = lambda_limits.measure(made, plan)
    return [many, load, raced, batch, start, *held, costs]


def _say(what: str) -> None:
    print(f"bench: {what} …", file=sys.stderr, flush=True)


def _busy() -> float:
    """Seconds that the machine's processors have worked so far."""
    times = psutil.cpu_times()._asdict()
    # Linux counts a guest's time twice.
    idle = ("idle", "iowait", "guest", "guest_nice")
    return float(sum(seconds for name, seconds in times.items() if name not in idle))


def _own() -> float:
    """Seconds of them that were this run's."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _head(seconds: float, others: float) -> list[str]:
    """What the page says of the run itself."""
    cores, memory = psutil.cpu_count() or 0, psutil.virtual_memory().total / 1e9
    python = platform.python_version()
    machine = f"{platform.system()} {platform.machine()}, {cores} cores, {memory:.0f} GB"
    return [
        "# Benchmarks",
        "",
        "Written by `make bench`; nothing here is edited by hand. One process each, all of it on",
        "one machine, the load and the stub provider included: ratios hold, absolute times do not.",
        "",
        f"* {datetime.now(UTC):%Y-%m-%d}, {machine}, Python {python}; {seconds / 60:.1f} minutes.",
        f"* Work of others took {others * 100:.0f} % of the processors meanwhile.",
        f"* Ours: {_versions(_installed())}.",
        f"* Beside: {_versions({name: version(name) for name in PEERS})}.",
    ]


def _versions(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in found.items())


def _installed() -> dict[str, str]:
    """The versions in the gateway's own environment."""
    code = "import json, sys\nfrom importlib.metadata import version\n"
    code += "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
    asked: list[str | Path] = [OURS / "python", "-c", code, *OWN]
    found: dict[str, str] = json.loads(
        subprocess.run(asked, capture_output=True, check=True).stdout
    )
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
