"""The middle step: as much of one shard as the invocation's time allows."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from fanout.bulk.input.planner import Shard

from .host import host

MARGIN = 10.0
"""Seconds of the invocation in which what is done is stored, and its counts are written."""


class Asked(Struct, frozen=True):
    """A shard of a job."""

    job: str
    shard: Shard


def handler(event: dict[str, Any], context: Any) -> Any:
    """Lambda's entry."""
    asked = msgspec.convert(event, Asked)
    seconds = context.get_remaining_time_in_millis() / 1000 - MARGIN
    return host.run(lambda machine: machine.work(asked.job, asked.shard, seconds))
