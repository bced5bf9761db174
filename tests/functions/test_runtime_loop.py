"""The loop over invocations, under a fake of Lambda's Runtime API over real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from fanout.http.asgi import Receive, Scope, Send, read_body, send_json
from fanout.http.lambda_lifecycle import LambdaLifecycle, lambda_deadline
from functions.api.runtime_api import Connection, Invocation, RuntimeAPI
from functions.api.runtime_loop import RuntimeLoop, StartError
from tests.support.patience import PATIENCE
from tests.support.runtime_api import ANY_BODY, Delivered, fake_runtime_api, proxy_event
from tests.support.served_loop import EVENTS, part, run, serving, start

SECRET = "what-the-prompt-says"


async def hello(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send_json(send, 201, {"hello": "world"}, {"x-request-id": "r"})


def _has_body(body: bytes, delivered: Delivered) -> bool:
    return delivered.body == body


def test_a_plain_response_is_streamed_with_its_status_and_headers() -> None:
    async def test() -> None:
        async with serving(hello) as served:
            for _ in range(3):
                delivered = await served.api.ask(proxy_event())
                assert delivered.prelude == {
                    "statusCode": 201,
                    "headers": {
                        "content-type": "application/json",
                        "content-length": "17",
                        "x-request-id": "r",
                    },
                }
                assert delivered.body == b'{"hello":"world"}'
                assert delivered.trailers == {}
                sent = delivered.request_headers
                assert sent["lambda-runtime-function-response-mode"] == "streaming"
                assert sent["content-type"] == "application/vnd.awslambda.http-integration-response"
        assert (served.bugs, served.warnings) == ([], [])

    run(test())


def test_the_app_gets_the_request() -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["method"], scope["path"], scope["query_string"]))
        seen.append(await read_body(receive, {}, 1000, lambda _: None))
        await hello(scope, receive, send)

    async def test() -> None:
        async with serving(app) as served:
            await served.api.ask(proxy_event(queryStringParameters={"a": "b"}))
        assert seen == [("POST", "/chat/completions", b"a=b"), ANY_BODY.encode()]

    run(test())


def test_each_part_of_a_stream_is_sent_at_once() -> None:
    go_on = asyncio.Semaphore(0)

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start(EVENTS))
        for word in (b"one", b"two", b"three"):
            await send(part(word))
            await go_on.acquire()
        await send(part(b"", more=False))

    async def test() -> None:
        async with serving(app) as served:
            delivered = served.api.invoke(proxy_event())
            for text in (b"one", b"onetwo", b"onetwothree"):
                await delivered.until(partial(_has_body, text))
                go_on.release()
            await delivered.whole()
            assert len(delivered.chunks) == 4  # status and headers, and three parts

    run(test())


class RecordingWriter:
    """A stream that keeps each write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)


def test_the_status_and_the_first_part_are_one_write_and_so_is_each_other_part() -> None:
    """A second packet may wait 40 ms, until the receiver acknowledges the first one."""
    writer: Any = RecordingWriter()
    reader: Any = None
    connection = Connection("127.0.0.1:9", reader, writer)
    connection.start_response(Invocation("i", b"", 0.0), b"prelude", b"first")
    connection.write(b"second")
    connection.end()
    head, *rest = writer.writes
    assert head.startswith(b"POST /2018-06-01/runtime/invocation/i/response HTTP/1.1\r\n")
    assert head.endswith(b"\r\n\r\n7\r\nprelude\r\n5\r\nfirst\r\n")
    assert rest == [b"6\r\nsecond\r\n", b"0\r\n\r\n"]


@pytest.mark.parametrize("parts", [[b"", b"one"], [b"one", b"", b"two"], [b"", b""]])
def test_an_empty_part_does_not_end_the_response(parts: list[bytes]) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start())
        for one in parts:
            await send(part(one))
        await send(part(b"end", more=False))

    async def test() -> None:
        async with serving(app) as served:
            assert (await served.api.ask(proxy_event())).body == b"".join(parts) + b"end"
        assert served.warnings == []

    run(test())


