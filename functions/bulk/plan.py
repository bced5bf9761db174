"""The first step: what the state machine is started with, to a job that is cut into shards."""

from __future__ import annotations

from typing import Any

import msgspec

from fanout.bulk.aws.step_payloads import Beginning

from .host import host


def handler(event: dict[str, Any], _context: object) -> Any:
    """Lambda's entry."""
    asked = msgspec.convert(event, Beginning)
    return host.take(lambda steps: steps.begin(asked))
