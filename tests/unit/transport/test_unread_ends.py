"""Responses whose end was not read are kept for a second, with one timer for many."""

from __future__ import annotations

import asyncio
from weakref import ref

from fanout.transport.unread_ends import UNREAD_END, UNREAD_STEPS, UnreadEnds
from tests.support.virtual_clock import run


class Response:
    """A response of the engine."""


def test_a_response_is_kept_for_a_second_and_hardly_longer() -> None:
    async def seconds(after: float) -> float:
        kept, loop, response = UnreadEnds(), asyncio.get_running_loop(), Response()
        kept.keep(Response())
        await asyncio.sleep(after)
        began, dropped = loop.time(), loop.create_future()
        _ = ref(response, lambda _: dropped.set_result(loop.time()))
        kept.keep(response)
        del response
        ended: float = await dropped
        return ended - began

    for after in (0.0, 0.1, 0.24, 0.26, 0.9, 5.0):
        most = UNREAD_END * (1 + 1 / UNREAD_STEPS)
        assert UNREAD_END - 0.001 <= run(seconds(after)) <= most + 0.001


def test_without_responses_there_is_no_timer() -> None:
    async def main() -> None:
        UnreadEnds().keep(Response())
        loop = asyncio.get_running_loop()
        await asyncio.sleep(2 * UNREAD_END)
        forever = loop.create_future()
        forever.set_result(None)
        await forever
        assert loop.time() <= 2 * UNREAD_END

    run(main())


def test_on_another_loop_it_begins_again() -> None:
    kept = UnreadEnds()
    responses: list[ref[Response]] = []

    async def keep(seconds: float) -> None:
        response = Response()
        responses.append(ref(response))
        kept.keep(response)
        del response
        await asyncio.sleep(seconds)

    run(keep(0.0))  # it ends before the second is over
    run(keep(2 * UNREAD_END))
    assert [known() for known in responses] == [None, None]
