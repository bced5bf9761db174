"""Stops this process when its parent ends, also if the parent is killed."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

INTERVAL = 0.25
"""Seconds between two checks, and so the longest time that this process outlives its parent."""


def stop_with_parent(parent: int, stop: Callable[[], object], interval: float = INTERVAL) -> None:
    """Call `stop`, from a thread, when the process `parent` is no longer the parent."""

    def watch() -> None:
        if sys.platform == "win32":
            _wait_for_end(parent)
        else:
            while os.getppid() == parent:
                time.sleep(interval)
        stop()

    threading.Thread(target=watch, name="attached", daemon=True).start()


if sys.platform == "win32":
    import ctypes
    from ctypes.wintypes import DWORD, HANDLE

    SYNCHRONIZE, FOREVER = 0x0010_0000, 0xFFFF_FFFF

    def _wait_for_end(process: int) -> None:
        """
        Wait for the end of a process; on Windows its children keep its number as their parent's.

        https://learn.microsoft.com/en-us/windows/win32/api/synchapi/nf-synchapi-waitforsingleobject
        """
        kernel = ctypes.WinDLL("kernel32")
        kernel.OpenProcess.restype, kernel.WaitForSingleObject.argtypes = HANDLE, (HANDLE, DWORD)
        if handle := kernel.OpenProcess(SYNCHRONIZE, False, process):
            kernel.WaitForSingleObject(handle, FOREVER)
