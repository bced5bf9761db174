"""
Connections that are kept: the next call is not lost when the server has closed its connection.

Nothing here may depend on how fast the server is, so each test does by hand what the server does.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fanout.transport.engine import MAX_RESPONSE_BYTES, ConnectionLost, Outgoing
from fanout.transport.http1_client import MAX_LEARNED, Address, HTTP1Client, address_of

RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
HELLO, OTHER = RESPONSE + b"Hello", RESPONSE + b"Other"
NEVER = 60.0
"""Seconds that no test takes."""


class Server:
    """A listening socket whose connections a test accepts, answers and closes by hand."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.setblocking(False)
        self._accepted: list[socket.socket] = []
        self.requests = 0
        url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/"
        self.request = Outgoing("POST", url, {}, b"{}")
        address = address_of(url)
        assert address is not None
        self.address: Address = address

    async def accept(self) -> socket.socket:
        """The next connection."""
        accepted, _ = await asyncio.get_running_loop().sock_accept(self._listening)
        self._accepted.append(accepted)
        return accepted

    async def answer(self, accepted: socket.socket, response: bytes = HELLO) -> None:
        """Read a request and send the response."""
        loop, read = asyncio.get_running_loop(), b""
        while not read.endswith(b"{}"):
            part = await loop.sock_recv(accepted, 10_000)
            assert part, "the client has closed the connection"
            read += part
        self.requests += 1
        await loop.sock_sendall(accepted, response)

    def close(self) -> None:
        for each in (self._listening, *self._accepted):
            each.close()


Way = Callable[[HTTP1Client, Server], Coroutine[Any, Any, bytes]]


async def whole(client: HTTP1Client, server: Server) -> bytes:
    return (await client.send(server.request, server.address, MAX_RESPONSE_BYTES)).body


async def streamed(client: HTTP1Client, server: Server) -> bytes:
    async with client.stream(server.request, server.address) as response:
        return b"".join([part async for part in response.body])


each_way = pytest.mark.parametrize("way", [whole, streamed])


@asynccontextmanager
async def opened(settle_time: float) -> AsyncIterator[tuple[HTTP1Client, Server]]:
    client, server = HTTP1Client(5.0, 10, 10 * IDLE, settle_time), Server()
    try:
        yield client, server
    finally:
        await client.aclose()
        server.close()


async def first_call(client: HTTP1Client, server: Server, way: Way) -> socket.socket:
    """A call over a new connection; the server's end of it."""
    async with asyncio.TaskGroup() as group:
        call = group.create_task(way(client, server))
        accepted = await server.accept()
        await server.answer(accepted)
    assert call.result() == b"Hello"
    return accepted


def end(accepted: socket.socket) -> None:
    accepted.close()


def half_close(accepted: socket.socket) -> None:
    accepted.shutdown(socket.SHUT_WR)


def reset(accepted: socket.socket) -> None:
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    accepted.close()


def send_more(accepted: socket.socket) -> None:
    accepted.sendall(OTHER)


each_event = pytest.mark.parametrize("event", [end, half_close, reset, send_more])


@each_way
@each_event
def test_a_call_does_not_use_a_connection_with_an_event_that_the_loop_has_not_seen(
    way: Way, event: Callable[[socket.socket], None]
) -> None:
    async def run() -> None:
        async with opened(settle_time=0) as (client, server):
            for _ in range(5):
                accepted = await first_call(client, server, way)
                event(accepted)  # and the loop does not run before the next call
                async with asyncio.TaskGroup() as group:
                    group.create_task(_answer_next(server))
                    assert await way(client, server) == b"Hello"
                await client.aclose()
            assert server.requests == 10

    asyncio.run(run())


async def _answer_next(server: Server) -> None:
    await server.answer(await server.accept())


@each_way
@each_event
def test_a_second_call_waits_until_a_new_connection_has_stayed_open(
    way: Way, event: Callable[[socket.socket], None]
) -> None:
    async def run() -> None:
        async with opened(settle_time=NEVER) as (client, server):
            accepted = await first_call(client, server, way)
            async with asyncio.TaskGroup() as group:
                call = group.create_task(way(client, server))
                await asyncio.sleep(0)  # the call has begun
                event(accepted)
                await _answer_next(server)
                assert await call == b"Hello"
            assert server.requests == 2

    asyncio.run(run())


@each_way
def test_a_connection_that_stays_open_is_used_for_all_further_calls(way: Way) -> None:
    async def run() -> None:
        async with opened(settle_time=0.001) as (client, server):
            accepted = await first_call(client, server, way)
            for _ in range(5):
                async with asyncio.TaskGroup() as group:
                    group.create_task(server.answer(accepted))
                    assert await way(client, server) == b"Hello"
            assert server.requests == 6

    asyncio.run(run())


