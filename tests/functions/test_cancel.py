"""
Cancels requests of other environments: two processes of the API function, as Lambda starts them.

Each has a fake Runtime API of its own; they share a table in a fake of DynamoDB.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any

from tests.functions.test_runtime_script import started
from tests.support.api_function import write_config
from tests.support.dynamodb_engine import DynamoDBServer, serving_table
from tests.support.patience import PATIENCE
from tests.support.runtime_api import (
    Delivered,
    FakeRuntimeAPI,
    fake_runtime_api,
    proxy_event,
)

KEYS = {"keys": [{"name": "mine", "key": "sk-mine"}, {"name": "others", "key": "sk-others"}]}
HI = [{"role": "user", "content": "Hi"}]
WORD = b'data: {"choices":[{"index":0,"delta":{"content":"Once"},"finish_reason":null}]}\n\n'
KINDS: Mapping[str, tuple[int, dict[str, Any]]] = {
    "one": (1, {"model": "m"}),
    "all": (2, {"model": "m, m"}),
    "race": (2, {"model": "m, m", "fastest_response": True}),
    "prompts": (3, {"model": "m", "messages": [HI, HI, HI]}),
}
"""The number of calls and the request of each kind."""


class Provider:
    """A provider whose responses never end; with `talks`, streams have begun."""

    def __init__(self) -> None:
        self.base = ""
        self.talks = False
        self.connections: list[tuple[asyncio.StreamReader, socket.socket]] = []
        self._changed = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if self.talks:
            head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
            writer.write(head + WORD)
        self.connections.append((reader, writer.get_extra_info("socket")))
        async with self._changed:
            self._changed.notify_all()
        try:
            while await reader.read(1 << 16):
                pass
        except (ConnectionError, asyncio.CancelledError):
            pass
        writer.close()

    async def called(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: len(self.connections) >= count)

    @property
    def open(self) -> int:
        """The connections that the kernel still holds open; the test need not have read the end."""
        return sum(not _is_closed(reader, sock) for reader, sock in self.connections)


def _is_closed(reader: asyncio.StreamReader, sock: socket.socket) -> bool:
    if reader.at_eof() or reader.exception() is not None or sock.fileno() < 0:
        return True
    try:
        with socket.socket(fileno=socket.dup(sock.fileno())) as own:
            own.setblocking(False)
            return not own.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:  # reset
        return True


class Stack:
    """Two environments, the provider and the table."""

    def __init__(
        self, provider: Provider, table: DynamoDBServer, apis: tuple[FakeRuntimeAPI, FakeRuntimeAPI]
    ) -> None:
        self.provider = provider
        self.table = table
        self.holder, self.other = apis

    def chat(self, body: Mapping[str, Any], request_id: str = "r-1") -> Delivered:
        """Send a request to the first environment."""
        sent = json.dumps({"messages": HI, **body})
        return self.holder.invoke(_event("/chat/completions", "mine", sent, request_id))

    async def control(
        self, request_id: str, action: str = "cancel", key: str = "mine"
    ) -> Delivered:
        """Send a cancel or a renewal to the other environment."""
        path = f"/chat/completions/{request_id}/{action}"
        return await self.other.ask(_event(path, key, None, ""))

    async def cancel(self, sent: Delivered, request_id: str = "r-1") -> None:
        """Cancel the request and wait for its response; on a busy machine that may take longer."""
        status = 0
        async with asyncio.timeout(PATIENCE):
            while status != 200 and not sent.is_done:
                status = (await self.control(request_id)).prelude["statusCode"]
        await sent.whole()


def _event(path: str, key: str, body: str | None, request_id: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer sk-{key}", "Content-Type": "application/json"}
    if request_id:
        headers["X-Request-Id"] = request_id
    event = proxy_event(path=path, body=body, headers=headers)
    del event["multiValueHeaders"], event["requestContext"]["requestTimeEpoch"]
    return event


@asynccontextmanager
async def stack(folder: Path) -> AsyncIterator[Stack]:
    provider = Provider()
    async with (
        await asyncio.start_server(provider.serve, "127.0.0.1", 0) as server,
        serving_table() as table,
        fake_runtime_api() as one,
        fake_runtime_api() as two,
    ):
        provider.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        config = write_config(folder, provider.base, KEYS)
        variables = {
            "AWS_ENDPOINT_URL_DYNAMODB": table.url,
            "FANOUT_REQUESTS_TABLE": "requests",
        }
        async with started(one, config, variables), started(two, config, variables):
            await one.until(lambda: one.waiting == 1)
            await two.until(lambda: two.waiting == 1)
            yield Stack(provider, table, (one, two))


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_the_calls_are_closed_before_the_response_lets_lambda_freeze_the_process(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with stack(tmp_path) as given:
            for kind, stream in product(KINDS, (False, True)):
                await check_cancel(given, kind, stream=stream)

    run(test)


async def check_cancel(given: Stack, kind: str, *, stream: bool) -> None:
    """Cancel a request of this kind."""
    calls, body = KINDS[kind]
    request_id = f"{kind}-{stream}"
    given.provider.connections.clear()
    sent = given.chat({**body, "stream": stream}, request_id)
    await given.provider.called(calls)
    assert given.provider.open == calls, request_id
    await given.cancel(sent, request_id)
    assert given.provider.open == 0, request_id  # before the test reads anything else
    assert sent.prelude["statusCode"] == 499, request_id
    assert json.loads(sent.body)["error"]["code"] == "request_cancelled", request_id
    assert sent.trailers == {}, request_id
    await given.holder.until(lambda: given.holder.waiting == 1)


def test_a_stream_that_has_begun_ends_with_an_error_event(tmp_path: Path) -> None:
    async def test() -> None:
        async with stack(tmp_path) as given:
            given.provider.talks = True
            sent = given.chat({"model": "m", "stream": True})
            await sent.until(lambda found: b"Once" in found.body)
            await given.cancel(sent)
            assert given.provider.open == 0
            assert sent.prelude["statusCode"] == 200
            assert b"request_cancelled" in sent.body
            assert b"[DONE]" not in sent.body

    run(test)


def test_a_foreign_key_cannot_cancel_and_learns_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with stack(tmp_path) as given:
            sent = given.chat({"model": "m"})
            await given.provider.called(1)
            foreign = await given.control("r-1", key="others")
            unknown = await given.control("r-2", key="others")
            assert foreign.prelude["statusCode"] == unknown.prelude["statusCode"] == 404
            assert foreign.body == unknown.body
            assert given.provider.open == 1
            assert not sent.is_done
            await given.cancel(sent)

    run(test)


def test_a_lease_ends_when_its_renewals_end(tmp_path: Path) -> None:
    async def test() -> None:
        async with stack(tmp_path) as given:
            sent = given.chat({"model": "m", "fanout": {"lease": 2}})
            await given.provider.called(1)
            async with asyncio.timeout(PATIENCE):
                renewed = await given.control("r-1", "renew")
                while renewed.prelude["statusCode"] != 200:  # it is not registered yet
                    renewed = await given.control("r-1", "renew")
            await sent.whole()
            assert given.provider.open == 0
            assert json.loads(sent.body)["error"]["code"] == "lease_expired"
            assert (await given.control("r-1", "renew")).prelude["statusCode"] == 404

    run(test)


def test_an_environment_without_an_open_request_calls_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with stack(tmp_path) as given:
            for _ in range(3):
                await given.holder.ask(_event("/models", "mine", None, ""))
                await given.holder.ask(_event("/chat/completions", "mine", "{", ""))
            sent = given.chat({"model": "m"})
            await given.provider.called(1)
            await given.cancel(sent)
            used = list(given.table.operations)
            await given.holder.ask(_event("/models", "mine", None, ""))
            assert given.table.operations == used
        assert used.count("UpdateItem") >= 2  # the mark and its acknowledgement

    run(test)
