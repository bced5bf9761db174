"""Runs `fanout serve` and other modules as processes, and observes them from outside."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme

from tests.support.gateway_server import RecordingObserver, RunningGateway
from tests.support.patience import PATIENCE

ROOT = Path(__file__).parents[2]
ENV = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
SERVING = re.compile(rb"serving http://127\.0\.0\.1:(\d+)")


class Gateway(RunningGateway):
    """A gateway that runs as a process: its log, memory and open files are observable."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        super().__init__(port, RecordingObserver())
        self.process = process
        self._log = log
        self._read = 0
        self._lock = threading.Lock()
        self._lines: dict[str, list[dict[str, Any]]] = {}

    @property
    def log(self) -> str:
        """Everything that the process has written."""
        return self._log.read_text(errors="replace")

    def log_lines(self, request_id: str) -> list[dict[str, Any]]:
        """The log lines of a request, once it has ended."""
        until = time.perf_counter() + PATIENCE
        while time.perf_counter() < until:
            with self._lock:
                self._parse()
            lines = self._lines.get(request_id, [])
            if lines and lines[-1]["event"] == "request":
                return lines
            time.sleep(0.005)
        raise AssertionError(f"{request_id} never ended: {self._lines.get(request_id)}")

    def logged_attempts(self, request_id: str, model: str) -> int:
        """How many attempts of a model for a request are in the log so far."""
        with self._lock:
            self._parse()
        lines = self._lines.get(request_id, [])
        return sum(line["event"] == "attempt" and line["model"] == model for line in lines)

    def _parse(self) -> None:
        with self._log.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text.rfind(b"\n") + 1
        self._read += whole
        for line in text[:whole].splitlines():
            if line.startswith(b"{"):
                entry = json.loads(line)
                self._lines.setdefault(entry.get("request_id", ""), []).append(entry)

    def memory(self, what: str = "VmRSS") -> float:
        """Resident memory in MB; with `VmHWM`, the peak so far (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"^{what}:\s+(\d+) kB$", status, re.MULTILINE)
        return int(found[1]) * 1024 / 1e6 if found else 0.0

    def reset_peak(self) -> None:
        """Let `memory("VmHWM")` count from now on (Linux)."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def threads(self) -> int:
        """The number of threads (Linux)."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/task").iterdir())

    def files(self) -> int:
        """The number of open files and sockets (Linux)."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())


def fanout(*words: str) -> list[str]:
    """A `fanout` command."""
    return [sys.executable, "-m", "fanout", *words]


def environment(folder: Path) -> dict[str, str]:
    """The environment of a `fanout` process whose jobs are in `folder`."""
    return {**ENV, "PYTHONPATH": str(ROOT / "shared"), "XDG_DATA_HOME": str(folder)}


@contextmanager
def gateway(
    config: Mapping[str, Any],
    folder: Path,
    *words: str,
    quiet: bool = False,
    name: str = "gateway",
    max_files: int | None = None,
    env: Mapping[str, str] = {},
) -> Iterator[Gateway]:
    """
    Run `fanout serve` with a config (the YAML's value) and `words`; stop it when the block ends.

    Gateways with the same folder have the same jobs; each needs a `name` then.
    """
    path, log = folder / f"{name}.yaml", folder / f"{name}.log"
    path.write_text(json.dumps(config))
    command = fanout("serve", "--config", str(path), "--port", "0", *words)
    command += ["--quiet"] if quiet else []
    if max_files:
        command = ["sh", "-c", f'ulimit -n {max_files}; exec "$@"', "sh", *command]
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 -- our own command
            command, stdout=out, stderr=out, env={**environment(folder), **env}, cwd=folder
        )
    try:
        yield Gateway(_port(process, log), process, log)
    finally:
        stop(process)


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    until = time.perf_counter() + PATIENCE
    while not (found := SERVING.search(log.read_bytes())):
        if process.poll() is not None or time.perf_counter() > until:
            raise RuntimeError(f"the gateway did not start: {log.read_text()[-2000:]}")
        time.sleep(0.01)
    return int(found[1])


@contextmanager
def child(module: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of our modules as a process."""
    process = subprocess.Popen(  # noqa: S603 -- our own command
        [sys.executable, "-m", module, *words],
        cwd=ROOT,
        env={**ENV, "PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}"},
        stdout=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop one of our processes."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


def free_port() -> int:
    """A free TCP port."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def wait_for_port(port: int) -> None:
    """Wait until a process listens on the port."""
    until = time.perf_counter() + PATIENCE
    while time.perf_counter() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"no process listens on port {port}")


def untrusted_certificate() -> ssl.SSLContext:
    """A server-side TLS context with a certificate that no system trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


def model_list(models: Sequence[tuple[str, str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """The config's `model_list` from names, URLs and parameters."""
    return [
        {
            "model_name": name,
            "litellm_params": {"model": f"openai/{name}", "api_base": f"{url}/v1", **params},
        }
        for name, url, params in models
    ]