def test_a_call_that_is_cancelled_before_its_request_is_sent_closes_the_connection() -> None:
    async def run() -> None:
        async with opened(settle_time=NEVER) as (client, server):
            accepted = await first_call(client, server, whole)
            call = asyncio.ensure_future(whole(client, server))
            await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await asyncio.get_running_loop().sock_recv(accepted, 1) == b""

    asyncio.run(run())


@each_way
@pytest.mark.parametrize("event", [end, half_close, reset])
def test_a_request_that_the_server_may_have_read_is_not_sent_again(
    way: Way, event: Callable[[socket.socket], None]
) -> None:
    async def run() -> None:
        async with opened(settle_time=0) as (client, server):
            accepted = await first_call(client, server, way)
            async with asyncio.TaskGroup() as group:
                call = group.create_task(_lost(way(client, server)))
                await server.answer(accepted, b"")
                event(accepted)
                await call
            with pytest.raises(BlockingIOError):
                server._listening.accept()
            assert server.requests == 2

    asyncio.run(run())


async def _lost(call: Awaitable[bytes]) -> None:
    with pytest.raises(ConnectionLost):
        await call


# ---- the idle time of a server ----

IDLE = 50_000.0
"""Seconds of a server's idle time: so many that a slow test machine adds nothing to them."""


async def rest(client: HTTP1Client, seconds: float) -> None:
    """Let the only idle connection have been idle for so long."""
    ((connection,),) = client._idle.values()
    connection.idle_since = asyncio.get_running_loop().time() - seconds


async def is_reused(
    client: HTTP1Client, server: Server, accepted: socket.socket, way: Way, response: bytes = HELLO
) -> bool:
    """Whether the next call is sent over the connection that was accepted last."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        call = group.create_task(way(client, server))
        again = group.create_task(loop.sock_accept(server._listening))
        before = group.create_task(loop.sock_recv(accepted, 10_000))
        done, _ = await asyncio.wait({again, before}, return_when=asyncio.FIRST_COMPLETED)
        if again in done or not before.result():
            new, _ = await again
            server._accepted.append(new)
            await server.answer(new, response)
            assert await before == b""  # closed by the client
            return False
        again.cancel()
        data = before.result()
        while not data.endswith(b"{}"):
            data += await loop.sock_recv(accepted, 10_000)
        await loop.sock_sendall(accepted, response)
        assert await call == b"Hello"
    return True


STATED = HELLO.replace(b"\r\n\r\n", b"\r\nKeep-Alive: timeout=50000, max=100\r\n\r\n")


@each_way
@pytest.mark.parametrize(("idle", "expected"), [(0.8, True), (0.95, False), (1.1, False)])
def test_no_call_is_sent_near_the_idle_time_that_a_server_states(
    way: Way, idle: float, *, expected: bool
) -> None:
    async def run() -> None:
        async with opened(settle_time=0) as (client, server):
            async with asyncio.TaskGroup() as group:
                group.create_task(way(client, server))
                accepted = await server.accept()
                await server.answer(accepted, STATED)
            await rest(client, idle * IDLE)
            assert await is_reused(client, server, accepted, way) == expected

    asyncio.run(run())


@each_way
@pytest.mark.parametrize(
    ("idle", "expected"), [(0.8, True), (0.95, False), (1.9, False), (2.1, True)]
)
def test_no_call_is_sent_near_the_idle_time_of_a_connection_that_was_closed(
    way: Way, idle: float, *, expected: bool
) -> None:
    """One that is open for longer shows that the other was closed for another reason."""

    async def run() -> None:
        async with opened(settle_time=0) as (client, server):
            accepted = await first_call(client, server, way)
            await rest(client, IDLE)
            ((connection,),) = client._idle.values()
            accepted.close()
            while connection.is_open:  # noqa: ASYNC110 -- the loop sees it in a turn
                await asyncio.sleep(0)
            accepted = await first_call(client, server, way)
            await rest(client, idle * IDLE)
            assert await is_reused(client, server, accepted, way) == expected

    asyncio.run(run())


def test_the_idle_times_of_only_so_many_servers_are_remembered() -> None:
    client = HTTP1Client(5.0, 10, 90.0)
    for port in range(3 * MAX_LEARNED):
        client._note_idle_end(("127.0.0.1", port), 5.0)
    assert 0 < len(client._closed_after) <= MAX_LEARNED
    for idle in (5.0, 4.0, 6.0):  # this process may see an end late
        client._note_idle_end(("127.0.0.1", 2), idle)
    assert client._closed_after["127.0.0.1", 2] == 4.0
    client._note_idle_end(("127.0.0.1", 1), 0.001)  # as soon as it had responded
    assert ("127.0.0.1", 1) not in client._closed_after
