r"""
Joins the two halves of a character that a provider has sent in two events of a stream.

JSON writes a character such as an emoji as two escapes (`\ud83d\ude00`, RFC 8259, section 7):
https://www.rfc-editor.org/rfc/rfc8259#section-7 (2026-11). Servers that cut texts by UTF-16 units
put them into different pieces. Imported with the first event that ends with such a half.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec.structs import replace

from ..wire.http import WireEvent

_FIRST = re.compile(rb'(?<!\\)(?:\\\\)*(\\u[dD][89abAB][0-9a-fA-F]{2})"')
"""The first half at the end of a string."""

_SECOND = re.compile(rb'(?<!\\)"(?=\\u[dD][c-fC-F][0-9a-fA-F]{2})')
"""The start of a string that begins with a second half."""


class PairJoiner:
    """An event that ends with a first half is held back until the next one is there."""

    def __init__(self) -> None:
        self._held: WireEvent | None = None

    def feed(self, event: WireEvent) -> Iterator[WireEvent]:
        """Yield the events that are complete with this one."""
        if (held := self._held) is not None:
            self._held = None
            first, second = _FIRST.search(held.data), _SECOND.search(event.data)
            if first is not None and second is not None:
                half, at = first[1], second.end()
                held = replace(held, data=held.data[: first.start(1)] + held.data[first.end(1) :])
                event = replace(event, data=event.data[:at] + half + event.data[at:])
            yield held
        if _FIRST.search(event.data):
            self._held = event
        else:
            yield event

    def end(self) -> Iterator[WireEvent]:
        """Yield the event that is held back, whose half stays alone."""
        if self._held is not None:
            yield self._held
            self._held = None
