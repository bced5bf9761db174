"""When a stream sends keep-alive comments, on a virtual clock."""

from __future__ import annotations

import asyncio

import pytest

from fanout.http.asgi import Message
from fanout.http.sse_response import ChatEncoder, EventStream
from tests.support.virtual_clock import now, run


async def play(*moments: float) -> list[tuple[float, str]]:
    """What a stream sends, and when, if it has a chunk at each of these seconds."""
    sent: list[tuple[float, str]] = []
    started = now()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            sent.append((now() - started, message["body"].decode().partition("\n")[0]))

    events = EventStream(send, {}, 15.0, ChatEncoder())
    async with asyncio.TaskGroup() as group:
        beat = group.create_task(events.keep_alive())
        for moment in moments:
            await asyncio.sleep(started + moment - now())
            await events.start({})
            await events.chunk(moment)  # type: ignore[arg-type]
        beat.cancel()
    return sent


ALIVE = ": keep-alive"


@pytest.mark.parametrize(
    ("moments", "sent"),
    [
        ((1, 15, 29, 43), [(1, "data: 1"), (15, "data: 15"), (29, "data: 29"), (43, "data: 43")]),
        ((40,), [(15, ALIVE), (30, ALIVE), (40, "data: 40")]),
        ((5, 40), [(5, "data: 5"), (20, ALIVE), (35, ALIVE), (40, "data: 40")]),
        ((16, 30), [(15, ALIVE), (16, "data: 16"), (30, "data: 30")]),
    ],
)
def test_a_comment_is_sent_after_each_15_seconds_of_silence_and_never_else(
    moments: tuple[float, ...], sent: list[tuple[float, str]]
) -> None:
    assert run(play(*moments)) == sent
