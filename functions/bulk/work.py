"""The middle step: works on one shard for as long as the invocation may run."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from fanout.bulk.input.planner import Shard

from .host import host

MARGIN = 10.0
"""Seconds before the invocation's end, in which the worker stores results and writes counts."""


class Event(Struct, frozen=True):
    """A shard of a job."""

    job: str
    shard: Shard


def handler(event: dict[str, Any], context: Any) -> Any:
    """Handle the invocation; return what the worker did and how many lines are left."""
    work = msgspec.convert(event, Event)
    seconds = context.get_remaining_time_in_millis() / 1000 - MARGIN
    return host.run(lambda handlers: handlers.work(work.job, work.shard, seconds))
