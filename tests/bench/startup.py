"""From the start of a process to its first answer, and what it imports on the way."""

from __future__ import annotations

import re
from statistics import median

from .report import Section, Verdict, number
from .scene import Command, Plan, Scene, bare, floor, ours, ratio, started

COMMANDS: dict[str, Command] = {"bare": bare, "floor": floor, "fanout": ours}
NAMES = {
    "bare": "bare ASGI function that answers by itself",
    "floor": "bare ASGI function that asks the stub",
    "fanout": "**Fanout**, asking the stub",
}
_IMPORT = re.compile(r"^import time:.*\| +(\S+)$", re.MULTILINE)


def measure(made: Scene, plan: Plan, litellm: str, theirs: float | None) -> Section:
    """The three in turn; `theirs` is how long LiteLLM's proxy took when it was started."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(plan.starts):
        for name, command in COMMANDS.items():
            with started(name, command, made) as server:
                seconds[name].append(server.seconds)
    modules = {name: imported(command, made) for name, command in COMMANDS.items()}
    rows = [
        [
            NAMES[name],
            number(median(seconds[name]) * 1000, "ms"),
            str(len(modules[name])),
            str(len(modules[name] - modules["bare"])),
        ]
        for name in COMMANDS
    ]
    if theirs is not None:
        rows.append([f"LiteLLM's proxy {litellm}, once", number(theirs * 1000, "ms"), "", ""])
    verdict = Verdict(
        "start to first answer, beside a bare ASGI function's",
        ratio(seconds["fanout"], seconds["bare"]),
        2,
        "x",
    )
    note = (
        "From the start of the process to the end of its first answer: Fanout's is a chat "
        f"completion that it got from the stub. In turn, the median of {plan.starts}, and of the "
        "ratios within a turn."
    )
    header = ["", "start to first answer", "modules imported", "beyond the bare function's"]
    return Section("Start", note, header, rows, [verdict])


def imported(command: Command, made: Scene) -> frozenset[str]:
    """The modules that a server has imported by its first answer."""
    with started("imports", command, made, {"PYTHONPROFILEIMPORTTIME": "1"}) as server:
        return frozenset(_IMPORT.findall(server.said()))
