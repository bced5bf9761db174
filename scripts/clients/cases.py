"""What the Python clients share: runs each case and prints its result as one JSON line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

SYSTEM = "Answer in one short sentence."  # without it, this model often rambles
PROMPT = "Write a slogan for a bakery."
LIMIT = 24
RACE = "smol, smol-claude"


class Failed(Exception):
    """The client got something else than it should have; the message says what."""


def check(condition: object, found: object) -> None:
    """Raise `Failed` with what was found unless `condition` holds."""
    if not condition:
        raise Failed(str(found))


def run_cases(client: str, cases: Mapping[str, Callable[[], str]]) -> None:
    """Run each case, which returns a text to show, and print its result."""
    for what, case in cases.items():
        result, fault = "", ""
        try:
            result = case()
        except Exception as error:  # noqa: BLE001 -- a client may raise anything
            fault = f"{type(error).__name__}: {error}"
        line = {"client": client, "what": what, "result": result, "fault": fault}
        print(json.dumps(line), flush=True)
