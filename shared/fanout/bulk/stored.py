"""What is on a shard's shelf already: whose lines, and what they come to."""

from __future__ import annotations

from collections.abc import Callable

from ..wire import json
from .store import Shelf
from .tally import Tally, tally_answer, tally_failure


async def tally_stored(shelf: Shelf, cost: Callable[[object], float]) -> tuple[set[str], Tally]:
    """The names of the lines that are stored, and what they come to."""
    names: set[str] = set()
    tally = Tally()
    async for failed, line in shelf.stored():
        said = json.decode(line)
        if (name := said["custom_id"]) in names:
            continue
        names.add(name)
        if failed:
            tally.add(tally_failure(_stored_cause(said)))
        else:
            body = said["response"]["body"]
            tally.add(tally_answer(body, cost(body)))
    return names, tally


def _stored_cause(said: dict[str, dict[str, dict[str, dict[str, str]]]]) -> str:
    fault = said["error"] or said["response"]["body"]["error"]
    return str(fault.get("code") or "error")
