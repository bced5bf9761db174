"""A request that may be cancelled or renewed by other environments: its item, and what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Protocol


class Watched(Protocol):
    """An open request, as this module uses it; `key` is its client's name and its id."""

    @property
    def key(self) -> tuple[str, str]: ...

    @property
    def lease(self) -> float | None: ...

    @property
    def received(self) -> float | None: ...

    def cancel(self) -> None: ...

    def renew(self) -> None: ...


class Watch:
    """A request that is watched: its item, and what has been read of it."""

    def __init__(self, request: Watched, now: float) -> None:
        self.request = request
        self.id = item_id(request.key)
        # A client may use an id again, so marks that are older than the request are not its own.
        self.received = microseconds(min(request.received or now, now))
        self.opened_at: int | None = None  # once a registration has been sent
        self.is_registered = False
        self.registration: asyncio.Future[None] | None = None
        self.renewals = 0
        self.mark: int | None = None

    def apply(self, item: Mapping[str, Any]) -> None:
        """Cancel or renew the request as the item says."""
        mark, renewals = number_in(item, "cancelled_at"), number_in(item, "renewals")
        if mark >= self.received and self.mark is None:
            self.mark = mark
            self.request.cancel()
        elif renewals != self.renewals:
            self.request.renew()
        self.renewals = renewals


def item_id(key: tuple[str, str]) -> str:
    """The item of a request: a digest, as a client's name may be longer than a key."""
    return sha256("\n".join(key).encode()).hexdigest()


def microseconds(seconds: float) -> int:
    return int(seconds * 1_000_000)


def number_in(item: Mapping[str, Any], name: str) -> int:
    return int(item[name]["N"]) if name in item else 0