def test_the_response_ends_when_everything_about_the_request_is_done() -> None:
    """Lambda freezes the process at the end of the response."""
    closed = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await hello(scope, receive, send)
        await closed.wait()

    async def test() -> None:
        async with serving(app) as served:
            delivered = served.api.invoke(proxy_event())
            await delivered.until(lambda d: d.body == b'{"hello":"world"}')
            assert not delivered.is_done
            assert served.api.waiting == 0
            closed.set()
            await delivered.whole()
            await served.api.until(lambda: served.api.waiting == 1)

    run(test())


def test_the_response_ends_when_other_threads_have_closed_its_calls() -> None:
    closed = asyncio.Event()

    async def settle() -> None:
        await closed.wait()

    async def test() -> None:
        async with serving(hello, settle=settle) as served:
            delivered = served.api.invoke(proxy_event())
            await delivered.until(lambda d: d.body == b'{"hello":"world"}')
            assert not delivered.is_done
            closed.set()
            await delivered.whole()

    run(test())


def test_a_process_that_serves_several_invocations_is_not_frozen_and_waits_for_no_thread() -> None:
    async def never() -> None:
        raise AssertionError

    async def test() -> None:
        async with serving(hello, concurrency=2, settle=never) as served:
            await served.api.ask(proxy_event())
        assert (served.bugs, served.warnings) == ([], [])

    run(test())


@pytest.mark.parametrize("starts", [False, True])
def test_a_failure_before_the_first_byte_is_the_invocations_error(starts: bool) -> None:  # noqa: FBT001
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        if starts:
            await send(start())
        raise KeyError(SECRET)

    async def test() -> None:
        async with serving(app) as served:
            for _ in range(2):  # the loop goes on
                delivered = await served.api.ask(proxy_event())
                assert delivered.chunks == []
                assert delivered.error["errorType"] == "Function.UnhandledError"
                assert "KeyError" in delivered.error["errorMessage"]
                assert SECRET not in str(delivered.error)
                name = delivered.request_headers["lambda-runtime-function-error-type"]
                assert name == "Function.UnhandledError"
        assert served.bugs == [("invocation-1", "KeyError"), ("invocation-2", "KeyError")]

    run(test())


@pytest.mark.parametrize("concurrency", [1, 2])
def test_an_app_that_raises_a_cancelled_error_fails_its_own_invocation_only(
    concurrency: int,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/fails"):
            raise asyncio.CancelledError
        await hello(scope, receive, send)

    async def test() -> None:
        async with serving(app, concurrency=concurrency) as served:
            for _ in range(2 * concurrency + 1):  # as often as there are tasks, and once more
                delivered = await served.api.ask(proxy_event(path="/fails"))
                assert delivered.error["errorType"] == "Function.UnhandledError"
                assert "CancelledError" in delivered.error["errorMessage"]
            assert (await served.api.ask(proxy_event())).prelude["statusCode"] == 201
        assert {name for _, name in served.bugs} == {"CancelledError"}

    run(test())


def test_a_failure_after_the_first_byte_is_an_error_event_and_the_trailers() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start(EVENTS))
        await send(part(b"data: 1\n\n"))
        raise KeyError(SECRET)

    async def test() -> None:
        async with serving(app) as served:
            delivered = await served.api.ask(proxy_event())
        first, event, rest = delivered.body.split(b"\n\n")
        assert (first, rest) == (b"data: 1", b"")
        error = json.loads(event.removeprefix(b"data: "))["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert delivered.trailers["lambda-runtime-function-error-type"] == "Function.UnhandledError"
        assert "KeyError" in delivered.trailer_error["errorMessage"]
        assert SECRET not in str(delivered.trailer_error) + delivered.body.decode()
        assert delivered.request_headers["trailer"].split(", ") == [
            "Lambda-Runtime-Function-Error-Type",
            "Lambda-Runtime-Function-Error-Body",
        ]

    run(test())


def test_a_response_that_the_app_leaves_incomplete_has_trailers_and_no_event_in_its_text() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start())
        await send(part(b"half of it"))

    async def test() -> None:
        async with serving(app) as served:
            delivered = await served.api.ask(proxy_event())
        assert delivered.body == b"half of it"
        assert delivered.trailer_error["errorType"] == "Function.IncompleteResponse"

    run(test())


