"""Runs the engine as a child process that ends with this one."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec
from msgspec import Struct

from .models import LocalError, LocalModel
from .running_engine import KEY, RunningEngine
from .serve import Ready

START_TIMEOUT = 180.0
"""Seconds for the weights to load; a busy machine took nine."""

STOP_TIMEOUT = 5.0


class Child(Struct):
    """A running engine and its process."""

    engine: RunningEngine
    process: subprocess.Popen[str]


@contextmanager
def engine_child(
    model: LocalModel, env: Mapping[str, str], *, extra_arguments: Sequence[str] = ()
) -> Iterator[Child]:
    """
    Run an engine on a free port, with a random key, while the block runs.

    `extra_arguments` are for `fanout local serve`. Raises `LocalError` if it does not start.
    """
    key = f"local-{secrets.token_hex(16)}"
    own = ["--model", model.name, "--port", "0", "--attached", str(os.getpid()), "--unannounced"]
    command = [sys.executable, "-m", "fanout", "local", "serve", *own, *extra_arguments]
    with subprocess.Popen(  # noqa: S603 -- Fanout itself
        command,
        env={**env, KEY: key},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            ready = _ready(process)
            yield Child(RunningEngine(ready.base_url, key, ready.model, ready.pid), process)
        finally:
            _stop(process)


def _ready(process: subprocess.Popen[str]) -> Ready:
    watchdog = threading.Timer(START_TIMEOUT, process.kill)
    watchdog.start()
    try:
        line = process.stdout.readline() if process.stdout else ""
    finally:
        watchdog.cancel()
    if not line:
        raise LocalError("the local engine did not start; its error message is above")
    return msgspec.json.decode(line, type=Ready)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
