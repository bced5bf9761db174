"""
Wire values: what a provider's codec says, before any transport says it aloud.

Knows nothing of clients, secrets or time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from msgspec import field

from ..secret import HiddenRepr


class WireRequest(HiddenRepr, frozen=True, gc=False):
    """
    A request without its secrets: safe to keep as a golden file. Its repr shows no prompt.

    `path` is joined to the deployment's base URL. `dropped` names the caller's parameters that
    this wire cannot say and that `drop_params` allowed to be left out.
    """

    path: str
    body: bytes
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"WireRequest({self.method!r}, {self.path!r}, {len(self.body)} bytes)"


class WireResponse(HiddenRepr, frozen=True):
    """A whole reply; header names are lower case. Its repr shows no answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"WireResponse({self.status}, {len(self.body)} bytes)"


class WireEvent(HiddenRepr, frozen=True):
    """
    One event of a stream, whatever framed it: SSE, AWS event stream or JSON lines.

    Its repr shows no answer.
    """

    data: bytes
    type: str = ""

    def __repr__(self) -> str:
        return f"WireEvent({self.type!r}, {len(self.data)} bytes)"


class Framer(Protocol):
    """Bytes in, events out. Holds the tail of an unfinished event; does no I/O."""

    def feed(self, data: bytes) -> Iterable[WireEvent]:
        """Take the next bytes, cut anywhere, and return the events they complete."""
        ...
