"""
Bedrock's streams: AWS's event stream from Converse, server-sent events from OpenAI's endpoint.

The first byte shows which one it is: a frame begins with its length, whose highest byte is never a
letter.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...wire.eventstream import BadFrame, EventStreamFramer
from ...wire.http import Framer, WireEvent
from ...wire.sse import SSEFramer
from ..base import BadWire

_FIRST_OF_FRAMES = b"\x00", b"\x01"


class BedrockFramer:
    """Decode bytes to events, in either format."""

    def __init__(self) -> None:
        self._framer: Framer | None = None

    def feed(self, data: bytes) -> Iterator[WireEvent]:
        """Yield the events that `data` completes; `BadWire` if a checksum is wrong."""
        if self._framer is None:
            if not data:
                return
            is_frame = data.startswith(_FIRST_OF_FRAMES)
            self._framer = EventStreamFramer() if is_frame else SSEFramer()
        try:
            yield from self._framer.feed(data)
        except BadFrame as error:
            raise BadWire(str(error)) from None
