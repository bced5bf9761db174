"""The memory of a response is bounded while it is read: measured in a process of its own."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from tests.support.patience import PATIENCE
from tests.support.provider_steps import cut, raw, reply
from tests.support.scripted_provider import Upstream
from tests.transport.engine_calls import outgoing

MB = 1_000_000
LIMIT = 10 * MB
BOMB = gzip.compress(b" " * 300 * MB, compresslevel=1)
SHARED = Path(__file__).parents[2] / "shared"

CODE = """
import asyncio, json, resource, sys
from fanout.transport.connection_pool import PyqwestEngine
from fanout.transport.engine import Outgoing, TooLong

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

async def main(url, pem, limit):
    engine = PyqwestEngine(max_response_bytes=limit, ca_pem=pem.encode() or None)
    async def send(model):
        body = json.dumps({"model": model}).encode()
        return await engine.send(Outgoing("POST", url, {"content-type": "application/json"}, body))
    for _ in range(25):
        await send("small")
    before = peak()
    for _ in range(3):
        try:
            await send("bomb")
        except TooLong:
            print(peak() - before)
    await engine.aclose()

asyncio.run(main(*json.loads(sys.stdin.read())))
"""


LEFT_CODE = """
import asyncio, gc, json, sys, tracemalloc
from fanout.transport.connection_pool import PyqwestEngine
from fanout.transport.engine import EngineError, Outgoing

async def main(url, pem, limit):
    engine = PyqwestEngine(max_response_bytes=limit, ca_pem=pem.encode() or None)
    async def send():
        try:
            await engine.send(Outgoing("POST", url, {}, b'{"model": "cut"}'))
        except EngineError:
            return 1
        return 0
    failed = await send()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    for _ in range(8):
        failed += await send()
    print(failed, tracemalloc.get_traced_memory()[0])
    await engine.aclose()

asyncio.run(main(*json.loads(sys.stdin.read())))
"""


@pytest.mark.parametrize("kind", ["plain", "http1"])
def test_a_response_that_is_cut_off_is_freed_at_once(
    kind: str, ca: trustme.CA, request: pytest.FixtureRequest
) -> None:
    upstream: Upstream = request.getfixturevalue(kind)
    start = b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n"
    upstream.script("cut", [raw(start + b"x" * MB), cut])
    done = run_in_a_process(LEFT_CODE, ca, upstream)
    failed, left = map(int, done.split())
    assert failed == 9
    assert left < 3 * MB  # the last one may still be there


@pytest.mark.parametrize("kind", ["plain", "http1", "http2"])
def test_a_bomb_takes_a_small_multiple_of_the_limit(
    kind: str, ca: trustme.CA, request: pytest.FixtureRequest
) -> None:
    upstream: Upstream = request.getfixturevalue(kind)
    upstream.script("small", [reply(200, b"x")])
    upstream.script("bomb", [reply(200, BOMB, {"content-encoding": "gzip"})])
    grown = [int(line) for line in run_in_a_process(CODE, ca, upstream).split()]
    assert len(grown) == 3
    assert max(grown) < 5 * LIMIT


def run_in_a_process(code: str, ca: trustme.CA, upstream: Upstream) -> str:
    """What the code prints."""
    given = json.dumps([outgoing(upstream, "").url, ca.cert_pem.bytes().decode(), LIMIT])
    return subprocess.run(  # noqa: S603 -- what it runs is written here
        [sys.executable, "-c", code],
        input=given, capture_output=True, text=True, check=True, timeout=PATIENCE,
        env={"PYTHONPATH": str(SHARED), "NO_PROXY": "*"},
    ).stdout  # fmt: skip
