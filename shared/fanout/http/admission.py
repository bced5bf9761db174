"""How much is served at once: requests, and the bytes of their bodies. Beyond it a 429, at once."""

from __future__ import annotations

from ..errors import RequestError

PAUSE = 1.0
"""Seconds of the `Retry-After`: most requests that are in the way are over by then."""


class Busy(RequestError):
    """The gateway has as much to do as it may; nobody was asked, so trying again is safe."""

    status = 429
    type = "rate_limit_error"
    code = "gateway_busy"
    retry_after = PAUSE


class Admission:
    """What this process has let in: at most so many requests, with at most so many bytes."""

    def __init__(self, max_requests: int, max_bytes: int) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._requests = 0
        self._bytes = 0

    def enter(self) -> Visit:
        """Let one request in, until its visit ends; `Busy` where there are too many."""
        if self._requests >= self._max_requests:
            raise Busy(f"{self._requests} requests are being served (`max_requests`); try again")
        self._requests += 1
        return Visit(self)

    def leave(self, size: int) -> None:
        """A request with so many bytes is over."""
        self._requests -= 1
        self._bytes -= size

    def hold(self, size: int) -> None:
        """Hold so many bytes more; `Busy` where that is too much together with the others'."""
        if self._bytes + size > self._max_bytes:
            raise Busy("the requests being served are too large (`max_body_memory_mb`); try again")
        self._bytes += size


class Visit:
    """One request inside."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._size = 0

    def hold(self, size: int) -> None:
        """So many bytes more of its body are in memory."""
        self._admission.hold(size)
        self._size += size

    def end(self) -> None:
        """It is over."""
        self._admission.leave(self._size)
