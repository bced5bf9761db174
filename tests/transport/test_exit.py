"""A process that ends just after a call has ended exits normally."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from tests.support.patience import PATIENCE

SHARED = Path(__file__).parents[2] / "shared"
SCRIPT = """
import asyncio, sys
from fanout.transport.engine import EngineError, Outgoing
from fanout.transport.connection_pool import PyqwestEngine

async def main():
    engine = PyqwestEngine(connect_timeout=0.1)
    try:
        await engine.send(Outgoing("POST", sys.argv[1], {}, b"{}"))
    except EngineError:
        await engine.aclose()

asyncio.run(main())
"""


def test_the_engines_threads_do_not_abort_the_process() -> None:
    """Without the pause at exit about half of these end with SIGABRT under CPython 3.11 to 3.13."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        command = [sys.executable, "-c", SCRIPT, url]
        running = [
            subprocess.Popen(command, env={"PYTHONPATH": str(SHARED)})  # noqa: S603 -- our own
            for _ in range(8)
        ]
        assert [process.wait(PATIENCE) for process in running] == [0] * 8
