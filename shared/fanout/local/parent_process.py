"""Stops this process when its parent ends, also if the parent is killed. Needs POSIX."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

INTERVAL = 0.25
"""Seconds between two checks, and so the longest time that this process outlives its parent."""


def stop_with_parent(parent: int, stop: Callable[[], object], interval: float = INTERVAL) -> None:
    """Call `stop`, from a thread, when the process `parent` is no longer the parent."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(interval)
        stop()

    threading.Thread(target=watch, name="attached", daemon=True).start()
