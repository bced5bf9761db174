"""Reads a streamed response: its bytes become events, and those become chunks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from ..concurrency import EarlyEnd, RepeatedTimeout
from ..config.deployment import Deployment
from ..errors import ProviderError, drop_tracebacks
from ..providers.base import WireError
from ..schema.chat import ChatChunk
from ..wire.http import WireResponse
from .engine import Bounded, EngineError, Incoming, is_broken_end
from .held_chunks import LatePart
from .stalled_response import pause_before, watch_end
from .stream_events import BLANK, UNREADABLE, StreamEvents

if TYPE_CHECKING:
    from .stream_calls import OpenStream

READ_ERRORS = (EngineError, TimeoutError, WireError, *UNREADABLE)

Unstreamed: TypeAlias = "Callable[[ProviderError], Awaitable[OpenStream]]"
"""Calls the provider without a stream, after it has rejected one."""

MAX_TURN = 16 * 1024
"""
Bytes of a stream that are decoded before other tasks run, also if more have arrived.

Even if each event has 28 bytes and nothing for the client, they take about 10 ms.
"""

PART_WORK = 64
"""Bytes that are decoded in the time that it takes to read a part."""


async def read_chunks(
    deployment: Deployment,
    incoming: Incoming,
    key: str | None,
    events: StreamEvents,
    until: float | None,
    unstreamed: Unstreamed,
) -> AsyncIterator[ChatChunk]:
    """
    The chunks of a stream; a JSON body instead of one is a whole response or an error.

    At `until`, a time of the loop's clock, the caller stops reading. A response that is complete
    ends when nothing follows for `QUIET` seconds, also if its connection stays open. If the first
    event, or a JSON body, rejects the stream alone, the chunks are those of an `unstreamed` call.
    """
    body, whole = aiter(incoming.body), b""
    data: bytes | None = b""
    failed: Exception | None = None
    turn, is_last = 0, False
    limit, late = RepeatedTimeout(deployment.stream_timeout), LatePart(body)
    try:
        while data is not None:
            for chunk in events.rest() if events.holds and await late.is_late(limit) else ():
                yield chunk
            with limit:
                data = await late.data()
            if data and events.is_json(data):
                whole = await _read_json(deployment, body, data, events, until)
                break
            for piece in _pieces(data):
                for chunk in events.end() if piece is None else events.feed(piece):
                    yield chunk
                turn += PART_WORK + len(piece or b"")
                if turn >= MAX_TURN:
                    await asyncio.sleep(0)
                    turn = 0
            if not is_last and events.is_complete and not events.skipped.has_several:
                limit, is_last = _last_limit(limit, until, deployment.stream_timeout), True
    except (ProviderError, *READ_ERRORS) as error:
        drop_tracebacks(error)  # they hold this function, and it holds the error
        failed = error
    finally:
        limit.close()
        await late.close()
    response = WireResponse(200, incoming.headers, whole)
    async for chunk in _rest(deployment, failed, response, key, events, unstreamed):
        yield chunk


def _pieces(data: bytes | None) -> Sequence[bytes | None]:
    """`data` in pieces that are decoded without a pause; it is `None` after the last part."""
    if data is None or len(data) <= MAX_TURN:
        return (data,)
    return [data[start : start + MAX_TURN] for start in range(0, len(data), MAX_TURN)]


async def _rest(
    deployment: Deployment,
    failed: Exception | None,
    whole: WireResponse,
    key: str | None,
    events: StreamEvents,
    unstreamed: Unstreamed,
) -> AsyncIterator[ChatChunk]:
    """The last chunks of a response whose reading has ended; raises its error if it has failed."""
    for chunk in events.rest():
        yield chunk
    for chunk in await _after_held(deployment, failed, whole, key, events, unstreamed):
        yield chunk


async def _after_held(
    deployment: Deployment,
    failed: Exception | None,
    whole: WireResponse,
    key: str | None,
    events: StreamEvents,
    unstreamed: Unstreamed,
) -> list[ChatChunk]:
    """The last chunks after those that wait; raises the error of a response that has failed."""
    try:
        if isinstance(failed, ProviderError):
            raise failed from None
        last = [] if failed is None else _last_chunks(deployment, failed, key, events)
        if events.ended:
            return [*last, *events.missing_choice()]
        from .stream_mismatch import whole_chunks  # few streams have another body

        return [*last, *whole_chunks(deployment, whole, key)]
    except ProviderError as error:
        if error.stream_rejection is None or events.has_choices:
            raise
        opened = await unstreamed(error)
        return [chunk async for chunk in opened.chunks]


def _last_chunks(
    deployment: Deployment, error: Exception, key: str | None, events: StreamEvents
) -> list[ChatChunk]:
    """What a response still has whose reading failed; raises the error if it is not complete."""
    last: list[ChatChunk] | None = [] if events.is_complete else None
    if is_broken_end(error):
        try:
            last = events.last_chunks()
        except WireError as fault:
            error = fault
    if last is None:
        from .error_bodies import from_stream  # few streams fail

        raise from_stream(deployment, error, events.latest, key) from None
    return last


def _last_limit(
    limit: RepeatedTimeout, until: float | None, seconds: float | None
) -> RepeatedTimeout:
    """The time limit for what may follow a complete response, such as its usage."""
    limit.close()
    pause = pause_before(until, asyncio.get_running_loop().time())
    return RepeatedTimeout(pause if seconds is None else min(pause, seconds))


async def _read_json(
    deployment: Deployment,
    body: AsyncIterator[bytes],
    data: bytes,
    events: StreamEvents,
    until: float | None,
) -> bytes:
    """The whole of a JSON body that begins with `data`; other tasks run between its parts."""
    from .premature_close import is_whole  # few streams are JSON

    whole, turn = Bounded(events.limit), 0
    part: bytes | None = data
    check = partial(is_whole, deployment)
    with EarlyEnd() as early:
        while part is not None:
            whole.add(part)
            watch_end(early, 200, {}, whole, is_whole=check, until=until)
            turn += PART_WORK + len(part)
            if turn >= MAX_TURN:
                await asyncio.sleep(0)
                turn = 0
            try:
                async with asyncio.timeout(deployment.stream_timeout):
                    part = await anext(body, None)
            except (EngineError, TimeoutError) as error:
                found = WireResponse(200, {}, whole.whole())
                if not (is_broken_end(error) and is_whole(deployment, found)):
                    raise
                part, events.skipped.broken_end = None, True
    if early.has_ended:
        events.skipped.broken_end = True
    events.check_weight(json_body := whole.whole())
    return json_body.lstrip(BLANK)
