"""One connection over time: what it waits for, and how long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fanout.server.limits import ConnectionLimits
from tests.support.fake_connection import (
    READ,
    ASGIApp,
    FakeServer,
    FakeTransport,
    Message,
    request,
    settle,
    statuses,
)
from tests.support.virtual_clock import now, run

LIMITS = ConnectionLimits()
MEGABYTE = b"x" * 1_000_000


async def echo(scope: Message, receive: Any, send: Any) -> None:
    """Respond with the path and the length of the body."""
    body = await _read(receive)
    await _respond(send, b"%s %d" % (scope["path"].encode(), len(body)))


async def _read(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message["body"]
        more = message["more_body"]
    return body


class Gone(Exception):
    """The client has disconnected."""


async def _respond(send: Any, content: bytes, status: int = 200) -> None:
    headers = [(b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def reject_early(scope: Message, receive: Any, send: Any) -> None:
    """Respond without reading the body."""
    await _respond(send, b"no", 401)


async def big(scope: Message, receive: Any, send: Any) -> None:
    """Respond with ten megabytes."""
    await _respond(send, MEGABYTE * 10)


async def slow(scope: Message, receive: Any, send: Any) -> None:
    """Respond after an hour."""
    await _read(receive)
    await asyncio.sleep(3_600)
    await _respond(send, b"late")


async def parts(scope: Message, receive: Any, send: Any) -> None:
    """Respond in two parts, without a length."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"one", "more_body": True})
    await send({"type": "http.response.body", "body": b"two"})


Steps = Callable[[FakeTransport], Awaitable[None]]


def serve(steps: Steps, app: ASGIApp = echo, limits: ConnectionLimits = LIMITS) -> FakeTransport:
    """Run the steps of one client in virtual time."""

    async def main() -> FakeTransport:
        async with asyncio.TaskGroup() as group:
            server = FakeServer(app, group, limits)
            client = server.connect()
            await steps(client)
            await settle()
            server.sweeper.cancel()
            client.abort()
            server.connections.cancel_requests()
        assert [bug for bug in server.bugs if not isinstance(bug, Gone)] == []
        return client

    return run(main())


async def lost(client: FakeTransport) -> float:
    """The time at which the server closes the connection; infinity if it does not in a day."""
    start = now()
    while not client.is_lost:
        if now() - start > 86_400:
            return float("inf")
        await asyncio.sleep(0.5)
    return now() - start


def is_about(seconds: float, expected: float) -> bool:
    """Clocks are looked at once a second."""
    return expected <= seconds <= expected + 2


# ---- who sends too slowly ----


@pytest.mark.parametrize(
    ("sent", "status"), [(b"", []), (b"GET /", [408]), (request()[:-2], [408])]
)
def test_a_head_has_ten_seconds(sent: bytes, status: list[int]) -> None:
    async def steps(client: FakeTransport) -> None:
        client.deliver(sent)
        await asyncio.sleep(9)
        assert not client.is_ended
        assert is_about(9 + await lost(client), 10 if not sent else 15)  # 5 s more to read the 408
        assert statuses(client.received) == status

    serve(steps)


def test_a_head_that_drips_has_ten_seconds_too() -> None:
    async def steps(client: FakeTransport) -> None:
        for byte in request(x="y" * 100):
            client.deliver(bytes([byte]))
            await asyncio.sleep(0.2)
        assert statuses(client.received) == [408]

    serve(steps)


def test_a_connection_is_idle_for_75_seconds_between_requests() -> None:
    async def steps(client: FakeTransport) -> None:
        for _ in range(3):
            client.deliver(request())
            await asyncio.sleep(74)
        assert statuses(client.received) == [200] * 3
        assert is_about(74 + await lost(client), 75)

    serve(steps)


def test_the_idle_time_is_a_limit_that_can_be_set() -> None:
    async def steps(client: FakeTransport) -> None:
        client.deliver(request())
        assert is_about(await lost(client), 3)

    serve(steps, limits=ConnectionLimits(idle_seconds=3))


def test_empty_lines_prolong_nothing() -> None:
    async def steps(client: FakeTransport) -> None:
        client.deliver(request())
        for _ in range(80):
            client.deliver(b"\r\n")
            await asyncio.sleep(1)
        assert client.is_lost

    serve(steps)


