"""
What is told of each attempt and each request: one JSON line, no prompts, no keys.

Knows nothing of where lines go. `Observer` is the seam that AWS's metrics hang on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from msgspec import Struct

from ..schema.chat import Usage
from ..schema.fanout import Mode
from ..wire import json


class AttemptRecord(Struct, frozen=True):
    """One call to one deployment, as it ended. Times in milliseconds."""

    request_id: str
    mode: Mode
    model: str
    deployment: str
    provider: str
    outcome: Literal["ok", "failed", "cancelled"]
    status: int | None
    error: str | None
    first_token_ms: float | None
    duration_ms: float
    usage: Usage | None = None
    dropped: tuple[str, ...] = ()
    cost_usd: float | None = None


class RequestRecord(Struct, frozen=True):
    """One request of a caller, as it was answered."""

    request_id: str
    caller: str | None
    mode: str
    models: tuple[str, ...]
    winner: str | None
    stream: bool
    status: int
    error: str | None
    duration_ms: float


class Observer(Protocol):
    """Is told what happened, after it happened; must not block."""

    def attempt(self, record: AttemptRecord) -> None:
        """One upstream call has ended."""
        ...

    def request(self, record: RequestRecord) -> None:
        """One request has been answered."""
        ...

    def bug(self, request_id: str, error: BaseException) -> None:
        """Something failed that should not have; the caller was told only the request's id."""
        ...


class NullObserver:
    """Tells nobody."""

    def attempt(self, record: AttemptRecord) -> None:
        """Pass over it."""

    def request(self, record: RequestRecord) -> None:
        """Pass over it."""

    def bug(self, request_id: str, error: BaseException) -> None:
        """Pass over it."""


class JSONLines:
    """One JSON object a line, to `write` (such as `sys.stderr.write`)."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def attempt(self, record: AttemptRecord) -> None:
        """Write one line."""
        self._line("attempt", record)

    def request(self, record: RequestRecord) -> None:
        """Write one line."""
        self._line("request", record)

    def bug(self, request_id: str, error: BaseException) -> None:
        """Write where it failed, without the values: a frame's values may hold a prompt."""
        import traceback

        frames = traceback.extract_tb(error.__traceback__)
        where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        said = {"request_id": request_id, "error": type(error).__name__, "where": where}
        self._write(json.encode({"event": "bug", **said}).decode() + "\n")

    def _line(self, event: str, record: AttemptRecord | RequestRecord) -> None:
        line = json.encode(record).decode()
        self._write(f'{{"event":"{event}",{line[1:]}\n')
