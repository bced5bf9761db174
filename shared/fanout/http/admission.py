"""Limits the requests in flight and the memory of their bodies. Beyond a limit: 429 at once."""

from __future__ import annotations

from collections import Counter

from ..errors import Busy, TooLarge

KEY_FACTOR = 3
"""How many times what is free one of several keys may hold: three quarters of all."""


class Admission:
    """
    The requests in flight in this process, limited in number and in bytes of their bodies.

    While it is `divided`, a key may hold at most `KEY_FACTOR` times what is free: others get in.
    With `may_divide`, it may be later, so what each key holds is counted from the beginning.
    """

    def __init__(
        self,
        max_requests: int,
        max_bytes: int,
        *,
        divided: bool = False,
        may_divide: bool = False,
    ) -> None:
        self.divided = divided
        self._counts_keys = divided or may_divide
        self._requests_of: Counter[str] = Counter()
        self._bytes_of: Counter[str] = Counter()
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._requests = 0
        self._bytes = 0

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return self._requests

    def admit(self, key: str = "") -> AdmittedRequest:
        """Admit a key's request until it is released; raises `Busy` if too many are in flight."""
        if self._requests >= self._max_requests:
            raise Busy(f"{self._requests} requests are in flight (`max_requests`); try again")
        if self.divided and self._requests_of[key] >= KEY_FACTOR * (
            self._max_requests - self._requests
        ):
            raise Busy(f"{self._requests_of[key]} requests of this key are in flight; try again")
        if self._counts_keys:
            self._requests_of[key] += 1
        self._requests += 1
        return AdmittedRequest(self, key)

    def release(self, size: int, key: str = "") -> None:
        """End a key's request that held `size` bytes."""
        self._requests -= 1
        self._bytes -= size
        if not self._counts_keys:
            return
        self._requests_of[key] -= 1
        self._bytes_of[key] -= size
        if not self._requests_of[key]:
            del self._requests_of[key], self._bytes_of[key]

    def check(self, size: int) -> None:
        """Raise `TooLarge` if `size` bytes are more than all requests together may hold."""
        if size > self._max_bytes:
            raise TooLarge(
                f"the body has so many values that it would take {size / 1_000_000:.0f} MB of "
                "memory (`general_settings.max_body_memory_mb` in the gateway's config)"
            )

    def reserve(self, size: int, key: str = "") -> None:
        """Reserve `size` more bytes; raises `Busy` if all requests together would hold too many."""
        free = self._max_bytes - self._bytes - size
        own = self._bytes_of[key] if self.divided else 0
        if free < 0 or (own and own + size > KEY_FACTOR * free):
            raise Busy(
                "the bodies of the requests in flight need too much memory "
                "(`max_body_memory_mb`); try again"
            )
        self._bytes += size
        if self._counts_keys:
            self._bytes_of[key] += size


class AdmittedRequest:
    """One request in flight, and the bytes of its body that are in memory."""

    def __init__(self, admission: Admission, key: str) -> None:
        self._admission = admission
        self._key = key
        self._size = 0

    def reserve(self, size: int) -> None:
        """Reserve `size` more bytes for its body."""
        self._admission.reserve(size, self._key)
        self._size += size

    def reserve_decoded(self, size: int) -> None:
        """Reserve `size` more bytes for what its body becomes."""
        self._admission.check(self._size + size)
        self.reserve(size)

    def release(self) -> None:
        """End the request and free what it reserved."""
        self._admission.release(self._size, self._key)
