"""
Bedrock's streams: events of AWS's own from Converse, server-sent ones from OpenAI's endpoint.

Their first byte tells them apart, whichever was asked for: a frame begins with its length, of
which the highest byte is never a letter.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...wire.eventstream import BadFrame, EventStreamFramer
from ...wire.http import Framer, WireEvent
from ...wire.sse import SSEFramer
from ..base import BadWire

_FIRST_OF_FRAMES = b"\x00", b"\x01"


class BedrockFramer:
    """Decode bytes to events, of the kind that they are."""

    def __init__(self) -> None:
        self._framer: Framer | None = None

    def feed(self, data: bytes) -> Iterator[WireEvent]:
        """Yield the events that `data` completes; `BadWire` where a checksum is wrong."""
        if self._framer is None:
            if not data:
                return
            is_frame = data.startswith(_FIRST_OF_FRAMES)
            self._framer = EventStreamFramer() if is_frame else SSEFramer()
        try:
            yield from self._framer.feed(data)
        except BadFrame as error:
            raise BadWire(str(error)) from None
