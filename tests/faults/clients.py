"""Thousands of clients in one process: one connection each, and the result of each request."""

from __future__ import annotations

import asyncio
import json
import random
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import uvloop

PATIENCE = 60.0
"""Seconds without a response after which a request counts as hung."""

TIMEOUT = TimeoutError.__name__
"""The `error` of such a request."""


@dataclass(frozen=True)
class Result:
    """
    A response's status (0: no response, because of the `error`), its `Retry-After` and the seconds
    it took.
    """

    status: int
    retry_after: str | None
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class ClientRequest:
    """A request sent `at` a time; its client may disconnect after some seconds."""

    body: Mapping[str, Any]
    at: float = 0.0
    disconnects_after: float | None = None


def raise_file_limit() -> None:
    """Allow as many open files as the system permits; each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def send_all(port: int, requests: Sequence[ClientRequest], key: str) -> list[Result]:
    """Send every request at its time, each on its own connection."""
    raise_file_limit()
    return uvloop.run(_send_all(port, requests, key))


async def _send_all(port: int, requests: Sequence[ClientRequest], key: str) -> list[Result]:
    # Encode everything first: encoding in between would make the clients slow.
    encoded = {id(one.body): _encode(one.body, key) for one in requests}
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_send(port, one, encoded[id(one.body)])) for one in requests]
    return [task.result() for task in tasks]


async def _send(port: int, request: ClientRequest, data: bytes) -> Result:
    await asyncio.sleep(request.at)
    began = perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        patience = request.disconnects_after
        async with asyncio.timeout(PATIENCE if patience is None else patience):
            raw = await reader.read()
    except (TimeoutError, ConnectionError) as error:
        return Result(0, None, perf_counter() - began, type(error).__name__)
    finally:
        writer.transport.abort()
    head, _, _ = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    after = [line.partition(": ")[2] for line in lines if line.startswith("retry-after: ")]
    status = int(lines[0].split(" ")[1]) if lines[0] else 0
    why = "" if lines[0] else "closed"
    return Result(status, after[0] if after else None, perf_counter() - began, why)


def _encode(body: Mapping[str, Any], key: str) -> bytes:
    content = json.dumps(body).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n"
        f"authorization: Bearer {key}\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def disconnecting(
    bodies: Sequence[Mapping[str, Any]], count: int, seed: int
) -> list[ClientRequest]:
    """Requests within one second, each with a random body, whose clients disconnect at random."""
    draw = random.Random(seed)  # noqa: S311 -- the same sequence each time
    return [
        ClientRequest(
            draw.choice(bodies), at=draw.uniform(0, 1), disconnects_after=draw.uniform(0, 0.3)
        )
        for _ in range(count)
    ]