@pytest.mark.parametrize(
    "event",
    [
        {},
        [],
        {"Records": [{"eventSource": "aws:s3", "body": SECRET}]},
        {"version": "2.0", "rawPath": "/", "requestContext": {"http": {"method": "GET"}}},
        {"httpMethod": 7},
        proxy_event(body=SECRET, isBase64Encoded=True),
        b"not JSON: " + SECRET.encode(),
        b"",
    ],
)
def test_an_event_that_is_no_http_request_is_a_clear_error(event: Any) -> None:
    async def test() -> None:
        async with serving(hello) as served:
            delivered = await served.api.ask(event)
            assert delivered.error["errorType"] == "Function.NotAnHTTPRequest"
            assert "API Gateway REST API" in delivered.error["errorMessage"]
            assert SECRET not in str(delivered.error)
            assert (await served.api.ask(proxy_event())).prelude["statusCode"] == 201
        assert served.bugs == []

    run(test())


@pytest.mark.parametrize("status", [400, 403, 410, 413, 500])
def test_a_response_that_is_rejected_is_logged_and_the_loop_goes_on(status: int) -> None:
    async def test() -> None:
        async with serving(hello) as served:
            delivered = served.api.invoke(proxy_event())
            delivered.status = status
            await delivered.whole()
            assert (await served.api.ask(proxy_event())).prelude["statusCode"] == 201
        message = f"the Runtime API responds with {status}"
        assert served.warnings == [(message, "invocation-1")]

    run(test())


def test_an_invocation_that_is_rejected_early_is_a_disconnect_for_the_app() -> None:
    """An example is an invocation that has timed out: its calls end at once."""
    disconnected = asyncio.Event()

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(start(EVENTS))
        await send(part(b"data: 1\n\n"))
        assert (await receive())["type"] == "http.disconnect"
        await send(part(b"data: 2\n\n"))  # nothing happens
        disconnected.set()

    async def test() -> None:
        async with serving(app) as served:
            delivered = served.api.invoke(proxy_event())
            delivered.status, delivered.is_early = 410, True
            async with asyncio.timeout(PATIENCE):
                await disconnected.wait()
            await served.api.until(lambda: served.api.waiting == 1)
        assert served.warnings == [("the Runtime API responds with 410", "invocation-1")]
        assert b"data: 2" not in delivered.body

    run(test())


def test_a_runtime_api_that_vanishes_in_a_response_is_a_disconnect_and_ends_the_loop() -> None:
    events: list[str] = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(start(EVENTS))
        await send(part(b"data: 1\n\n"))
        events.append((await receive())["type"])
        raise ConnectionError

    async def test() -> None:
        async with serving(app) as served:
            await served.api.invoke(proxy_event()).until(lambda d: d.chunks)
            served.api.vanish()
            await served.ended
        assert events == ["http.disconnect"]

    run(test())


def test_a_runtime_api_that_vanishes_between_invocations_ends_the_loop() -> None:
    async def test() -> None:
        async with serving(hello) as served:
            await served.api.ask(proxy_event())
            await served.api.until(lambda: served.api.waiting == 1)
            served.api.vanish()
            assert "no valid response" in await served.ended

    run(test())


def test_a_runtime_api_that_gives_out_no_invocations_ends_the_loop() -> None:
    async def test() -> None:
        async with serving(hello) as served:
            await served.api.ask(proxy_event())
            await served.api.until(lambda: served.api.waiting == 1)
            served.api.next_status = 403
            served.api.invoke(proxy_event())  # the one it waits for
            assert "403" in await served.ended

    run(test())


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_of_six_megabytes_pass_both_ways(chunked: bool) -> None:  # noqa: FBT001
    text = json.dumps({"text": "aé\n" * 1_500_000}, ensure_ascii=False)

    async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive, {}, 8_000_000, lambda _: None)
        await send(start())
        await send(part(body, more=False))

    async def test() -> None:
        async with serving(echo) as served:
            served.api.chunked = chunked
            delivered = await served.api.ask(proxy_event(body=text))
            assert delivered.body == text.encode()

    assert len(text.encode()) > 6_000_000
    run(test())


