"""What `make first-hour` does with each tool: it installs it, runs its commands, and times them."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from .servers import ENV, OURS, ROOT, run_server

Command: TypeAlias = Sequence[str | Path]

WORK = ROOT / ".build" / "first-hour"
UV = OURS / "uv"
REPEATS = int(sys.argv[1]) if len(sys.argv) > 1 else 3
PATIENCE = 300.0
"""Seconds that a server has on a busy machine."""

KEY = "sk-stub"

INDEX = ("PIP_", "UV_", "SSL_CERT_", "REQUESTS_CA_")
"""How the variables begin that say where packages come from."""

PROXY = "litellm[proxy]"
PEERS = {
    PROXY: [
        "-c",
        "bench.txt",
        "--excludes",
        "bench-without.in",
        "--overrides",
        "bench-overrides.in",
    ],
    "llm": ["-c", "first-hour.txt"],
    "batchllm-ai": ["-c", "first-hour.txt"],
}
"""The other tools, and the files in requirements/ that fix their versions."""


@dataclass
class Result:
    """One tool's way through a task: what is typed, files that are written by hand, seconds."""

    tool: str
    commands: Sequence[str]
    files: str = "-"
    install: float | None = None
    seconds: float | None = None
    note: str = ""
    is_comparable: bool = True


@contextmanager
def stub(port: int) -> Iterator[None]:
    """The provider, while the block runs."""
    command: Command = [OURS / "python", "-m", "tests.bench.stub", str(port)]
    with run_server("stub", command, port, chat("stub")):
        yield


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="first-hour-") as name:
        yield Path(name)


def env(home: Path, **more: str) -> dict[str, str]:
    """A newcomer's environment: an empty home, and a cache of packages that is filled."""
    caches = {"UV_CACHE_DIR": WORK / "uv", "PIP_CACHE_DIR": WORK / "pip"}
    index = {name: os.environ[name] for name in os.environ if name.startswith(INDEX)}
    paths = {name: str(path) for name, path in caches.items()}
    return {**ENV, **index, **paths, "HOME": str(home), **more}


def run(command: Command, cwd: Path, **more: str) -> float:
    """Run a command to its end; returns its seconds, and raises an error if it fails."""
    began = time.perf_counter()
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=env(cwd, **more),
        capture_output=True,
        check=False,
        timeout=600,
    )
    if done.returncode:
        raise SystemExit(f"{command}: {done.stderr.decode()[-2000:]}{done.stdout.decode()[-500:]}")
    return time.perf_counter() - began


def median(measure: Callable[[], float], repeats: int = REPEATS) -> float:
    return statistics.median(measure() for _ in range(repeats))


def install(what: Command, name: str) -> tuple[Path, float]:
    """
    Install packages into a fresh environment; returns its programs and the seconds.

    The first time this is done twice, so that the cache of packages is filled.
    """
    venv, seconds = WORK / name, 0.0
    for _ in range(1 if venv.exists() else 2):
        shutil.rmtree(venv, ignore_errors=True)
        began = time.perf_counter()
        run([UV, "venv", "-q", "--python", OURS / "python", venv], ROOT / "requirements")
        run([UV, "pip", "install", "-q", "--python", venv, *what], ROOT / "requirements")
        seconds = time.perf_counter() - began
    return venv / "bin", seconds


def wheel() -> tuple[Path, float]:
    """Fanout's wheel, and the seconds that it takes to build it."""
    shutil.rmtree(WORK / "dist", ignore_errors=True)
    locked = ["--build-constraints", "requirements/build.txt", "--require-hashes"]
    seconds = run([UV, "build", "-q", "--wheel", *locked, "-o", WORK / "dist"], ROOT)
    (path,) = (WORK / "dist").glob("*.whl")
    return path, seconds


MASTER = "sk-7c1f0a9d35be48e2a6d4c9087b1e5f23a0d86b4e97c2153f8e60ad7142b9c3f5"
"""The gateways' key: LiteLLM's proxy does not start with a weak one, or with none."""

CHAT = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    b"authorization: Bearer %s\r\ncontent-length: %d\r\n\r\n%s"
)


def chat(model: str) -> bytes:
    body = b'{"model": "%s", "max_tokens": 20, "messages": [{"role": "user", "content": "Hi"}]}'
    body %= model.encode()
    return CHAT % (MASTER.encode(), len(body), body)


def versions(tools: dict[str, Path]) -> dict[str, str]:
    """The measured version of each tool."""
    found = {}
    for name, folder_ in tools.items():
        package = "fanout-gateway" if name == "fanout" else name.partition("[")[0]
        code = f"from importlib.metadata import version; print(version({package!r}))"
        done = subprocess.run(
            [folder_ / "python", "-c", code], capture_output=True, text=True, check=True
        )
        found[package] = done.stdout.strip()
    return found
