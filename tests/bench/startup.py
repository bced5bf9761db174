"""From the start of a process to its first answer, and what it imports on the way."""

from __future__ import annotations

import re
from statistics import median

from .report import Section, Verdict, number
from .testbed import Command, Plan, Scene, bare, floor, function, ours, ratio, started

COMMANDS: dict[str, Command] = {"bare": bare, "floor": floor, "fanout": ours, "lambda": function}
FUNCTION = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_REGION": "us-east-1",
    "AWS_SECRET_ACCESS_KEY": "none",
    "FANOUT_SECRET_PREFIX": "Bench/",
    "FANOUT_SERVICE": "Bench",
    "POWERTOOLS_SERVICE_NAME": "Bench",
}
"""What the stack sets; the config has its keys in it, so Secrets Manager is asked for none."""

NAMES = {
    "bare": "bare ASGI function that answers by itself",
    "floor": "bare ASGI function that asks the stub",
    "fanout": "**Fanout**, asking the stub",
    "lambda": "**Fanout's Lambda**, without an adapter, asking the stub",
}
_IMPORT = re.compile(r"^import time:.*\| +(\S+)$", re.MULTILINE)


def measure(made: Scene, plan: Plan, litellm: str, theirs: float | None) -> Section:
    """The three in turn; `theirs` is how long LiteLLM's proxy took when it was started."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(plan.starts):
        for name, command in COMMANDS.items():
            with started(name, command, made, _env(name, made)) as server:
                seconds[name].append(server.seconds)
    modules = {name: imported(name, command, made) for name, command in COMMANDS.items()}
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
    what = "start to first answer, beside a bare ASGI function's"
    verdicts = [
        Verdict(what, ratio(seconds["fanout"], seconds["bare"]), 2, "x"),
        Verdict(f"{what}: the Lambda's", ratio(seconds["lambda"], seconds["bare"]), 2, "x"),
        Verdict(
            "modules beyond a bare ASGI function's: the Lambda's",
            len(modules["lambda"] - modules["bare"]),
            200,
            "",
        ),
    ]
    note = (
        "From the start of the process to the end of its first answer: Fanout's is a chat "
        f"completion that it got from the stub. In turn, the median of {plan.starts}, and of the "
        "ratios within a turn."
    )
    header = ["", "start to first answer", "modules imported", "beyond the bare function's"]
    return Section("Start", note, header, rows, verdicts)


def _env(name: str, made: Scene) -> dict[str, str]:
    return lambda_env(made) if name == "lambda" else {}


def lambda_env(made: Scene) -> dict[str, str]:
    """The environment of the Lambda's command."""
    return {**FUNCTION, "FANOUT_CONFIG": str(made.config)}


def imported(name: str, command: Command, made: Scene) -> frozenset[str]:
    """The modules that a server has imported by its first answer."""
    env = {**_env(name, made), "PYTHONPROFILEIMPORTTIME": "1"}
    with started("imports", command, made, env) as server:
        return frozenset(_IMPORT.findall(server.said()))