def test_the_app_waits_while_the_runtime_api_takes_nothing() -> None:
    sent = 0

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal sent
        await send(start())
        for _ in range(200):
            await send(part(b"x" * 100_000))
            sent += 1
        await send(part(b"", more=False))

    async def test() -> None:
        async with serving(app) as served:
            served.api.takes.clear()
            delivered = served.api.invoke(proxy_event())
            before = -1
            while sent > before:  # until the system's buffers are full
                before = sent
                for _ in range(200):
                    await asyncio.sleep(0)
            assert sent < 200
            served.api.takes.set()
            await delivered.whole()
            assert len(delivered.body) == 20_000_000

    run(test())


def test_repeated_headers_are_joined_and_cookies_have_a_field_as_rest_apis_need_it() -> None:
    headers = [
        (b"Vary", b"origin"),
        (b"vary", b"accept-encoding"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"transfer-encoding", b"chunked"),
        (b"connection", b"close"),
    ]

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start(headers))
        await send(part(b"", more=False))

    async def test() -> None:
        async with serving(app) as served:
            delivered = await served.api.ask(proxy_event())
        assert delivered.prelude == {
            "statusCode": 200,
            "headers": {"vary": "origin, accept-encoding"},
            "cookies": ["a=1", "b=2"],
        }
        assert delivered.body == b""

    run(test())


def test_a_response_to_head_has_no_body() -> None:
    async def test() -> None:
        async with serving(hello) as served:
            delivered = await served.api.ask(proxy_event("HEAD"))
        assert (delivered.prelude["statusCode"], delivered.body) == (201, b"")

    run(test())


def test_headers_that_api_gateway_would_not_read_are_an_error() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start([(b"x-large", b"x" * 16_384)]))
        await send(part(b"hello", more=False))

    async def test() -> None:
        async with serving(app) as served:
            delivered = await served.api.ask(proxy_event())
        assert delivered.error["errorType"] == "Function.UnhandledError"
        assert served.bugs == [("invocation-1", "RuntimeError")]

    run(test())


def test_the_trace_and_the_id_of_the_invocation_are_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "before")
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(os.environ["_X_AMZN_TRACE_ID"])
        await hello(scope, receive, send)

    async def test() -> None:
        async with serving(app) as served:
            extra = {"Lambda-Runtime-Trace-Id": "Root=1", "Lambda-Runtime-Invocation-Id": "i-7"}
            for event in (proxy_event(), {}):
                delivered = await served.api.ask(event, headers=extra)
                assert delivered.request_headers["lambda-runtime-invocation-id"] == "i-7"
            delivered = await served.api.ask(proxy_event())
            assert "lambda-runtime-invocation-id" not in delivered.request_headers
        assert seen == ["Root=1", ""]

    run(test())


def test_the_deadline_and_the_id_are_the_invocations_whatever_the_client_sends() -> None:
    seen: list[Any] = []
    left = lambda_deadline(2.0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        names = [value for name, value in scope["headers"] if name == b"x-request-id"]
        seen.append((left(scope), names))
        await hello(scope, receive, send)

    @asynccontextmanager
    async def nothing() -> AsyncIterator[None]:
        yield

    forged = {
        "x-amzn-lambda-context": ['{"deadline": 99999999999999}'],
        "x-amzn-request-context": ['{"requestId": "forged"}'],
    }

    async def test() -> None:
        async with serving(LambdaLifecycle(app, nothing)) as served:
            await served.api.ask(proxy_event(multiValueHeaders=forged), deadline=time.time() + 30)
        ((seconds, names),) = seen
        assert 20 < seconds <= 28
        assert names == [b"api-gateway-1"]

    run(test())


def test_an_app_that_cannot_start_serves_nothing() -> None:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no models"})

    async def test() -> None:
        async with fake_runtime_api() as api:
            loop = RuntimeLoop(app, RuntimeAPI(api.address), report_bug=lambda *_: None)
            with pytest.raises(StartError, match="no models"):
                await loop.serve()
            assert api.waiting == 0

    run(test())
