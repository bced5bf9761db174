"""
The rights of a virtual key at the moment when a model is about to be called.

They may change after a request or a job has begun. What was read in the last second counts as now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Self

from msgspec.structs import replace

from ..config.catalog import ClientKey
from ..errors import FanoutError, Unauthorized
from .account import UNKNOWN_KEY

MAX_AGE = 1.0
"""Seconds for which rights that were read are those of now: many calls that start share a read."""


class RecentRead:
    """When rights were last read, of which calls that start together share one read."""

    def __init__(self, read_at: float = -inf) -> None:
        self._loop = asyncio.get_running_loop()
        self._read_at = read_at
        self._lock = asyncio.Lock()

    @classmethod
    def now(cls) -> Self:
        """They have just been read."""
        return cls(asyncio.get_running_loop().time())

    async def repeat(self, read: Callable[[], Awaitable[object]], max_age: float) -> None:
        """Read again, unless the last attempt at that began at most so many seconds ago."""
        if self._is_recent(max_age) and not self._lock.locked():
            return
        async with self._lock:
            if not self._is_recent(max_age):
                self._read_at = self._loop.time()
                await read()

    def _is_recent(self, max_age: float) -> bool:
        return self._loop.time() - self._read_at < max_age


class CurrentRights:
    """
    Finds out which rights a client has now: those of `client`, or what `read` returns if it is old.

    If the store of keys does not respond, the rights that are known count for another second.
    """

    def __init__(self, read: Callable[[], Awaitable[ClientKey]], known: ClientKey) -> None:
        self.client = replace(known, current=self)
        self._is_valid = True
        self._read = read
        self._recent = RecentRead.now()

    async def __call__(self) -> ClientKey:
        """The client; raises `Unauthorized` if its key is not valid any more."""
        await self._recent.repeat(self._refresh, MAX_AGE)
        if not self._is_valid:
            raise Unauthorized(UNKNOWN_KEY)
        return self.client

    async def _refresh(self) -> None:
        try:
            self.client = replace(await self._read(), current=self)
        except Unauthorized:
            self._is_valid = False
        except FanoutError:  # of the store
            pass
