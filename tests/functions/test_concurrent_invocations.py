"""
The loop with many invocations at the same time in one process, as on Lambda Managed Instances.

What happens to one of them may not change any other.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from fanout.http.asgi import Receive, Scope, Send, send_json
from functions.api.runtime_api import RuntimeAPI
from functions.api.runtime_loop import END_MARGIN, MAX_FAILURES, RuntimeLoop
from tests.support.patience import PATIENCE
from tests.support.runtime_api import Delivered, fake_runtime_api, proxy_event
from tests.support.served_loop import EVENTS, part, run, serving, start, stopped_clock

FIRST, SECOND = b"data: 1\n\n", b"data: 2\n\n"
SECONDS, LONGER = 60.0, 600.0
"""The end of an invocation, in a test of their ends; and that of one that has more time."""


class Waiting:
    """An app whose responses are half sent until `go_on`; requests of `/fast` do not wait."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.active = 0
        self.most_active = 0
        self.cancelled: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.active += 1
        self.most_active = max(self.active, self.most_active)
        try:
            await receive()
            await send(start(EVENTS))
            await send(part(FIRST))
            if scope["path"] != "/fast":
                await self.go_on.wait()
            if scope["path"] == "/fails":
                raise KeyError
            await send(part(SECOND, more=False))
        except asyncio.CancelledError:
            self.cancelled.append(scope["path"])
            raise
        finally:
            self.active -= 1


def has_begun(delivered: Delivered) -> bool:
    return delivered.body == FIRST


async def complete(*responses: Delivered) -> None:
    for one in responses:
        assert (await one.whole()).body == FIRST + SECOND
        assert one.trailers == {}


def at_the_start() -> float:
    """The time at which every invocation begins, in a test of their ends."""
    return 0.0


def test_many_invocations_are_served_at_once_and_a_failure_ends_only_its_own() -> None:
    async def test() -> None:
        app = Waiting()
        async with serving(app, concurrency=64) as served:
            many = [served.api.invoke(proxy_event()) for _ in range(62)]
            bad = served.api.invoke(proxy_event(path="/fails"))
            wrong = served.api.invoke({"source": "aws.events"})
            for one in (*many, bad):
                await one.until(has_begun)
            assert app.active == 63
            assert (await wrong.whole()).error["errorType"] == "Function.NotAnHTTPRequest"
            app.go_on.set()
            await complete(*many)
            assert (await bad.whole()).trailer_error["errorType"] == "Function.UnhandledError"
            await served.api.until(lambda: served.api.waiting == 64)
        assert [kind for _, kind in served.bugs] == ["KeyError"]

    run(test())


def test_no_more_invocations_are_asked_for_than_lambda_allows() -> None:
    async def test() -> None:
        app = Waiting()
        async with serving(app, concurrency=5) as served:
            many = [served.api.invoke(proxy_event()) for _ in range(100)]
            for one in many[:5]:
                await one.until(has_begun)
            assert served.api.waiting == 0
            app.go_on.set()
            await complete(*many)
            await served.api.until(lambda: served.api.waiting == 5)
            assert served.api.most_waiting == app.most_active == 5

    run(test())


def test_the_next_invocation_is_asked_for_as_soon_as_a_response_is_written() -> None:
    """Lambda rejects requests that no task has asked for, so a task waits for nothing else."""

    async def test() -> None:
        app = Waiting()
        app.go_on.set()
        async with serving(app, concurrency=8) as served:
            served.api.replies.clear()
            await complete(*[served.api.invoke(proxy_event()) for _ in range(8)])
            await served.api.until(lambda: served.api.waiting == 8)
            served.api.replies.set()

    run(test())


@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_app_that_ignores_the_deadline_is_cancelled_before_the_invocation_ends(
    concurrency: int,
) -> None:
    async def test() -> None:
        app = Waiting()
        async with serving(app, concurrency=concurrency, now=at_the_start) as served:
            with stopped_clock() as move:
                late = served.api.invoke(proxy_event(path="/late"), deadline=SECONDS)
                await late.until(has_begun)
                move(SECONDS - END_MARGIN)
                event = (await late.whole()).body.removeprefix(FIRST)
            assert event.startswith(b'data: {"error":')
            assert event.endswith(b"}\n\n")
            assert late.trailer_error["errorType"] == "Function.TimedOut"
            await complete(await served.api.ask(proxy_event(path="/fast"), deadline=LONGER))
            assert app.cancelled == ["/late"]
        assert served.bugs == []
        ((message, name),) = served.warnings
        assert (name, "time was over" in message) == (late.name, True)

    run(test())


def test_a_time_out_ends_only_its_own_invocation() -> None:
    async def test() -> None:
        app = Waiting()
        async with serving(app, concurrency=64, now=at_the_start) as served:
            with stopped_clock() as move:
                many = [served.api.invoke(proxy_event(), deadline=LONGER) for _ in range(32)]
                late = [
                    served.api.invoke(proxy_event(path="/late"), deadline=SECONDS)
                    for _ in range(32)
                ]
                for one in (*many, *late):
                    await one.until(has_begun)
                move(SECONDS - END_MARGIN)
                for one in late:
                    assert (await one.whole()).trailer_error["errorType"] == "Function.TimedOut"
                await served.api.until(lambda: served.api.waiting == 32)
                app.go_on.set()
                await complete(*many)
            assert app.cancelled == ["/late"] * 32

    run(test())


