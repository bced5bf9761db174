"""Runs the engine in this process: prints one JSON line when ready, and stops on a signal."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
from msgspec import Struct

from .engine import EngineOptions, start
from .parent_process import stop_with_parent
from .running_engine import RunningEngine, engine_file

LOOK = 0.2
"""Seconds after which a waiting process looks whether it has got a signal."""


class Ready(Struct, frozen=True, omit_defaults=True):
    """The line that is printed when the engine is ready; `key` only if it was generated."""

    model: str
    base_url: str
    pid: int
    seconds: float
    key: str = ""


def serve(
    options: EngineOptions,
    *,
    write: Callable[[str], Any],
    show_key: bool = True,
    engine_file_folder: Path | None = None,
    parent: int | None = None,
    on_stop: Callable[[], object] = lambda: None,
) -> None:
    """
    Serve until SIGTERM or SIGINT, or until the process `parent` has ended.

    With `parent`, SIGINT is ignored: the parent may first finish the requests in flight. `on_stop`
    is called at the end.
    """
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN if parent else lambda *_: stop.set())
    if parent is not None:
        stop_with_parent(parent, lambda: os._exit(0))  # also while the weights are loading
    began = perf_counter()
    address, _server = start(options)
    engine = RunningEngine(f"{address}/v1", options.key, options.name, os.getpid())
    with ExitStack() as stack:
        if engine_file_folder is not None:
            stack.enter_context(engine_file(engine, engine_file_folder))
        seconds = round(perf_counter() - began, 2)
        key = options.key if show_key else ""
        ready = Ready(engine.model, engine.base_url, engine.pid, seconds, key)
        write(msgspec.json.encode(ready).decode() + "\n")
        while not stop.wait(LOOK):  # Windows interrupts no wait without an end
            pass
    on_stop()
    # A clean stop of the server would wait for requests in flight.
    os._exit(0)
