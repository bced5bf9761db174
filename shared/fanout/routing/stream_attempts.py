"""
One attempt whose response is received as a stream.

Imported with the first one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import TypeAlias

from ..concurrency import optional_timeout
from ..errors import ErrorDetail, Oversized, drop_tracebacks
from ..schema.accumulator import ChunkAccumulator
from ..schema.chat import ChatChunk, ChatCompletion, has_content
from ..schema.request import ChatRequest
from ..schema.validation import with_defaults
from ..transport.client import Transport
from ..transport.engine import OVER_SIZE_LIMIT
from .leg import Attempt

Opened: TypeAlias = tuple[AsyncExitStack, Attempt, list[ChatChunk], AsyncIterator[ChatChunk]]
"""What holds an open stream, its attempt, its first chunks, and the others."""


class StreamAttempts:
    """Makes attempts over a transport; no response has more than `max_response_bytes`."""

    def __init__(self, transport: Transport, max_response_bytes: int) -> None:
        self._transport = transport
        self._max_response_bytes = max_response_bytes

    async def collect(self, request: ChatRequest, attempt: Attempt) -> ChatCompletion:
        """The whole response, received as a stream."""
        deployment, attempt.leg.is_stream = attempt.deployment, True
        request = with_defaults(request, deployment.defaults)
        until = attempt.leg.call_end(deployment.timeout, asyncio.get_running_loop().time())
        accumulator = attempt.leg.received = ChunkAccumulator()
        async with (
            optional_timeout(deployment.timeout),
            self._transport.stream(
                deployment, request, attempt.leg.size, until, attempt.note_request
            ) as stream,
        ):
            attempt.skipped = stream.skipped
            accumulator.usage_so_far = stream.skipped.usage_so_far
            async for chunk in stream.chunks:
                if attempt.first_token is None and has_content(chunk):
                    attempt.record_first_token()
                accumulator.add(chunk)
                if accumulator.size > self._max_response_bytes:
                    raise Oversized(deployment, ErrorDetail(OVER_SIZE_LIMIT))
        completion = accumulator.completion()
        attempt.usage, attempt.tier = accumulator.usage, completion.get("service_tier")
        attempt.leg.completion = None if attempt.usage else completion
        attempt.record("ok")
        return completion

    async def open(self, stack: AsyncExitStack, request: ChatRequest, attempt: Attempt) -> Opened:
        """
        Open the stream and read up to its first content.

        `stack` holds the connection and the slots; on success they move to the stack returned.
        """
        deployment, attempt.leg.is_stream = attempt.deployment, True
        request = with_defaults(request, deployment.defaults)
        until = attempt.leg.call_end(deployment.timeout, asyncio.get_running_loop().time())
        async with optional_timeout(deployment.timeout):
            opened = await stack.enter_async_context(
                self._transport.stream(
                    deployment, request, attempt.leg.size, until, attempt.note_request
                )
            )
            leg, attempt.skipped = attempt.leg, opened.skipped
            if leg.received is not None:
                leg.received.usage_so_far = opened.skipped.usage_so_far
            head: list[ChatChunk] = []
            async for chunk in opened.chunks:
                head.append(chunk)
                if leg.received is not None:
                    leg.received.add(chunk)
                if has_content(chunk):
                    attempt.record_first_token()
                    break
            return stack.pop_all(), attempt, head, opened.chunks

    @staticmethod
    async def track_usage(
        attempt: Attempt, head: Sequence[ChatChunk], rest: AsyncIterator[ChatChunk]
    ) -> AsyncIterator[ChatChunk]:
        """
        The chunks of a stream; the usage, which its last one has, is noted.

        So is the text of those that are not in `head`, if the leg collects it.
        """
        received = attempt.leg.received
        add = None if received is None else received.add
        for chunk in head:
            if "usage" in chunk:
                _note_usage(attempt, chunk)
            yield chunk
        following = rest.__anext__
        while True:
            try:
                next_chunk = await following()
            except StopAsyncIteration:
                return
            except BaseException as error:
                attempt.raise_bug(error)
                drop_tracebacks(error)
                raise
            if "usage" in next_chunk:
                _note_usage(attempt, next_chunk)
            if add is not None:
                add(next_chunk)
            yield next_chunk


def _note_usage(attempt: Attempt, chunk: ChatChunk) -> None:
    """Note the chunk's usage, if it has any, and the service tier beside it."""
    if usage := chunk.get("usage"):
        leg = attempt.leg
        leg.usage = attempt.usage = usage
        leg.tier = attempt.tier = chunk.get("service_tier")
