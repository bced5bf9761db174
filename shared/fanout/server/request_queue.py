"""The requests of one connection: the one being served, and those behind it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from .limits import ConnectionLimits
from .served_request import ServedRequest


class RequestQueue:
    """
    `current` is the request whose response is not complete; `receiving` the one whose body is not.

    `waiting` came behind the current one (HTTP pipelining).
    """

    def __init__(self) -> None:
        self.current: ServedRequest | None = None
        self.receiving: ServedRequest | None = None
        self.waiting: deque[ServedRequest] = deque()

    @property
    def is_empty(self) -> bool:
        """Whether there is no response to send."""
        return self.current is None and not self.waiting

    @property
    def last(self) -> ServedRequest | None:
        """The request with the last response."""
        return self.waiting[-1] if self.waiting else self.current

    def is_full(self, limits: ConnectionLimits) -> bool:
        """Whether no more requests may wait."""
        waiting = self.waiting
        return len(waiting) >= limits.pipelined or (
            bool(waiting) and sum(one.head_size for one in waiting) >= limits.pipelined_bytes
        )

    @property
    def is_lingering(self) -> bool:
        """Whether a response is complete, and its request is not."""
        return self.receiving is not None and self.receiving.is_complete

    @property
    def is_current_incomplete(self) -> bool:
        """Whether the app waits for the rest of a body."""
        return self.current is not None and self.current is self.receiving

    def disconnect(self) -> None:
        """Forget all requests; the app learns that the client has disconnected."""
        for request in self._all():
            request.disconnect()
        self.current = self.receiving = None
        self.waiting.clear()

    def take_broken(self) -> ServedRequest | None:
        """Remove the request whose body cannot be read to its end."""
        broken, self.receiving = self.receiving, None
        if broken is not None and not broken.is_complete:
            broken.disconnect()
            if self.current is broken:
                self.current = None
            else:
                self.waiting.pop()
        return broken

    def _all(self) -> Iterator[ServedRequest]:
        yield from self.waiting
        if self.current is not None:
            yield self.current
        if self.receiving is not None:
            yield self.receiving
