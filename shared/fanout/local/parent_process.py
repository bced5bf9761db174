"""Ending with the process that started this one, however that one ended. Needs POSIX."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

INTERVAL = 0.25
"""Seconds between two looks: a parent killed outright leaves its child no longer than this."""


def stop_with_parent(parent: int, stop: Callable[[], object], interval: float = INTERVAL) -> None:
    """Call `stop`, from a thread, once the process `parent` is no longer this one's parent."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(interval)
        stop()

    threading.Thread(target=watch, name="attached", daemon=True).start()
