"""The arguments of `fanout agree`, and its report: which answer has how many votes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from ..errors import RequestError
from ..wire import json
from ..wire.terminal_text import one_line
from .printing import show

MAX_SHOWN = 60
"""Characters of an answer in the report."""


def add_rules(parser: argparse.ArgumentParser) -> None:
    """Add the options that say when models agree."""
    parser.add_argument(
        "-k", type=int, metavar="N", help="how many models must give the same answer (2)"
    )
    parser.add_argument(
        "--on",
        metavar="WHAT",
        help="`text`, `json`, or fields of the JSON: `label,price` (text, or json with a schema)",
    )
    parser.add_argument(
        "--start",
        metavar="N",
        help="how many models run at a time, or `all` (N of -k); a disagreement starts the next",
    )
    parser.add_argument(
        "--lead", type=int, metavar="N", help="the answer must be this many votes ahead"
    )
    parser.add_argument(
        "--confidence",
        type=float,
        metavar="X",
        help="the answer must be right with this probability, such as 0.95",
    )
    parser.add_argument(
        "--weight",
        action="append",
        default=[],
        metavar="NAME=X",
        help="how often a model is right, from 0 to 1; the most accurate ones start first",
    )


def read_rules(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of `fanout` that the options set."""
    given = {
        "k": arguments.k,
        "on": _on(arguments.on),
        "start": _start(arguments.start),
        "lead": arguments.lead,
        "confidence": arguments.confidence,
        "weights": dict(map(_weight, arguments.weight)) or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _on(given: str | None) -> str | list[str] | None:
    if given is None or given in {"text", "json"}:
        return given
    return [name.strip() for name in given.split(",")]


def _start(given: str | None) -> int | str | None:
    if given is None or given == "all":
        return given
    if given.isascii() and given.isdigit():
        return int(given)
    raise RequestError("--start must be a number of models, or `all`", "start")


def _weight(given: str) -> tuple[str, float]:
    name, _, value = given.rpartition("=")
    try:
        weight = float(value)
    except ValueError:
        weight = 0.0
    if not name or not 0 < weight <= 1:
        raise RequestError(
            "--weight must be a model's name and a number over 0, at most 1: `gpt-4o=0.9`", "weight"
        )
    return name, weight


def show_votes(report: Mapping[str, Any]) -> bool:
    """Print how the models voted on standard error; return whether they agree."""
    votes = report.get("agree")
    for ballot in votes["votes"] if votes else ():
        names = ", ".join(map(one_line, ballot["models"]))
        _print(f"{ballot['votes']} x {_short(ballot['value'])}: {names}")
    for attempt in report.get("attempts", ()):
        if attempt["outcome"] in {"failed", "no_vote"}:
            reason = (attempt["error"] or {}).get("message", "")
            _print(f"no vote: {one_line(attempt['model'])}: {one_line(reason)}")
    if votes is None:
        _print("the response has no report of votes")
        return False
    saved = votes["calls_saved"]
    end = "agreed" if votes["decided"] else "not agreed"
    more = f"; {saved} not needed" if saved else ""
    if saved and votes["saved_usd"]:
        more += f", ${votes['saved_usd']:.6f} saved"
    _print(f"{end} after {votes['calls']} {'call' if votes['calls'] == 1 else 'calls'}{more}")
    return bool(votes["decided"])


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.encode(value).decode()
    text = one_line(text)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def _print(line: str) -> None:
    show(line, file=sys.stderr, flush=True)
