"""The first step: checks the execution's input and cuts the job into shards."""

from __future__ import annotations

from typing import Any

import msgspec

from fanout.bulk.aws.step_payloads import Beginning

from .host import host


def handler(event: dict[str, Any], _context: object) -> Any:
    """Handle the invocation; return the next state."""
    start = msgspec.convert(event, Beginning)
    return host.run_step(lambda steps: steps.begin(start))
