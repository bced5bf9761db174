"""What is on a shard's shelf already: whose lines, and what they come to."""

from __future__ import annotations

from collections.abc import Callable

from ...wire import json
from ..store import ShardResults
from ..totals import Totals, count_failure, count_response


async def count_stored(
    shelf: ShardResults, cost: Callable[[object], float]
) -> tuple[set[str], Totals]:
    """The names of the lines that are stored, and what they come to."""
    names: set[str] = set()
    totals = Totals()
    async for failed, line in shelf.stored():
        said = json.decode(line)
        if (name := said["custom_id"]) in names:
            continue
        names.add(name)
        if failed:
            fault = said["error"] or said["response"]["body"]["error"]
            cause, message = fault.get("code") or "error", fault.get("message") or ""
            totals.add(count_failure(str(cause), name, None, str(message)))
        else:
            body = said["response"]["body"]
            totals.add(count_response(body, cost(body)))
    return names, totals
