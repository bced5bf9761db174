"""What the steps of the state machine return."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Planned(Struct, frozen=True):
    """
    A planned job; `next` is `work` on the manifest's shards, or `finish` if there are none.

    `max_workers` is the most workers that such a job may have; 0 is no limit.
    """

    job: str
    manifest: str
    next: Literal["work", "finish"]
    max_workers: int = 0


class Finished(Struct, frozen=True):
    """
    A job that is closed (`next` is `done`), or whose incomplete shards need another round (`work`).

    `manifest` lists those shards; `lines` is the number of lines stored so far. If workers left
    lines because a provider asked for a long pause, that ends in `pause` seconds, and
    `only_waits` says whether all other lines wait for it. `max_workers` is as in `Planned`. If
    lines wait for native batches, these are to be looked at again in `hold` seconds.
    """

    job: str
    status: str
    next: Literal["work", "done"]
    manifest: str = ""
    lines: int = 0
    pause: float | None = None
    only_waits: bool = False
    max_workers: int = 0
    hold: float | None = None
