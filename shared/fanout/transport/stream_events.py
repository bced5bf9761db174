"""Decodes the events of one stream to chunks; skips and counts those that have an odd shape."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING

from msgspec import MsgspecError, Struct, ValidationError

from ..config.deployment import Deployment
from ..errors import ErrorDetail, Oversized, ProviderError
from ..providers.base import BadWire, ImpliedEnd, StreamDecoder, is_paid
from ..schema.chat import ChatChunk, Usage, has_content
from ..wire.http import WireEvent
from ..wire.json_size import MEMORY_PER_BYTE, VALUE_MEMORY, weight
from .engine import TooLong
from .held_chunks import Holding

if TYPE_CHECKING:
    from .split_pairs import PairJoiner

UNREADABLE = (BadWire, MsgspecError, UnicodeDecodeError, RecursionError)
ODD_EVENT = (BadWire, ValidationError)  # JSON, but not of the documented shape

JSON_STARTS = (b"{", b"[")
"""How a JSON body begins, and no event of a stream of any framing."""

HIGH_HALF = re.compile(rb'\\u[dD][89abAB].."')
"""What an event has whose text ends amid a character: see `split_pairs.py`."""

AGAIN = b"data:"
"""The name of an event's field."""

BLANK = b" \t\r\n\xef\xbb\xbf"
"""What may precede a body: white space, and UTF-8's byte order mark."""

MAX_HEAD = 10_000
"""The most events at the start of a stream without any content, keep-alives included."""

MAX_HEAD_BYTES = 4_000_000
"""
The most bytes of these events, unpacked. The first two of OpenAI's Responses API have the request's
instructions and tools.
"""


class Skipped(Struct):
    """
    How many events of a stream could not be read so far, and were skipped.

    `bytes` is what the stream has sent so far, unpacked. `broken_end`: its connection broke after
    the response, which was whole. `has_several`: the request asked for several choices, of which
    one may begin long after another has ended. `decoder` is the stream's.
    """

    events: int = 0
    bytes: int = 0
    broken_end: bool = False
    has_several: bool = False
    decoder: StreamDecoder | None = None

    def usage_so_far(self) -> Usage | None:
        """The usage that was received, of a provider that sends one before the end."""
        found: Usage | None = getattr(self.decoder, "usage", None)
        return found


