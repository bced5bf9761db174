"""Finds calls that block the event loop: on files, and on SQLite, in the loop's own thread."""

from __future__ import annotations

import io
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

FILE_CALLS = frozenset(
    [
        *("chmod", "close", "fchmod", "fdatasync", "fstat", "fsync", "ftruncate", "listdir"),
        *("lstat", "mkdir", "open", "posix_fallocate", "read", "rename", "replace", "rmdir"),
        *("scandir", "stat", "statvfs", "truncate", "unlink", "utime", "write"),
    ]
)


@contextmanager
def blocking_calls(package: str = "fanout") -> Iterator[list[str]]:
    """
    The blocking calls of this thread during the block, each as `function: call`.

    Only those of the package's code count, and not those of its imports.
    """
    found: list[str] = []

    def profile(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and _blocks(called):
            caller = _caller(frame, package)
            if caller is not None:
                found.append(f"{caller}: {getattr(called, '__name__', called)}")

    sys.setprofile(profile)
    try:
        yield found
    finally:
        sys.setprofile(None)


def _blocks(called: Any) -> bool:
    name, owner = getattr(called, "__name__", ""), getattr(called, "__self__", None)
    if isinstance(owner, sqlite3.Connection | sqlite3.Cursor):
        return True
    module = getattr(called, "__module__", None)
    if module in {"posix", "_io", "io", "fcntl"}:
        return name in FILE_CALLS
    is_memory = isinstance(owner, io.BytesIO)
    return type(owner).__module__ == "_io" and not is_memory and name in FILE_CALLS


def _caller(frame: FrameType | None, package: str) -> str | None:
    """The package's function that made the call; `None` for an import, or another package's."""
    caller = None
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("importlib") or module == "asyncio.base_events":
            return None if module.startswith("importlib") else caller
        if caller is None and module.startswith(f"{package}."):
            caller = f"{module.removeprefix(package + '.')}.{frame.f_code.co_name}"
        frame = frame.f_back
    return caller
