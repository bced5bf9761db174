"""The API function's process held as AWS holds one of 512 MB, and what its start is made of."""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from .cpu_quota import share
from .gateway import CROWD
from .load import put, request
from .prompt_process import peak
from .race import in_turn
from .report import Section, Verdict, number
from .servers import OURS, Server
from .startup import lambda_env
from .testbed import ASKED, HELLO, Command, Plan, Scene, function, started

MEMORY = 512
WIDTHS = (100, 1_000)
"""Conversations of one request."""

ALONE = 200
"""Requests, one after the other, of which the median is told."""

STANDARD = "Python's own"
LONGEST = 10
"""Rows of the table of imports."""

_TIMED = re.compile(r"^import time: +(\d+) \| +\d+ \| +(\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Seen:
    """What one process did: seconds by question, and the most megabytes that it held."""

    seconds: Mapping[str, float]
    peak: float


def measure(made: Scene, plan: Plan) -> list[Section]:
    """The same questions to a free process and to a held one; then the imports of a start."""
    if sys.platform != "linux":
        return []
    free, held = _ask(function, made, plan), _ask(_held, made, plan)
    rows = [
        [what, number(free.seconds[what] * 1000, "ms"), number(held.seconds[what] * 1000, "ms")]
        for what in free.seconds
    ]
    rows.append(["memory at its peak", number(free.peak, "MB"), number(held.peak, "MB")])
    note = (
        "The API function's process without an adapter, asking the stub. Held, it gets "
        f"{share(MEMORY):.2f} of a core, as a function of {MEMORY} MB does: it is stopped for the "
        "rest of every 100 ms in which it has used so much. One request at a time, as a Lambda "
        f"gets them, but for one row; medians, of {plan.starts} starts, {ALONE} requests, "
        f"{plan.races} races. Of many conversations 400 are under way at a time "
        "(`max_parallel_requests`). The stub is not held."
    )
    verdict = Verdict(f"as a Lambda of {MEMORY} MB: peak memory", held.peak, MEMORY, "MB")
    shape = Section("Lambda's shape", note, ["", "free", "held"], rows, [verdict])
    return [shape, _imports(made, plan)]


def _held(port: int, config: Path) -> list[str | Path]:
    """The Lambda's command, held."""
    hold: list[str | Path] = [OURS / "python", "-m", "tests.bench.cpu_quota", str(share(MEMORY))]
    return [*hold, *function(port, config)]


def _ask(command: Command, made: Scene, plan: Plan) -> Seen:
    env = lambda_env(made)
    starts = []
    for _ in range(plan.starts):
        with started("lambda", command, made, env) as server:
            starts.append(server.seconds)
    with started("lambda", command, made, env) as server:
        process = (server.process.children() or [server.process])[0]
        seconds = {"start to first answer": median(starts), **_questions(server, made, plan)}
        return Seen(seconds, peak(process.pid))


def _questions(server: Server, made: Scene, plan: Plan) -> dict[str, float]:
    """Seconds of each question, its provider's own taken off where it answers alone."""
    alone = {
        which.name: put(which.port, ASKED, clients=1, seconds=60, count=ALONE)
        for which in (server, made.stub)
    }
    raced = in_turn(made.stub, {server.name: server}, plan.races, stream=True)
    pairs = list(zip(raced[server.name], raced["stub"], strict=True))
    found = {
        "a request, added to the stub's own": alone[server.name].whole - alone["stub"].whole,
        "a streamed race, added to the first word": median(a.first - b.first for a, b in pairs),
        "a streamed race, added to the whole answer": median(a.whole - b.whole for a, b in pairs),
    }
    crowd = put(server.port, ASKED, clients=CROWD, seconds=plan.seconds * 2)
    found[f"{CROWD} clients at once: an answer"] = crowd.whole
    for width in WIDTHS:
        asked = request({"model": "slow", "messages": [HELLO] * width})
        load = put(server.port, asked, clients=1, seconds=60, count=3)
        found[f"{width:,} conversations in one request, the provider takes 1.05 s"] = load.whole
    return found


def _imports(made: Scene, plan: Plan) -> Section:
    """Milliseconds and modules of each package, by Python's own account of a start."""
    runs = [_account(made) for _ in range(plan.starts)]
    spent = {name: median(run[name][0] for run in runs) for name in runs[0]}
    longest = sorted(spent, key=lambda name: -spent[name])
    rows = [
        [_named(name), str(runs[0][name][1]), number(spent[name], "ms")]
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
        "What the API function imports by its first answer, by `-X importtime`, which itself "
        f"takes time: the part of each top-level package, the median of {plan.starts} starts."
    )
    return Section("What a cold start imports", note, ["package", "modules", "alone"], rows)


def _account(made: Scene) -> dict[str, tuple[float, int]]:
    """By top-level package: milliseconds, modules."""
    env = {**lambda_env(made), "PYTHONPROFILEIMPORTTIME": "1"}
    with started("imports", function, made, env) as server:
        found = _TIMED.findall(server.said())
    spent: dict[str, float] = defaultdict(float)
    for micros, module in found:
        spent[_package(module)] += int(micros) / 1000
    counts = Counter(_package(module) for _, module in found)
    return {name: (spent[name], counts[name]) for name in spent}


def _named(package: str) -> str:
    return package if package == STANDARD else f"`{package}`"


def _package(module: str) -> str:
    top = module.partition(".")[0]
    return STANDARD if top in sys.stdlib_module_names else top
