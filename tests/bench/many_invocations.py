"""
Measures many streams at once in one process, under AWS's own runtime code of Managed Instances.

A bare handler does the same in the same run, burst by burst: it shows how busy the machine is.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from time import perf_counter
from typing import NamedTuple

from tests.rie.emulator import (
    INVOKE,
    Emulator,
    can_change_user,
    emulating_managed_instances,
    is_available,
)
from tests.support.runtime_api import proxy_event

from .bare_invocations import GAP, WORDS
from .load import KEY
from .report import Figure, Section, number
from .servers import OURS
from .startup import LAMBDA_ENV
from .testbed import HELLO, Testbed

REQUESTS = 64
"""Streams at the same time: as many as AWS allows for each vCPU."""

BURSTS = 11
"""Bursts, of which the median counts; one more comes first."""

MOST = 1.3
"""Seconds for all streams of a burst."""

PAUSE = 0.3
"""Seconds between two bursts."""

RETRY = 0.01
"""Seconds until a request is sent again that no task has asked for yet."""

REJECTED = b"Runtime.Unavailable"
LAST_WORD = b"word%d" % (WORDS - 1)
BARE = "tests.bench.bare_invocations"
MODEL = "second"
"""Its script in the testbed is that of the bare handler."""


class Burst(NamedTuple):
    """The seconds until the last stream was complete, and how often a request was sent again."""

    seconds: float
    retries: int


def measure(bed: Testbed) -> list[Section]:
    """Measure both, if the emulator of AWS's runtime is available and may change the user."""
    if not (is_available() and can_change_user()):
        return []
    found: dict[str, list[Burst]] = {"a bare asyncio handler": [], "**the function's loop**": []}
    with ExitStack() as stack:
        modules = (BARE, None)
        servers = [stack.enter_context(_serving(bed, module)) for module in modules]
        for burst_number in range(BURSTS + 1):
            for server, bursts in zip(servers, found.values(), strict=True):
                time.sleep(PAUSE)
                burst = asyncio.run(_burst(server))
                if burst_number:
                    bursts.append(burst)
    header = ["", "median", "least", "most", "sent again"]
    rows = [[name, *_cells(bursts)] for name, bursts in found.items()]
    note = (
        f"{REQUESTS} streams of {(WORDS - 1) * GAP:g} s at the same time in one process, under "
        "AWS's Runtime Interface Emulator in the mode of Lambda Managed Instances. The bare "
        "handler calls no provider; its bursts alternate with those of the function. A request "
        f"that no task has asked for is sent again. {BURSTS} bursts each."
    )
    ours = median(burst.seconds for burst in found["**the function's loop**"])
    figure = Figure(f"managed instances: {REQUESTS} streams of 1 s at once", ours, MOST, "s")
    return [Section("Many requests in one environment", note, header, rows, [figure])]


def _cells(bursts: list[Burst]) -> Iterator[str]:
    seconds = [burst.seconds for burst in bursts]
    yield from (number(one, "s") for one in (median(seconds), min(seconds), max(seconds)))
    yield str(sum(burst.retries for burst in bursts))


@contextmanager
def _serving(bed: Testbed, module: str | None) -> Iterator[Emulator]:
    """The function, or a module in its place, with as many requests at once as are sent."""
    (packages,) = OURS.parent.glob("lib/python3*/site-packages")
    with emulating_managed_instances(
        LAMBDA_ENV,
        bed.config.read_text(),
        concurrency=REQUESTS,
        module=module,
        packages=packages,
    ) as emulator:
        yield emulator


async def _burst(server: Emulator) -> Burst:
    """Send all requests at the same moment and wait for the last response."""
    body = json.dumps({"model": MODEL, "messages": HELLO, "stream": True})
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    many = {name: [value] for name, value in headers.items()}
    event = proxy_event(headers=headers, multiValueHeaders=many, body=body)
    data = json.dumps(event).encode()
    began = perf_counter()
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(_ask(server.port, data)) for _ in range(REQUESTS)]
    return Burst(perf_counter() - began, sum(one.result() for one in asked))


async def _ask(port: int, data: bytes) -> int:
    """Send a request until a task has asked for it; return how often it was sent again."""
    retries = 0
    while REJECTED in (response := await _invoke(port, data)):
        retries += 1
        await asyncio.sleep(RETRY)
    if LAST_WORD not in response:
        raise RuntimeError(response[:500].decode())
    return retries


async def _invoke(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {INVOKE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    response = await reader.read()
    writer.close()
    return response
