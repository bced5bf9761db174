"""Measures the API function with the CPU of a 512 MB Lambda, and the imports of its start."""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from .cpu_quota import share
from .gateway import CLIENTS
from .load import request, run_load
from .prompt_process import peak
from .race import in_turn
from .report import Figure, Section, number
from .servers import OURS, Server
from .startup import lambda_env
from .testbed import HELLO, STUB_REQUEST, Command, Plan, Testbed, lambda_command, start_server

MEMORY = 512
WIDTHS = (100, 1_000)
"""Numbers of conversations in one request."""

ALONE = 200
"""Sequential requests, of which the median counts."""

STANDARD = "Python's standard library"
LONGEST = 10
"""Rows in the table of imports."""

_TIMED = re.compile(r"^import time: +(\d+) \| +\d+ \| +(\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Measurement:
    """The measurements of one process: seconds by what was done, and peak memory in MB."""

    seconds: Mapping[str, float]
    peak: float


def measure(bed: Testbed, plan: Plan) -> list[Section]:
    """Measure the process with all CPU and with a Lambda's; then the imports of a start."""
    if sys.platform != "linux":
        return []
    free, limited = _measure(lambda_command, bed, plan), _measure(_limited_command, bed, plan)
    rows = [
        [what, number(free.seconds[what] * 1000, "ms"), number(limited.seconds[what] * 1000, "ms")]
        for what in free.seconds
    ]
    rows.append(["peak memory", number(free.peak, "MB"), number(limited.peak, "MB")])
    note = (
        "The app of the API function over HTTP, without Lambda, calling the stub. With the CPU "
        f"of a Lambda, it gets {share(MEMORY):.2f} of a core, as a function with {MEMORY} MB does: "
        "once it has used that share of 100 ms, it stops until the next 100 ms. The "
        "process gets one request at a time, except in "
        f"the row with {CLIENTS} clients. The figures are medians of {plan.starts} starts, {ALONE} "
        f"requests and {plan.races} races. Of many conversations, 400 are in flight at a time "
        "(`max_parallel_requests`)."
    )
    figure = Figure(f"as a Lambda with {MEMORY} MB: peak memory", limited.peak, MEMORY, "MB")
    header = ["", "all CPU", "CPU of a Lambda"]
    section = Section(f"As a Lambda with {MEMORY} MB", note, header, rows, [figure])
    return [section, _imports(bed, plan)]


def _limited_command(port: int, config: Path) -> list[str | Path]:
    """The command of the Lambda function, with its CPU limited."""
    limit: list[str | Path] = [OURS / "python", "-m", "tests.bench.cpu_quota", str(share(MEMORY))]
    return [*limit, *lambda_command(port, config)]


def _measure(command: Command, bed: Testbed, plan: Plan) -> Measurement:
    env = lambda_env(bed)
    starts = []
    for _ in range(plan.starts):
        with start_server("lambda", command, bed, env) as server:
            starts.append(server.seconds)
    with start_server("lambda", command, bed, env) as server:
        process = (server.process.children() or [server.process])[0]
        seconds = {"start to first response": median(starts), **_requests(server, bed, plan)}
        return Measurement(seconds, peak(process.pid))


def _requests(server: Server, bed: Testbed, plan: Plan) -> dict[str, float]:
    """Seconds for each kind of request; for some, minus the provider's own time."""
    alone = {
        which.name: run_load(which.port, STUB_REQUEST, clients=1, seconds=60, count=ALONE)
        for which in (server, bed.stub)
    }
    raced = in_turn(bed.stub, {server.name: server}, plan.races, stream=True)
    pairs = list(zip(raced[server.name], raced["stub"], strict=True))
    found = {
        "a request, added to the stub's time": (
            alone[server.name].response_time - alone["stub"].response_time
        ),
        "a streamed race, added to the first word": median(
            a.first_word - b.first_word for a, b in pairs
        ),
        "a streamed race, added to the whole response": median(
            a.response_time - b.response_time for a, b in pairs
        ),
    }
    many = run_load(server.port, STUB_REQUEST, clients=CLIENTS, seconds=plan.seconds * 2)
    found[f"{CLIENTS} clients at once: a response"] = many.response_time
    for width in WIDTHS:
        data = request({"model": "slow", "messages": [HELLO] * width})
        load = run_load(server.port, data, clients=1, seconds=60, count=3)
        found[f"{width:,} conversations in one request, the provider takes 1.05 s"] = (
            load.response_time
        )
    return found


def _imports(bed: Testbed, plan: Plan) -> Section:
    """Milliseconds and number of modules for each package, as measured by `-X importtime`."""
    runs = [_import_times(bed) for _ in range(plan.starts)]
    spent = {name: median(run[name][0] for run in runs) for name in runs[0]}
    longest = sorted(spent, key=lambda name: -spent[name])
    rows = [
        [_label(name), str(runs[0][name][1]), number(spent[name], "ms")]
        for name in longest[:LONGEST]
    ]
    rest = longest[LONGEST:]
    rows.append(
        [
            f"{len(rest)} others",
            str(sum(runs[0][name][1] for name in rest)),
            number(sum(spent[name] for name in rest), "ms"),
        ]
    )
    rows.append(
        ["all", str(sum(c for _, c in runs[0].values())), number(sum(spent.values()), "ms")]
    )
    note = (
        "What the API function imports until its first response, by top-level package: medians "
        f"of {plan.starts} starts with `-X importtime`, which itself takes time."
    )
    return Section("What a cold start imports", note, ["package", "modules", "own time"], rows)


def _import_times(bed: Testbed) -> dict[str, tuple[float, int]]:
    """Milliseconds and number of modules by top-level package."""
    env = {**lambda_env(bed), "PYTHONPROFILEIMPORTTIME": "1"}
    with start_server("imports", lambda_command, bed, env) as server:
        found = _TIMED.findall(server.output())
    spent: dict[str, float] = defaultdict(float)
    for micros, module in found:
        spent[_package(module)] += int(micros) / 1000
    counts = Counter(_package(module) for _, module in found)
    return {name: (spent[name], counts[name]) for name in spent}


def _label(package: str) -> str:
    return package if package == STANDARD else f"`{package}`"


def _package(module: str) -> str:
    top = module.partition(".")[0]
    return STANDARD if top in sys.stdlib_module_names else top
