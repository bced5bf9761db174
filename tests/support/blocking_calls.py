"""Finds calls that block the event loop: on files, and on SQLite, in the loop's own thread."""

from __future__ import annotations

import asyncio
import io
import sqlite3
import sys
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeAlias

from .patience import PATIENCE

Profile: TypeAlias = Callable[[FrameType, str, Any], None]

FILE_CALLS = frozenset(
    [
        *("chmod", "close", "fchmod", "fdatasync", "fstat", "fsync", "ftruncate", "listdir"),
        *("lstat", "mkdir", "open", "posix_fallocate", "read", "rename", "replace", "rmdir"),
        *("flock", "scandir", "stat", "statvfs", "truncate", "unlink", "utime", "write"),
    ]
)


@contextmanager
def blocking_calls(package: str = "fanout") -> Iterator[list[str]]:
    """
    The blocking calls of this thread during the block, each as `function: call`.

    Only those of the package's code count, and not those of its imports.
    """
    found: list[str] = []
    sys.setprofile(_profile(found, package))
    try:
        yield found
    finally:
        sys.setprofile(None)


@contextmanager
def blocking_calls_of(
    loop: asyncio.AbstractEventLoop, package: str = "fanout"
) -> Iterator[list[str]]:
    """`blocking_calls` of a loop that runs in another thread."""
    found: list[str] = []
    set_profile(loop, _profile(found, package))
    try:
        yield found
    finally:
        set_profile(loop, None)


@contextmanager
def calls_of(loop: asyncio.AbstractEventLoop, names: AbstractSet[str]) -> Iterator[list[str]]:
    """The calls of these Python functions in the loop's thread during the block."""
    found: list[str] = []

    def profile(frame: FrameType, event: str, _called: Any) -> None:
        if event == "call" and frame.f_code.co_name in names:
            found.append(frame.f_code.co_name)

    set_profile(loop, profile)
    try:
        yield found
    finally:
        set_profile(loop, None)


def set_profile(loop: asyncio.AbstractEventLoop, profile: Profile | None) -> None:
    """Set the profile function of the thread in which a loop runs."""

    async def in_thread() -> None:
        sys.setprofile(profile)

    asyncio.run_coroutine_threadsafe(in_thread(), loop).result(PATIENCE)


def _profile(found: list[str], package: str) -> Profile:
    def profile(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and _blocks(called):
            caller = _caller(frame, package)
            if caller is not None:
                found.append(f"{caller}: {getattr(called, '__name__', called)}")

    return profile


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
