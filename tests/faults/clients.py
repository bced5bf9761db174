"""Callers by the thousand, in one process: a connection each, and what became of each."""

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
"""Seconds after which an answer is a hang."""


@dataclass(frozen=True)
class Heard:
    """One answer: its status (0: none came), its `Retry-After`, its seconds."""

    status: int
    retry_after: str | None
    seconds: float


@dataclass(frozen=True)
class Ask:
    """One request: when it is sent, and after how many seconds its caller leaves, if it does."""

    body: Mapping[str, Any]
    at: float = 0.0
    leaves: float | None = None


def more_files() -> None:
    """As many open files as this process may have: a connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def ask_all(port: int, asks: Sequence[Ask], key: str) -> list[Heard]:
    """Every request at its time, each on a connection of its own."""
    more_files()
    return uvloop.run(_ask_all(port, asks, key))


async def _ask_all(port: int, asks: Sequence[Ask], key: str) -> list[Heard]:
    # Before the first is sent: who makes bodies in between is a caller that falls silent.
    requests = {id(ask.body): _request(ask.body, key) for ask in asks}
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_ask(port, ask, requests[id(ask.body)])) for ask in asks]
    return [task.result() for task in tasks]


async def _ask(port: int, ask: Ask, request: bytes) -> Heard:
    await asyncio.sleep(ask.at)
    began = perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(PATIENCE if ask.leaves is None else ask.leaves):
            raw = await reader.read()
    except (TimeoutError, ConnectionError):
        return Heard(0, None, perf_counter() - began)
    finally:
        writer.transport.abort()
    head, _, _ = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    after = [line.partition(": ")[2] for line in lines if line.startswith("retry-after: ")]
    status = int(lines[0].split(" ")[1]) if lines[0] else 0
    return Heard(status, after[0] if after else None, perf_counter() - began)


def _request(body: Mapping[str, Any], key: str) -> bytes:
    content = json.dumps(body).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n"
        f"authorization: Bearer {key}\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def vanishing(bodies: Sequence[Mapping[str, Any]], count: int, seed: int) -> list[Ask]:
    """Callers that ask one of these within a second, and leave at a moment that chance decides."""
    draw = random.Random(seed)  # noqa: S311 -- the same each time
    return [
        Ask(draw.choice(bodies), at=draw.uniform(0, 1), leaves=draw.uniform(0, 0.3))
        for _ in range(count)
    ]
