"""What the clients' rows have in common: each is tried, and told as one JSON line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

SYSTEM = "Answer in one short sentence."  # without one this model answers in tongues
PROMPT = "Write a slogan for a bakery."
LIMIT = 24
RACE = "smol, smol-claude"


class Wrong(Exception):
    """The client did not get what it should have; the message says what it got."""


def need(condition: object, words: object) -> None:
    """Raise `Wrong` unless `condition` holds."""
    if not condition:
        raise Wrong(str(words))


def show(client: str, rows: Mapping[str, Callable[[], str]]) -> None:
    """Try each row, which returns what there is to see, and print what became of it."""
    for what, row in rows.items():
        said, fault = "", ""
        try:
            said = row()
        except Exception as error:  # noqa: BLE001 -- whatever a client raises is to be seen
            fault = f"{type(error).__name__}: {error}"
        line = {"client": client, "what": what, "said": said, "fault": fault}
        print(json.dumps(line), flush=True)
