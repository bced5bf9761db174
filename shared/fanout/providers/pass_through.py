"""
Codecs that send a client's own bytes and keep the vendor's.

What a vendor sends is decoded as always, because prices, races and reports read it. The chunk or
the completion also has the bytes, so that the client gets them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..schema.chat import ORIGINAL_BODY, ORIGINAL_EVENT, ChatChunk, ChatCompletion, Usage
from ..schema.pass_through import OriginalRequest
from ..schema.request import ChatRequest
from ..wire.http import Framer, WireEvent, WireRequest, WireResponse
from .base import Codec, StreamDecoder, Target, WireError

EncodeOriginal = Callable[[OriginalRequest, Target, bool], WireRequest]


def pass_through_codec(
    encode: EncodeOriginal,
    decode: Callable[[WireResponse, Target], ChatCompletion],
    framer: Callable[[], Framer],
    decoder: Callable[[Target], StreamDecoder],
    event: Callable[[WireEvent], WireEvent] = lambda event: event,
    *,
    list_headers: tuple[str, ...] = (),
    lacks: tuple[str, ...] = (),
) -> Codec:
    """
    The codec of a vendor with the client's API; the other functions are those of its chat codec.

    `event` unpacks an event that the vendor sends inside another one. `list_headers` and `lacks`
    are as in `Codec`.
    """

    def encode_original(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
        return encode(request.original, target, stream)

    def decode_kept(response: WireResponse, target: Target) -> ChatCompletion:
        kept: Any = {**decode(response, target), ORIGINAL_BODY: response.body}
        completion: ChatCompletion = kept
        return completion

    return Codec(
        encode_original,
        decode_kept,
        framer,
        lambda target: EventKeeper(decoder(target), event),
        passes_through=True,
        list_headers=list_headers,
        lacks=lacks,
    )


def counted_prompt(tokens: int) -> ChatCompletion:
    """A completion that has only the number of a prompt's tokens, in its usage."""
    usage = {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}
    completion: Any = {"choices": [], "usage": usage}
    made: ChatCompletion = completion
    return made


class EventKeeper:
    """Adds each event to its first chunk; an event without chunks gets one without a choice."""

    def __init__(self, decoder: StreamDecoder, unpacked: Callable[[WireEvent], WireEvent]) -> None:
        self._decoder = decoder
        self._unpacked = unpacked

    @property
    def ended(self) -> bool:
        return self._decoder.ended

    @property
    def usage(self) -> Usage | None:
        """The latest usage, of a decoder that knows one before the end."""
        found: Usage | None = getattr(self._decoder, "usage", None)
        return found

    def feed(self, event: WireEvent) -> Iterable[ChatChunk]:
        """Yield the event's chunks, the first with the event."""
        event = self._unpacked(event)
        return self._kept(event, iter(self._decoder.feed(event)))

    def _kept(self, event: WireEvent, chunks: Iterator[ChatChunk]) -> Iterator[ChatChunk]:
        empty: Any = {"object": "chat.completion.chunk", "model": "", "choices": []}
        failure: WireError | None = None
        try:
            chunk = next(chunks, empty)
        except WireError as error:  # the event may have more than the reason, such as the usage
            failure, chunk = error, empty
            failure.body = event.data
        first: Any = {**chunk, ORIGINAL_EVENT: event}
        yield first
        if failure is not None:
            raise failure
        yield from chunks