@pytest.mark.parametrize(("rate", "is_read"), [(100, False), (600, True)])
def test_a_body_must_come_at_a_minimum_rate(rate: int, *, is_read: bool) -> None:
    async def steps(client: FakeTransport) -> None:
        client.deliver(request("POST", body=b"x" * 60_000)[:-60_000])
        for _ in range(60_000 // rate):
            client.deliver(b"x" * rate)
            await asyncio.sleep(1)
        assert statuses(client.received) == [200 if is_read else 408]

    serve(steps)


def test_a_body_that_stops_is_given_up_after_half_a_minute_however_fast_it_was() -> None:
    async def steps(client: FakeTransport) -> None:
        client.deliver(request("POST", body=MEGABYTE)[:-1])
        await asyncio.sleep(29)
        assert client.received == b""
        await asyncio.sleep(2)
        assert statuses(client.received) == [408]

    serve(steps)


def test_a_slow_app_is_not_the_clients_fault() -> None:
    async def late(scope: Message, receive: Any, send: Any) -> None:
        await asyncio.sleep(600)
        await echo(scope, receive, send)

    async def steps(client: FakeTransport) -> None:
        client.deliver(request("POST", body=MEGABYTE))
        await asyncio.sleep(599)
        assert not client.is_server_reading  # and no more than one read is in memory
        await asyncio.sleep(2)
        assert client.received.endswith(b"/ 1000000")

    serve(steps, late)


# ---- who sends too much ----


def test_seventeen_requests_at_once_are_served_in_order_and_then_the_connection_ends() -> None:
    async def steps(client: FakeTransport) -> None:
        client.deliver(b"".join(request(path=f"/{index}") for index in range(10_000)))
        assert is_about(await lost(client), 0)
        assert [f"/{index} 0".encode() in client.received for index in (0, 16, 17)] == [
            True,
            True,
            False,
        ]
        assert statuses(client.received) == [200] * 17

    serve(steps)


def test_big_requests_at_once_are_fewer() -> None:
    async def steps(client: FakeTransport) -> None:
        client.deliver(request(x="y" * 30_000) * 8)
        assert is_about(await lost(client), 0)
        assert statuses(client.received) == [200] * 4

    serve(steps)


def test_few_requests_at_once_keep_the_connection() -> None:
    async def steps(client: FakeTransport) -> None:
        for _ in range(3):
            client.deliver(request("POST", body=b"abc") * 10)
            await asyncio.sleep(1)
        assert statuses(client.received) == [200] * 30
        assert client.received.count(b"/ 3") == 30
        assert not client.is_lost

    serve(steps)


def test_bytes_that_are_no_request_get_their_400_after_the_responses_before() -> None:
    async def steps(client: FakeTransport) -> None:
        client.deliver(request(path="/a") + request(path="/b") + b"nonsense\r\n\r\n")
        await settle()
        assert statuses(client.received) == [200, 200, 400]
        assert is_about(await lost(client), 5)

    serve(steps)


def test_a_broken_body_gets_a_400_and_the_app_learns_that_the_client_is_gone() -> None:
    seen: list[str] = []

    async def app(scope: Message, receive: Any, send: Any) -> None:
        try:
            await _read(receive)
        except Gone:
            seen.append("gone")

    async def steps(client: FakeTransport) -> None:
        client.deliver(request("POST", transfer_encoding="chunked") + b"nonsense\r\n")
        await settle()
        assert statuses(client.received) == [400]
        assert seen == ["gone"]

    serve(steps, app)


def test_what_comes_after_a_rejection_is_dropped_up_to_a_megabyte() -> None:
    async def steps(client: FakeTransport) -> None:
        client.deliver(b"nonsense\r\n\r\n")
        for _ in range(3):
            client.deliver(b"x" * 300_000)
            await settle()
        assert not client.is_lost
        client.deliver(b"x" * 300_000)
        await settle()
        assert client.is_lost

    serve(steps)


def test_nothing_is_served_behind_a_request_that_closes_the_connection() -> None:
    async def steps(client: FakeTransport) -> None:
        client.deliver(request(connection="close") + request())
        await lost(client)
        assert statuses(client.received) == [200]
        assert b"connection: close" in client.received

    serve(steps)


# ---- who does not read ----


def test_the_next_request_waits_until_the_response_is_read() -> None:
    async def steps(client: FakeTransport) -> None:
        client.is_read = False
        client.deliver(request() * 3)
        await settle()
        assert len(client._buffer) < 10_100_000
        client.is_read = True
        client.read(11_000_000)
        await settle()
        assert statuses(client.received) == [200] * 3

    serve(steps, big)


def test_an_unread_response_is_given_up_after_a_minute() -> None:
    async def steps(client: FakeTransport) -> None:
        client.is_read = False
        client.deliver(request())
        assert is_about(await lost(client), 60)

    serve(steps, big)


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
@pytest.mark.parametrize(("rate", "is_kept"), [(500, False), (2_000, True)])
def test_a_complete_response_must_be_read_at_a_minimum_rate(
    connection: str, rate: int, *, is_kept: bool
) -> None:
    async def steps(client: FakeTransport) -> None:
        client.is_read = False
        client.deliver(request(connection=connection))
        for _ in range(300):
            await asyncio.sleep(1)
            client.read(rate)
        assert client.is_lost is not is_kept

    serve(steps, big)


# ---- who gets a response before the end of the request ----


def test_an_early_response_is_sent_at_once_and_the_body_is_dropped() -> None:
    async def steps(client: FakeTransport) -> None:
        client.deliver(request("POST", body=MEGABYTE * 5)[:-1_000_000])
        await settle()
        assert statuses(client.received) == [401]
        client.deliver(MEGABYTE + request())
        await settle()
        assert statuses(client.received) == [401, 401]
        assert not client.is_lost

    serve(steps, reject_early)


def test_the_rest_of_such_a_body_has_no_more_framing_than_content() -> None:
    async def steps(client: FakeTransport) -> None:
        head = request("POST", transfer_encoding="chunked")
        client.deliver(head)
        await settle()
        assert statuses(client.received) == [401]
        sent = 0
        while not client.is_lost and sent < 2_000_000:
            client.deliver(b"1\r\nx\r\n" * 1_000)
            sent += 6_000
            await settle()
        assert client.is_lost
        assert sent < 300_000
        assert statuses(client.received) == [401]

    serve(steps, reject_early)


def test_a_client_that_sends_a_lot_is_read_once_in_each_turn_of_the_event_loop() -> None:
    async def steps(client: FakeTransport) -> None:
        client.deliver(request("POST", body=MEGABYTE * 3))
        assert not client.is_server_reading
        turns = 0
        while not client.received:
            await asyncio.sleep(0)
            turns += 1
        assert turns >= len(MEGABYTE) * 3 // READ
        assert client.received.endswith(b"/ 3000000")

    serve(steps)


@pytest.mark.parametrize(("pause", "seconds"), [(6, 5), (4, 30)])
def test_the_rest_of_such_a_body_has_30_seconds_and_5_of_silence(pause: int, seconds: int) -> None:
    async def steps(client: FakeTransport) -> None:
        client.deliver(request("POST", body=MEGABYTE)[:-100])
        for _ in range(10):
            if client.is_lost:
                break
            await asyncio.sleep(pause)
            client.deliver(b"x")
        assert is_about(now(), seconds) or now() == pause

    serve(steps, reject_early)


def test_a_client_that_expects_a_100_gets_it_when_the_body_is_wanted() -> None:
    head = request("POST", body=b"abc", expect="100-continue")[:-3]

    async def wanted(client: FakeTransport) -> None:
        client.deliver(head)
        await settle()
        assert client.received == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.deliver(b"abc")
        await settle()
        assert statuses(client.received) == [100, 200]

    async def unwanted(client: FakeTransport) -> None:
        client.deliver(head)
        await settle()
        assert statuses(client.received) == [401]
        client.deliver(request())  # the body, or a request? it is neither
        await settle()
        assert statuses(client.received) == [401]
        assert client.is_ended

    serve(wanted)
    serve(unwanted, reject_early)


# ---- how responses are framed ----


def test_a_response_without_a_length_is_in_chunks() -> None:
    async def steps(client: FakeTransport) -> None:
        client.deliver(request())
        await settle()
        assert client.received.endswith(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")

    serve(steps, parts)


def test_http_1_0_gets_no_chunks() -> None:
    async def steps(client: FakeTransport) -> None:
        client.deliver(b"GET / HTTP/1.0\r\n\r\n")
        await settle()
        head, _, body = client.received.partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head
        assert b"connection: close" in head
        assert body == b"onetwo"
        assert client.is_lost

    serve(steps, parts)


@pytest.mark.parametrize("app", [echo, parts])
def test_a_head_request_gets_the_headers_only(app: ASGIApp) -> None:
    async def steps(client: FakeTransport) -> None:
        client.deliver(request("HEAD") * 2)
        await settle()
        first, second, rest = client.received.split(b"\r\n\r\n")
        assert (first, rest) == (second, b"")
        assert (b"content-length: 3" in first) == (app is echo)
        assert not client.is_lost

    serve(steps, app)


def test_the_target_of_a_proxied_request_has_the_host() -> None:
    async def app(scope: Message, receive: Any, send: Any) -> None:
        await _respond(send, dict(scope["headers"])[b"host"])

    async def steps(client: FakeTransport) -> None:
        client.deliver(b"GET http://evil:81/a HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await settle()
        assert client.received.endswith(b"evil:81")

    serve(steps, app)


# ---- bugs of the app ----


async def raises(scope: Message, receive: Any, send: Any) -> None:
    """Fail before the response."""
    raise Gone


async def breaks(scope: Message, receive: Any, send: Any) -> None:
    """Fail within the response."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"one", "more_body": True})
    raise Gone


async def forgets(scope: Message, receive: Any, send: Any) -> None:
    """Send nothing."""


@pytest.mark.parametrize(("app", "status"), [(raises, 500), (forgets, 500), (breaks, 200)])
def test_a_bug_of_the_app_ends_the_connection(app: ASGIApp, status: int) -> None:
    async def steps(client: FakeTransport) -> None:
        client.deliver(request() * 2)
        await lost(client)
        assert statuses(client.received) == [status]
        assert not client.received.endswith(b"0\r\n\r\n")

    serve(steps, app)


def test_a_disconnect_reaches_the_app() -> None:
    async def steps(client: FakeTransport) -> None:
        client.deliver(request("POST", body=b"abc")[:-1])
        await settle()
        client.abort()
        await settle()

    serve(steps)


def test_a_client_that_ends_its_side_counts_as_disconnected() -> None:
    seen: list[str] = []

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await _read(receive)
        seen.append((await receive())["type"])

    async def steps(client: FakeTransport) -> None:
        client.deliver(request("POST", body=b"abc"))
        await settle()
        client.end()
        await settle()
        assert seen == ["http.disconnect"]

    serve(steps, app)


# ---- all connections together ----


def together(
    steps: Callable[[FakeServer], Awaitable[None]], app: ASGIApp, limits: ConnectionLimits = LIMITS
) -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            server = FakeServer(app, group, limits)
            await steps(server)
            server.sweeper.cancel()
            server.connections.cancel_requests()

    run(main())


def test_beyond_the_limit_the_connection_that_was_idle_longest_is_closed() -> None:
    async def steps(server: FakeServer) -> None:
        clients = [server.connect() for _ in range(3)]
        clients[0].deliver(request())  # idle since now
        await settle()
        fourth = server.connect()
        await settle()
        assert [client.is_lost for client in clients] == [False, True, False]
        fourth.deliver(request())
        await settle()
        assert statuses(fourth.received) == [200]
        assert len(server.connections) == 3

    together(steps, echo, ConnectionLimits(connections=3))


def test_a_connection_with_a_request_is_never_closed_for_a_new_one() -> None:
    async def steps(server: FakeServer) -> None:
        busy = [server.connect() for _ in range(3)]
        for client in busy:
            client.deliver(request())
        await settle()
        fourth = server.connect()
        await settle()
        assert (statuses(fourth.received), fourth.is_lost) == ([503], True)
        assert not any(client.is_lost for client in busy)

    together(steps, slow, ConnectionLimits(connections=3))


def test_half_heads_lock_nobody_out() -> None:
    async def steps(server: FakeServer) -> None:
        halves = [server.connect() for _ in range(300)]
        for client in halves:
            client.deliver(b"GET / HTTP/1.1\r\n")
        client = server.connect()
        client.deliver(request())
        await settle()
        assert statuses(client.received) == [200]

    together(steps, echo, ConnectionLimits(connections=100))


def test_a_shutdown_closes_idle_connections_and_waits_for_responses() -> None:
    async def steps(server: FakeServer) -> None:
        idle, busy = server.connect(), server.connect()
        busy.deliver(request())
        await settle()
        await server.connections.shut_down(4_000)
        assert is_about(now(), 3_600)
        assert statuses(busy.received) == [200]
        assert b"connection: close" in busy.received
        assert idle.is_lost
        assert busy.is_lost

    together(steps, slow)


def test_after_the_grace_period_requests_are_cancelled_and_have_a_last_response() -> None:
    async def app(scope: Message, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(3_600)
        except asyncio.CancelledError:
            await _respond(send, b"stop", 503)

    async def steps(server: FakeServer) -> None:
        client = server.connect()
        client.deliver(request())
        await settle()
        await server.connections.shut_down(10)
        assert is_about(now(), 10)
        assert statuses(client.received) == [503]

    together(steps, app)


def test_a_shutdown_ends_even_if_the_app_does_not() -> None:
    async def app(scope: Message, receive: Any, send: Any) -> None:
        for _ in range(2):
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:
                continue

    async def steps(server: FakeServer) -> None:
        client = server.connect()
        client.deliver(request())
        await settle()
        await server.connections.shut_down(10)
        assert is_about(now(), 12)
        assert client.is_lost

    together(steps, app)
