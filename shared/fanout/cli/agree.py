"""The arguments of `fanout agree`, and its report: which answer has how many votes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import RequestError
from ..wire import json
from ..wire.terminal_text import one_line
from .printing import show

MAX_SHOWN = 60
"""Characters of an answer in the report."""

MAX_SAVED = 1e9
"""US dollars; a larger number is a mistake."""


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


def show_votes(report: object) -> bool:
    """
    Print how the models voted on standard error; return whether they agree.

    A gateway of another version may send another report: what cannot be read is left out.
    """
    found = _object(report)
    votes = found.get("agree")
    if not isinstance(votes, dict):
        votes = None
    for ballot in _objects(votes and votes.get("votes")):
        names = ", ".join(map(_text, _list(ballot.get("models"))))
        _print(f"{_text(ballot.get('votes'))} x {_short(ballot.get('value'))}: {names}")
    for attempt in _objects(found.get("attempts")):
        if attempt.get("outcome") in ("failed", "no_vote"):
            reason = _object(attempt.get("error")).get("message")
            _print(f"no vote: {_text(attempt.get('model'))}: {_text(reason)}")
    if votes is None:
        _print("the response has no report of votes")
        return False
    _print(_end(votes))
    return votes.get("decided") is True


def _end(votes: Mapping[str, Any]) -> str:
    """The last line: whether the models agree, after how many calls, and what that saved."""
    calls, saved, saved_usd = (votes.get(name) for name in ("calls", "calls_saved", "saved_usd"))
    line = "agreed" if votes.get("decided") is True else "not agreed"
    if isinstance(calls, int):
        line += f" after {calls} {'call' if calls == 1 else 'calls'}"
    if isinstance(saved, int) and saved:
        line += f"; {saved} not needed"
        if isinstance(saved_usd, int | float) and 0 < saved_usd < MAX_SAVED:
            line += f", ${saved_usd:.6f} saved"
    return line


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [one for one in _list(value) if isinstance(one, dict)]


def _text(value: object) -> str:
    """A text or a number of the report as one line; `?` for anything else."""
    is_known = isinstance(value, str | int | float)
    return one_line(str(value)) if is_known else "?"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.encode(value).decode()
    text = one_line(text)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def _print(line: str) -> None:
    show(line, file=sys.stderr, flush=True)
