"""Starts the servers to be measured, observes them from outside, and always stops them."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
OURS = ROOT / ".venv" / "bin"
BENCH = ROOT / ".venv-bench" / "bin"
PATIENCE = 90.0
"""Seconds that a server has for its first response."""

STOPPING = 10.0
"""Seconds that a process has to end after SIGTERM."""

# No proxy, key or setting of the user.
ENV = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it downloads one
    "LITELLM_LOG": "ERROR",
}


@dataclass(frozen=True)
class Server:
    """
    A running server on a port of 127.0.0.1.

    `seconds` is the time from its start to its first response, `output` returns what it printed.
    """

    name: str
    port: int
    process: psutil.Process
    seconds: float
    output: Callable[[], str]

    def cpu(self) -> float:
        """Seconds of CPU that the process and its children have used."""
        times = [one.cpu_times() for one in self._family()]
        return float(sum(t.user + t.system for t in times))

    def memory(self) -> float:
        """Resident megabytes."""
        return float(sum(one.memory_info().rss for one in self._family())) / 1e6

    def _family(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


def free_port() -> int:
    """A free TCP port."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def run_server(
    name: str,
    command: Sequence[str | Path],
    port: int,
    request: bytes,
    *,
    env: Mapping[str, str] = {},
    trust: ssl.SSLContext | None = None,
    patience: float = PATIENCE,
) -> Iterator[Server]:
    """Start a server and wait for its response to `request`; stop it when the block ends."""
    with tempfile.TemporaryFile() as log:
        began = time.perf_counter()
        started = subprocess.Popen(
            command, cwd=ROOT, env={**ENV, **env}, stdout=log, stderr=log, start_new_session=True
        )

        def output() -> str:
            log.seek(0)
            return log.read().decode(errors="replace")

        try:
            while not responds(port, request, trust):
                if started.poll() is not None or time.perf_counter() > began + patience:
                    raise RuntimeError(f"{name} does not respond:\n{output()[-2000:]}")
                time.sleep(0.002)
            seconds = time.perf_counter() - began
            yield Server(name, port, psutil.Process(started.pid), seconds, output)
        finally:
            stop(started)


def responds(port: int, request: bytes, trust: ssl.SSLContext | None) -> bool:
    """Whether a server on the port responds with 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
            sock = trust.wrap_socket(plain, server_hostname="localhost") if trust else plain
            sock.sendall(request)
            return sock.recv(1 << 16).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def stop(started: subprocess.Popen[bytes]) -> None:
    """Stop a process and its children by their ids."""
    try:
        family = psutil.Process(started.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    if started.poll() is None:
        started.send_signal(signal.SIGTERM)
    try:
        started.wait(STOPPING)
    except subprocess.TimeoutExpired:
        started.kill()
        started.wait()
    for child in family:
        if child.is_running():
            child.kill()
