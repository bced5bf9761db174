"""
Lets other commands of the same user find the running engine: one file, which only this user may
read and which is deleted when the engine ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from ..disk.files import PRIVATE_FILE, replace_file

ADDRESS, KEY = "LOCAL_API_BASE", "FANOUT_LOCAL_KEY"
"""Environment variables that configs use to refer to a local engine."""

HEALTH_TIMEOUT = 2.0


class RunningEngine(Struct, frozen=True):
    """A running engine: its base URL, key, model and process id."""

    base_url: str
    key: str
    model: str
    pid: int

    def __repr__(self) -> str:
        return f"RunningEngine({self.base_url!r}, model={self.model!r}, pid={self.pid})"

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that configs refer to."""
        return {ADDRESS: self.base_url, KEY: self.key}


@contextmanager
def engine_file(engine: RunningEngine, folder: Path) -> Iterator[None]:
    """Write the file by which `find_running` finds the engine, and delete it after the block."""
    path = _path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(path, msgspec.json.encode(engine), mode=PRIVATE_FILE)
    try:
        yield
    finally:
        if read_engine_file(folder) == engine:
            path.unlink(missing_ok=True)


def read_engine_file(folder: Path) -> RunningEngine | None:
    """The engine in the file, whether it still runs or not."""
    try:
        return msgspec.json.decode(_path(folder).read_bytes(), type=RunningEngine)
    except (OSError, msgspec.MsgspecError):
        return None


def find_running(folder: Path) -> RunningEngine | None:
    """The engine in the file if it responds, else `None`."""
    engine = read_engine_file(folder)
    return engine if engine is not None and is_healthy(engine.base_url) else None


def is_healthy(base_url: str) -> bool:
    """Whether an engine responds at this base URL; its health check needs no key."""
    from http.client import HTTPConnection, HTTPException
    from urllib.parse import urlsplit

    parts = urlsplit(base_url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=HEALTH_TIMEOUT)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200  # noqa: PLR2004
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _path(folder: Path) -> Path:
    return folder / "engine.json"