class StreamEvents:
    """
    The events of one stream, which become chunks.

    Bytes that are not JSON, or not of the stream's framing, are an error. `latest` is the last
    event, which may be an error's. `limit` is the size limit of one event in bytes.
    """

    def __init__(self, deployment: Deployment, limit: int, key: str | None) -> None:
        codec = deployment.provider.chat
        self.latest = WireEvent(b"")
        self._deployment = deployment
        self.limit = limit
        self._key = key
        self._framer = codec.framer()
        self._decoder = codec.decoder(deployment.target)
        self._holding = self._decoder if isinstance(self._decoder, Holding) else None
        self.skipped = Skipped(decoder=self._decoder)
        self._pending = 0  # bytes of the event that is not complete
        self._unweighed = limit * MEMORY_PER_BYTE // VALUE_MEMORY
        self._has_begun = False
        self._pairs: PairJoiner | None = None
        self._has_choices = self._has_content = False
        self._head = 0  # events before the first content
        self._usage: Usage | None = None  # of the chunks before the first choice

    @property
    def ended(self) -> bool:
        """Whether the provider has sent its own end; `Malformed` if nothing could be read."""
        if self.skipped.events and not (self._has_choices or is_paid(self._usage)):
            raise _bodies().malformed(self._deployment)
        return self._decoder.ended

    @property
    def holds(self) -> bool:
        """Whether a chunk waits for the next one, which says what choice it is of."""
        return self._holding is not None and self._holding.holds

    def rest(self) -> Iterator[ChatChunk]:
        """Yield the chunks that wait, as if nothing followed."""
        if self._holding is not None and self._holding.holds:
            for chunk in self._holding.rest():
                self._note_start(chunk)
                yield chunk

    @property
    def has_choices(self) -> bool:
        """Whether a chunk had a part of a choice."""
        return self._has_choices

    @property
    def is_complete(self) -> bool:
        """Whether every choice has finished: what comes now may be usage, and is not waited for."""
        return self._has_choices and self._decoder.ended

    def missing_choice(self) -> Iterator[ChatChunk]:
        """
        Yield an empty choice if a response that has ended has none, but was paid.

        Raises `Broken` if it was not: so it is for whole responses.
        """
        if not self._has_choices:
            yield _stream_mismatch().empty_chunk(self._deployment, self._usage)

    def is_json(self, data: bytes) -> bool:
        """Whether the stream begins here, and with JSON instead of an event."""
        if self._has_begun:
            return False
        start = data.lstrip(BLANK)
        self._has_begun = bool(start)
        return start.startswith(JSON_STARTS)

    def feed(self, data: bytes) -> Iterator[ChatChunk]:
        """
        Yield the chunks of the events that `data` completes.

        Raises `Oversized` after too many events, or too many bytes, without content.
        """
        size = len(data)
        self._pending += size
        self.skipped.bytes += size
        if self._pending > self.limit:
            raise TooLong(f"an event of more than {self.limit} bytes")
        for event in self._framer.feed(data):
            self._pending, self.latest = 0, event
            if len(event.data) > self._unweighed:
                self.check_weight(event.data)
            if self._pairs is not None or HIGH_HALF.search(event.data):
                yield from self._decode_pairs(event)
            else:
                try:
                    for chunk in self._decoder.feed(event):
                        if not self._has_content:
                            self._note_start(chunk)
                        yield chunk
                except UNREADABLE as error:
                    yield from self._decode_otherwise(event, error)
            if not self._has_content:
                self._count_head()

    def _count_head(self) -> None:
        self._head += 1
        if self._head > MAX_HEAD or self.skipped.bytes > MAX_HEAD_BYTES:
            why = f"more than {MAX_HEAD} events or {MAX_HEAD_BYTES} bytes without content"
            raise Oversized(self._deployment, ErrorDetail(why))

    def _decode_pairs(self, event: WireEvent) -> Iterator[ChatChunk]:
        """The chunks of an event that may have half a character at its end or its beginning."""
        if self._pairs is None:
            from .split_pairs import PairJoiner  # few providers divide characters

            self._pairs = PairJoiner()
        for joined in self._pairs.feed(event):
            yield from self._decode(joined)

    def _decode_held(self) -> Iterator[ChatChunk]:
        """The chunks of an event that is held back for the next one."""
        if self._pairs is not None:
            for event in self._pairs.end():
                yield from self._decode(event)

    def _decode(self, event: WireEvent) -> Iterator[ChatChunk]:
        try:
            for chunk in self._decoder.feed(event):
                self._note_start(chunk)
                yield chunk
        except UNREADABLE as error:
            yield from self._decode_otherwise(event, error)

    def _note_start(self, chunk: ChatChunk) -> None:
        if not self._has_choices:
            self._has_choices = bool(chunk["choices"])
            self._usage = chunk.get("usage") or self._usage
        if not self._has_content:
            self._has_content = has_content(chunk)

    def _decode_otherwise(self, event: WireEvent, error: Exception) -> Iterator[ChatChunk]:
        """The chunks of an event that the codec cannot read: what it has around it is removed."""
        if event.data.startswith(AGAIN):  # a relay has written the field's name again
            yield from self._decode(WireEvent(event.data[len(AGAIN) :].strip(), event.type))
        elif (inner := _text_events().event_in_text(event)) is not None:
            yield from self._decode(inner)
        else:
            self._skip(event, error)

    def _skip(self, event: WireEvent, error: Exception) -> None:
        """
        Count an odd event, unless it is a keep-alive; raise the error that it may be.

        After a complete response, nothing is an error.
        """
        texts = _text_events()
        if texts.is_keep_alive(event):
            return
        if not self.is_complete:
            if (found := texts.error_of(self._deployment, error, event, self._key)) is not None:
                raise found from None
            if not isinstance(error, ODD_EVENT):
                raise error
        self.skipped.events += 1

    def end(self) -> Iterator[ChatChunk]:
        """Yield the chunks of a last event that no empty line follows, and of an implied end."""
        if not self._decoder.ended:
            with suppress(*UNREADABLE):
                yield from self.feed(b"\n\n")
        with suppress(*UNREADABLE):
            yield from self._decode_held()
        if not self._decoder.ended and isinstance(self._decoder, ImpliedEnd):
            yield from self._decoder.complete()

    def last_chunks(self) -> list[ChatChunk] | None:
        """
        The chunks of a last event that no empty line follows, because the connection broke.

        `None` if the response is not complete with them. Raises `WireError` if it is an error.
        """
        last: list[ChatChunk] = []
        if not self._decoder.ended:
            with suppress(TooLong, ProviderError, *UNREADABLE):  # the event may be cut, too
                last = list(self.feed(b"\n\n"))
        with suppress(TooLong, ProviderError, *UNREADABLE):
            last += self._decode_held()
        if not self._decoder.ended or not (self._has_choices or is_paid(self._usage)):
            return None
        self.skipped.broken_end = True
        return last

    def check_weight(self, data: bytes) -> None:
        """Raise `TooLong` if the JSON would take too much memory once it is decoded."""
        if weight(data) > self.limit:
            raise TooLong(f"an event that takes the memory of {self.limit} bytes and more")


def _text_events() -> ModuleType:
    """The module for events that are no JSON objects, which is imported with the first one."""
    from . import text_events

    return text_events


def _bodies() -> ModuleType:
    """The module for error bodies, which is imported with the first error."""
    from . import error_bodies

    return error_bodies


def _stream_mismatch() -> ModuleType:
    """The module for bodies that were not asked for, which is imported with the first one."""
    from . import stream_mismatch

    return stream_mismatch
