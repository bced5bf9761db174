"""
Wire values: what a provider's codec says, before any transport says it aloud.

Knows nothing of clients, secrets or time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from msgspec import Struct, field


class WireRequest(Struct, frozen=True, gc=False):
    """
    A request without its secrets: safe to log, to diff and to keep as a golden file.

    `path` is joined to the deployment's base URL. `dropped` names the caller's parameters that
    this wire cannot say and that `drop_params` allowed to be left out.
    """

    path: str
    body: bytes
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()


class WireResponse(Struct, frozen=True):
    """A whole reply; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class WireEvent(Struct, frozen=True):
    """One event of a stream, whatever framed it: SSE, AWS event stream or JSON lines."""

    data: bytes
    type: str = ""


class Framer(Protocol):
    """Bytes in, events out. Holds the tail of an unfinished event; does no I/O."""

    def feed(self, data: bytes) -> Iterable[WireEvent]:
        """Take the next bytes, cut anywhere, and return the events they complete."""
        ...
