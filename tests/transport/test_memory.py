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
from tests.support.provider_steps import reply
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


@pytest.mark.parametrize("kind", ["plain", "http1", "http2"])
def test_a_bomb_takes_a_small_multiple_of_the_limit(
    kind: str, ca: trustme.CA, request: pytest.FixtureRequest
) -> None:
    upstream: Upstream = request.getfixturevalue(kind)
    upstream.script("small", [reply(200, b"x")])
    upstream.script("bomb", [reply(200, BOMB, {"content-encoding": "gzip"})])
    given = json.dumps([outgoing(upstream, "").url, ca.cert_pem.bytes().decode(), LIMIT])
    done = subprocess.run(  # noqa: S603 -- what it runs is written here
        [sys.executable, "-c", CODE],
        input=given, capture_output=True, text=True, check=True, timeout=PATIENCE,
        env={"PYTHONPATH": str(SHARED), "NO_PROXY": "*"},
    )  # fmt: skip
    grown = [int(line) for line in done.stdout.split()]
    assert len(grown) == 3
    assert max(grown) < 5 * LIMIT
