"""Measures the time from a process's start to its first response, and the modules it imports."""

from __future__ import annotations

import re
from statistics import median

from .report import Figure, Section, number
from .testbed import (
    Command,
    Plan,
    Testbed,
    fanout_command,
    forwarding_command,
    instant_command,
    lambda_command,
    median_ratio,
    start_server,
)

COMMANDS: dict[str, Command] = {
    "instant": instant_command,
    "forwarding": forwarding_command,
    "fanout": fanout_command,
    "lambda": lambda_command,
}
LAMBDA_ENV = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_REGION": "us-east-1",
    "AWS_SECRET_ACCESS_KEY": "none",
    "FANOUT_SECRET_PREFIX": "Bench/",
    "FANOUT_SERVICE": "Bench",
    "POWERTOOLS_SERVICE_NAME": "Bench",
}
"""The variables that the stack sets. The config contains its keys: no Secrets Manager is used."""

NAMES = {
    "instant": "bare ASGI function that responds by itself",
    "forwarding": "bare ASGI function that calls the stub",
    "fanout": "**Fanout**, calling the stub",
    "lambda": "**Fanout's Lambda**, over HTTP, calling the stub",
}
_IMPORT = re.compile(r"^import time:.*\| +(\S+)$", re.MULTILINE)


def measure(bed: Testbed, plan: Plan, litellm: str, litellm_seconds: float | None) -> Section:
    """Start each server in turn; `litellm_seconds` is the start of LiteLLM's proxy, once."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(plan.starts):
        for name, command in COMMANDS.items():
            with start_server(name, command, bed, _env(name, bed)) as server:
                seconds[name].append(server.seconds)
    modules = {name: imported_modules(name, command, bed) for name, command in COMMANDS.items()}
    rows = [
        [
            NAMES[name],
            number(median(seconds[name]) * 1000, "ms"),
            str(len(modules[name])),
            str(len(modules[name] - modules["instant"])),
        ]
        for name in COMMANDS
    ]
    if litellm_seconds is not None:
        took = number(litellm_seconds * 1000, "ms")
        rows.append([f"LiteLLM's proxy {litellm}, one start", took, "", ""])
    what = "start to first response, relative to a bare ASGI function"
    figures = [
        Figure(what, median_ratio(seconds["fanout"], seconds["instant"]), 2, "x"),
        Figure(f"the Lambda: {what}", median_ratio(seconds["lambda"], seconds["instant"]), 2, "x"),
        Figure(
            "the Lambda: modules imported beyond those of a bare ASGI function",
            len(modules["lambda"] - modules["instant"]),
            200,
            "",
        ),
    ]
    note = (
        "The time from the start of the process to the end of its first response; Fanout's is a "
        f"chat completion from the stub. The servers start in turn, {plan.starts} times; the "
        "figures are medians, and medians of the ratios within each turn."
    )
    header = ["", "start to first response", "modules imported", "beyond the first row's"]
    return Section("Start", note, header, rows, figures)


def _env(name: str, bed: Testbed) -> dict[str, str]:
    return lambda_env(bed) if name == "lambda" else {}


def lambda_env(bed: Testbed) -> dict[str, str]:
    """The environment of the Lambda function."""
    return {**LAMBDA_ENV, "FANOUT_CONFIG": str(bed.config)}


def imported_modules(name: str, command: Command, bed: Testbed) -> frozenset[str]:
    """The modules that a server has imported when it sends its first response."""
    env = {**_env(name, bed), "PYTHONPROFILEIMPORTTIME": "1"}
    with start_server("imports", command, bed, env) as server:
        return frozenset(_IMPORT.findall(server.output()))
