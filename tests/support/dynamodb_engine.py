"""
DynamoDB as an HTTP engine, or as an HTTP server: moto evaluates the calls.

The test decides how long a call takes.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from botocore.exceptions import ClientError
from moto import mock_aws

from fanout.transport.engine import EngineError, Incoming, Outgoing
from fanout.wire.http import WireResponse

from .aws_session import shared_session

ENV = {
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "FANOUT_REQUESTS_TABLE": "requests",
}


class DynamoDBEngine:
    """
    The engine of one process. `operations` has `(seconds, operation)` of each call.

    `seconds` says how long a call takes; its effect is in the middle. `fault` is raised instead.
    """

    def __init__(self, client: Any, seconds: Callable[[], float] = lambda: 0.01) -> None:
        self.client = client
        self.seconds = seconds
        self.fault: EngineError | None = None
        self.rejection: str | None = None
        self.operations: list[tuple[float, str]] = []
        self.sent: list[Outgoing] = []
        self.open = 0

    def count(self, operation: str) -> int:
        return [name for _, name in self.operations].count(operation)

    async def send(self, request: Outgoing) -> WireResponse:
        operation = request.headers["x-amz-target"].partition(".")[2]
        self.operations.append((asyncio.get_running_loop().time(), operation))
        self.sent.append(request)
        half = self.seconds() / 2
        self.open += 1
        try:
            await asyncio.sleep(half)
            if self.fault is not None:
                raise self.fault
            done = self.rejected() or evaluate(self.client, operation, json.loads(request.body))
            await asyncio.sleep(half)
        finally:
            self.open -= 1
        return done

    def rejected(self) -> WireResponse | None:
        """The error that AWS sends in place of any response, if there is one."""
        if self.rejection is None:
            return None
        return _response(400, {"__type": f"com.amazon.coral.service#{self.rejection}"})

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        raise NotImplementedError(request)
        yield

    async def aclose(self) -> None:
        """There are no connections to close."""


def evaluate(client: Any, operation: str, arguments: Mapping[str, Any]) -> WireResponse:
    """The response to an operation, in DynamoDB's format."""
    method = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
    try:
        done = getattr(client, method)(**arguments)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        kind = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}"}
        return _response(400, {**kind, **_old_item(error.response)})
    return _response(200, {k: v for k, v in done.items() if k != "ResponseMetadata"})


def _old_item(response: Mapping[str, Any]) -> Mapping[str, Any]:
    """The item of a condition that does not hold, if the call asked for it."""
    return {"Item": response["Item"]} if "Item" in response else {}


class DynamoDBServer:
    """DynamoDB at `url`; `operations` has the name of each call, in order."""

    def __init__(self, client: Any) -> None:
        self.url = ""
        self.operations: list[str] = []
        self._client = client

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = [line.partition(": ") for line in head.decode().split("\r\n")[1:-2]]
                headers = {name.lower(): value for name, _, value in lines}
                body = await reader.readexactly(int(headers["content-length"]))
                operation = headers["x-amz-target"].partition(".")[2]
                self.operations.append(operation)
                done = evaluate(self._client, operation, json.loads(body))
                length = len(done.body)
                writer.write(
                    f"HTTP/1.1 {done.status} X\r\ncontent-length: {length}\r\n\r\n".encode()
                )
                writer.write(done.body)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has closed the connection, or the test has ended
        finally:
            writer.close()


@asynccontextmanager
async def serving_table() -> AsyncIterator[DynamoDBServer]:
    """A server with the table of open requests, which is empty."""
    with requests_table() as client:
        made = DynamoDBServer(client)
        async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as server:
            made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield made


def _response(status: int, body: Mapping[str, Any]) -> WireResponse:
    return WireResponse(status, {}, json.dumps(body).encode())


@contextmanager
def requests_table() -> Iterator[Any]:
    """A client of moto's DynamoDB with the table of open requests, which is empty."""
    with mock_aws():
        client = _client()
        _create(client, "requests", id="HASH")
        yield client


@contextmanager
def keys_table() -> Iterator[Any]:
    """A client of moto's DynamoDB with the table of virtual keys, which is empty."""
    with mock_aws():
        client = _client()
        _create(client, "keys", partition="HASH", name="RANGE")
        yield client


def _client() -> Any:
    return shared_session().client(
        "dynamodb", "eu-west-1", aws_access_key_id="id", aws_secret_access_key="secret"
    )


def _create(client: Any, table: str, **keys: str) -> None:
    client.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
    )
