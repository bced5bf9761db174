"""Writes of a worker on a disk that is full: they are tried again after pauses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ...errors import StorageFull
from ..activity import ActivityTracker

T = TypeVar("T")

ROOM_PAUSE, MAX_ROOM_PAUSE = 0.5, 600.0
"""Seconds before a write to a full disk is tried again, at first and at most."""


async def write_when_there_is_room(
    activity: ActivityTracker,
    write: Callable[[], Awaitable[T]],
    give_up: Callable[[], bool] = lambda: False,
) -> T:
    """
    What `write` returns; raises its `StorageFull` once `give_up` says so.

    Until it is written, `activity` shows the wait, and no line starts.
    """
    try:
        return await write()
    except StorageFull as error:
        if give_up():
            raise
        return await write_later(activity, write, error, give_up)


async def write_later(
    activity: ActivityTracker,
    write: Callable[[], Awaitable[T]],
    error: StorageFull,
    give_up: Callable[[], bool] = lambda: False,
) -> T:
    """The same for a write that has just failed with `error`."""
    activity.room_cause = error.cause
    activity.waiting_for_room += 1
    pause = ROOM_PAUSE
    try:
        while True:
            await asyncio.sleep(pause)
            try:
                return await write()
            except StorageFull:
                if give_up():
                    raise
            pause = min(2 * pause, MAX_ROOM_PAUSE)
    finally:
        activity.waiting_for_room -= 1
