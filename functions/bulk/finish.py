"""The last step: the results of all shards to one file, or another round, or the end of a fault."""

from __future__ import annotations

from typing import Any

import msgspec

from fanout.bulk.aws.step_payloads import Beginning, State

from .host import host


def handler(event: dict[str, Any], _context: object) -> Any:
    """Lambda's entry; a schedule asks it to look for jobs that hang."""
    if "look" in event:
        return host.look()
    if "error" in event:
        fault = msgspec.convert(event, Beginning)
        return host.take(lambda steps: steps.give_up(fault))
    state = msgspec.convert(event, State)
    return host.take(lambda steps: steps.finish(state))