@pytest.mark.parametrize("answers", [False, True])
def test_a_time_out_before_the_first_byte_is_the_invocations_error(answers: bool) -> None:  # noqa: FBT001
    """Whatever the app sends when it is cancelled: the gateway would say that it shuts down."""
    begun = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not answers:
                raise
            await send_json(send, 503, {"error": "shutting down"}, {})

    async def test() -> None:
        async with serving(app, concurrency=2, now=at_the_start) as served:
            with stopped_clock() as move:
                late = served.api.invoke(proxy_event(), deadline=SECONDS)
                await begun.wait()
                move(SECONDS - END_MARGIN)
                assert (await late.whole()).error["errorType"] == "Function.TimedOut"
            assert late.chunks == []
        assert served.bugs == []

    run(test())


def test_a_response_that_lambda_does_not_take_is_dropped_when_the_invocation_ends() -> None:
    begun = asyncio.Event()

    async def flood(_scope: Scope, _receive: Receive, send: Send) -> None:
        begun.set()
        await send(start())
        await send(part(b"x" * 20_000_000, more=False))

    async def test() -> None:
        async with serving(flood, concurrency=2, now=at_the_start) as served:
            with stopped_clock() as move:
                late = served.api.invoke(proxy_event(), deadline=SECONDS)
                late.takes.clear()
                await begun.wait()
                await served.api.until(lambda: served.api.waiting == 1)
                move(SECONDS)
                await served.api.until(lambda: served.api.waiting == 2)
                late.takes.set()
                await late.until(lambda d: d.is_cut)
        ended = [message for message, _ in served.warnings]
        assert "the response was not complete when the invocation ended" in ended

    run(test())


def test_a_flood_that_is_not_taken_delays_no_other_response() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/flood":
            await send(start())
            for _ in range(20):
                await send(part(b"x" * 1_000_000))
            await send(part(b"", more=False))
            return
        await send_json(send, 200, await receive(), {})

    async def test() -> None:
        async with serving(app, concurrency=4) as served:
            floods = [served.api.invoke(proxy_event(path="/flood")) for _ in range(3)]
            for flood in floods:
                flood.takes.clear()
            for _ in range(20):
                assert (await served.api.ask(proxy_event())).prelude["statusCode"] == 200
            assert not any(flood.is_done for flood in floods)
            for flood in floods:
                flood.takes.set()
                assert len((await flood.whole()).body) == 20_000_000

    run(test())


def test_a_connection_that_fails_ends_no_other_and_is_made_again() -> None:
    async def test() -> None:
        app = Waiting()
        async with serving(app, concurrency=8) as served:
            many = [served.api.invoke(proxy_event()) for _ in range(4)]
            for one in many:
                await one.until(has_begun)
            await served.api.until(lambda: served.api.waiting == 4)
            for _ in range(MAX_FAILURES - 1):
                served.api.drop_waiting()
                await served.api.until(lambda: served.api.waiting == 0)
                await served.api.until(lambda: served.api.waiting == 4)
            app.go_on.set()
            await complete(*many)
            await complete(await served.api.ask(proxy_event()))
            assert app.cancelled == []

    run(test())


def test_the_loop_ends_if_no_connection_can_ask_for_invocations_any_more() -> None:
    async def test() -> None:
        async with fake_runtime_api() as api:
            api.next_status = 500
            loop = RuntimeLoop(
                starts, RuntimeAPI(api.address), report_bug=lambda *_: None, concurrency=4
            )
            async with asyncio.timeout(PATIENCE):
                assert "`/invocation/next` with 500" in await loop.serve()

    run(test())


async def starts(_scope: Scope, receive: Receive, send: Send) -> None:
    """An app that does nothing but start and end."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()


def test_a_thousand_requests_leave_no_task_and_no_open_file() -> None:
    async def test() -> None:
        app = Waiting()
        app.go_on.set()
        async with serving(app, concurrency=16) as served:
            counts: list[tuple[int, int]] = []
            for _ in range(3):
                for _ in range(21):
                    await complete(*[served.api.invoke(proxy_event()) for _ in range(16)])
                await served.api.until(lambda: served.api.waiting == 16)
                async with asyncio.timeout(PATIENCE):
                    while counts and have_grown(counts[0]):  # noqa: ASYNC110 -- see below
                        await asyncio.sleep(0.001)  # sockets close a moment later
                counts.append(resources())

    run(test())


def have_grown(before: tuple[int, int]) -> bool:
    return any(now > then for now, then in zip(resources(), before, strict=True))


def resources() -> tuple[int, int]:
    """The tasks of the event loop and the open files of the process."""
    return len(asyncio.all_tasks()), len(list(Path("/proc/self/fd").iterdir()))


def test_the_trace_of_one_request_is_not_the_variable_of_the_whole_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "before")

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send_json(send, 200, os.environ["_X_AMZN_TRACE_ID"], {})

    async def test() -> None:
        async with serving(app, concurrency=2) as served:
            trace = {"Lambda-Runtime-Trace-Id": "Root=1"}
            delivered = await served.api.ask(proxy_event(), headers=trace)
            assert delivered.body == b'"before"'

    run(test())
