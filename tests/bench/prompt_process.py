"""
Sends many prompts at once with one client library, and reports the time, CPU and memory it used.

`python -m tests.bench.prompt_process CLIENT BASE_URL COUNT` prints one line of JSON. The process
makes a single call first and reports it separately: libraries import much of their code on the
first call, and a program pays for that once.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[[str, int], list[Any]]
"""Sends a number of prompts to a base URL; returns the texts of the responses."""

MESSAGES = [{"role": "user", "content": "Say hello."}]
KEY = "sk-stub"

LITELLM_TIMEOUT = 60.0
"""
Seconds after which LiteLLM gives up a call and sends it again; its default is 6,000.

Of 5,000 calls with 1,000 threads, ten were never answered (2026-12-01).
"""


def fanout() -> Run:
    """`fanout.batch_completion`."""
    from fanout import ChatCompletion, batch_completion

    def run(base: str, count: int) -> list[Any]:
        conversations = [MESSAGES] * count
        found = batch_completion(
            "openai/stub", conversations, max_workers=count, api_base=base, api_key=KEY
        )
        return [one.choices[0].message.content for one in found if isinstance(one, ChatCompletion)]

    return run


def litellm(workers: int) -> Run:
    """`litellm.batch_completion` with up to so many threads."""
    import litellm

    litellm.suppress_debug_info = True

    def run(base: str, count: int) -> list[Any]:
        responses = litellm.batch_completion(
            model="openai/stub",
            messages=[MESSAGES] * count,
            max_workers=min(workers, count),
            api_base=base,
            api_key=KEY,
            timeout=LITELLM_TIMEOUT,
        )
        return [
            None if isinstance(one, Exception) else one.choices[0].message.content
            for one in responses
        ]

    return run


def httpx(*, http2: bool) -> Run:
    """One `httpx.AsyncClient` without limits."""
    import httpx

    async def main(base: str, count: int) -> list[Any]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(http2=http2, limits=limits, timeout=120) as client:

            async def one() -> Any:
                body = {"model": "stub", "messages": MESSAGES}
                response = await client.post(f"{base}/chat/completions", json=body)
                return response.json()["choices"][0]["message"]["content"]

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one()) for _ in range(count)]
            return [task.result() for task in tasks]

    return lambda base, count: asyncio.run(main(base, count))


def aiohttp() -> Run:
    """One `aiohttp.ClientSession` without limits; each call has a socket."""
    import aiohttp

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    async def main(base: str, count: int) -> list[Any]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def one() -> Any:
                body = {"model": "stub", "messages": MESSAGES}
                async with session.post(f"{base}/chat/completions", json=body) as response:
                    return (await response.json())["choices"][0]["message"]["content"]

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one()) for _ in range(count)]
            return [task.result() for task in tasks]

    return lambda base, count: asyncio.run(main(base, count))


def pyqwest() -> Run:
    """Fanout's own HTTP client over HTTP/2, a connection for each hundred calls."""
    import pyqwest
    import uvloop

    authority = Path(os.environ["SSL_CERT_FILE"]).read_bytes()
    body = json.dumps({"model": "stub", "messages": MESSAGES}).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}

    def connection() -> pyqwest.HTTPTransport:
        return pyqwest.HTTPTransport(
            tls_ca_cert=authority, http_version=pyqwest.HTTPVersion.HTTP2, use_system_dns=True
        )

    async def main(base: str, count: int) -> list[Any]:
        url = f"{base}/chat/completions"
        responses: list[pyqwest.Response] = []  # kept, so that no stream is reset

        async def one(transport: pyqwest.HTTPTransport) -> Any:
            sent = pyqwest.Headers(headers.items())
            response = await transport.execute(pyqwest.Request("POST", url, sent, body))
            responses.append(response)
            size, received = int(response.headers["content-length"]), b""
            async for part in response.content:
                received += bytes(part)
                if len(received) == size:
                    break
            return json.loads(received)["choices"][0]["message"]["content"]

        async with asyncio.TaskGroup() as group:
            tasks = []
            for number in range(count):
                if number % 100 == 0:
                    transport = connection()
                    await asyncio.sleep(0)
                tasks.append(group.create_task(one(transport)))
        return [task.result() for task in tasks]

    def run(base: str, count: int) -> list[Any]:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main(base, count))

    return run


CLIENTS: dict[str, Callable[[], Run]] = {
    "fanout": fanout,
    "pyqwest": pyqwest,
    "litellm": lambda: litellm(100),
    "litellm-wide": lambda: litellm(1000),
    "httpx": lambda: httpx(http2=False),
    "httpx-http2": lambda: httpx(http2=True),
    "aiohttp": aiohttp,
}


def peak(process: int | None = None) -> float:
    """
    The peak resident memory in MB, of this process or, on Linux, of another one.

    On Linux `ru_maxrss` starts with the parent's value, so `VmHWM` is read instead.
    """
    status = Path(f"/proc/{process or 'self'}/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measure(client: str, base: str, count: int) -> dict[str, float]:
    """Run one client library; `good` counts the responses with the stub's text."""
    run = CLIENTS[client]()
    first = time.process_time()
    run(base, 1)
    first = time.process_time() - first
    wall, cpu = time.perf_counter(), time.process_time()
    texts = run(base, count)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    good = sum(isinstance(text, str) and text.startswith("word0") for text in texts)
    cost = {"first": first * 1000, "cpu": cpu / count * 1000}
    return {"wall": wall, **cost, "peak": peak(), "good": good}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
