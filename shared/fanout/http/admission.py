"""Limits the requests in flight and the memory of their bodies. Beyond a limit: 429 at once."""

from __future__ import annotations

from ..errors import RequestError, TooLarge

RETRY_AFTER = 1.0
"""Seconds of `Retry-After`: most requests in flight have ended by then."""


class Busy(RequestError):
    """The gateway is at a limit. No provider was called, so a retry is safe."""

    status = 429
    type = "rate_limit_error"
    code = "gateway_busy"
    retry_after = RETRY_AFTER


class Admission:
    """The requests in flight in this process, limited in number and in bytes of their bodies."""

    def __init__(self, max_requests: int, max_bytes: int) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._requests = 0
        self._bytes = 0

    def admit(self) -> AdmittedRequest:
        """Admit one request until it is released; raises `Busy` if too many are in flight."""
        if self._requests >= self._max_requests:
            raise Busy(f"{self._requests} requests are in flight (`max_requests`); try again")
        self._requests += 1
        return AdmittedRequest(self)

    def release(self, size: int) -> None:
        """End a request that held `size` bytes."""
        self._requests -= 1
        self._bytes -= size

    def check(self, size: int) -> None:
        """Raise `TooLarge` if `size` bytes are more than all requests together may hold."""
        if size > self._max_bytes:
            raise TooLarge(
                f"the body has so many values that it would take {size / 1_000_000:.0f} MB of "
                "memory (`general_settings.max_body_memory_mb` in the gateway's config)"
            )

    def reserve(self, size: int) -> None:
        """Reserve `size` more bytes; raises `Busy` if all requests together would hold too many."""
        if self._bytes + size > self._max_bytes:
            raise Busy(
                "the bodies of the requests in flight need too much memory "
                "(`max_body_memory_mb`); try again"
            )
        self._bytes += size


class AdmittedRequest:
    """One request in flight, and the bytes of its body that are in memory."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._size = 0

    def reserve(self, size: int) -> None:
        """Reserve `size` more bytes for its body."""
        self._admission.reserve(size)
        self._size += size

    def reserve_decoded(self, size: int) -> None:
        """Reserve `size` more bytes for what its body becomes."""
        self._admission.check(self._size + size)
        self.reserve(size)

    def release(self) -> None:
        """End the request and free what it reserved."""
        self._admission.release(self._size)
