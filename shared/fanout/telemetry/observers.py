"""
Log records of attempts and requests, without prompts and keys, and the interface that gets them.

`JSONLinesObserver` writes them as JSON lines; the Lambda functions have an observer of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, Protocol, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from ..errors import StorageError
from ..schema.chat import Usage
from ..schema.gateway_fields import Mode
from ..wire import json

Level: TypeAlias = Literal["info", "warning", "error"]

SERVER_ERROR = 500
"""The least status of a failure that is not the client's."""


class AttemptRecord(Struct, frozen=True):
    """
    One call to one deployment, after its end. Times in milliseconds.

    `skipped_events` is the number of events of its stream that could not be read, if there are any.
    `rejected` is the field of the request for which Fanout itself rejected it, without a call; in a
    race, the client may not notice. `broken_end`: the connection broke after the response, which
    was whole.
    """

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
    skipped_events: int | UnsetType = UNSET
    rejected: str | UnsetType = UNSET
    broken_end: bool | UnsetType = UNSET

    @property
    def is_warning(self) -> bool:
        """Whether Fanout itself rejected the request, or the connection broke after a response."""
        return self.rejected is not UNSET or self.broken_end is not UNSET


class RequestRecord(Struct, frozen=True):
    """One request of a client, after its response. `caller` is the name of the client's key."""

    request_id: str
    caller: str | None
    mode: str
    models: tuple[str, ...]
    winner: str | None
    stream: bool
    status: int
    error: str | None
    duration_ms: float


class DecisionRecord(Struct, frozen=True):
    """
    How the response of one conversation was decided on, or what became of a hedge.

    `outcome` is `agreed` or `undecided` in mode `agree`, that of the judge's report in modes `best`
    and `merge`, and in mode `hedge` with recent times whether the extra call was `started` or, for
    the budget, `withheld`. `calls` are those to the models, `judge_calls` those to the judge.
    """

    request_id: str
    mode: Mode
    outcome: str
    calls: int = 0
    calls_saved: int = 0
    saved_usd: float | None = None
    votes: int = 0
    judge: str | None = None
    judge_calls: int = 0
    judge_cost_usd: float | None = None


class Observer(Protocol):
    """
    Gets a record of each call, each request and each decision, after its end.

    Its methods must not block.
    """

    def attempt(self, record: AttemptRecord) -> None:
        """An upstream call has ended."""
        ...

    def request(self, record: RequestRecord) -> None:
        """The response to a request has ended."""
        ...

    def decision(self, record: DecisionRecord) -> None:
        """Votes, a judge or the budget of hedges have decided."""
        ...

    def unexpected_error(self, request_id: str, error: BaseException) -> None:
        """
        Some code raised `error`: it has a bug, or the storage of jobs or keys failed.

        The client did not get its cause.
        """
        ...


class NullObserver:
    """Ignores every record."""

    def attempt(self, record: AttemptRecord) -> None:
        """Ignore it."""

    def request(self, record: RequestRecord) -> None:
        """Ignore it."""

    def decision(self, record: DecisionRecord) -> None:
        """Ignore it."""

    def unexpected_error(self, request_id: str, error: BaseException) -> None:
        """Ignore it."""


class JSONLinesObserver:
    """
    Passes each record to `write` (such as `sys.stderr.write`) as one line of JSON.

    `now` is the time in seconds since 1970; lines have it in UTC, to the millisecond (RFC 3339).
    """

    def __init__(self, write: Callable[[str], object], now: Callable[[], float]) -> None:
        self._write = write
        self._now = now

    def attempt(self, record: AttemptRecord) -> None:
        """Write one line."""
        self._line("attempt", record, "warning" if record.is_warning else "info")

    def request(self, record: RequestRecord) -> None:
        """Write one line; a status of 500 or more is an error."""
        self._line("request", record, "error" if record.status >= SERVER_ERROR else "info")

    def decision(self, record: DecisionRecord) -> None:
        """Write one line."""
        self._line("decision", record, "info")

    def unexpected_error(self, request_id: str, error: BaseException) -> None:
        """
        Write the traceback without any variables: they may hold a prompt.

        The line of an error of this machine's storage says what is wrong with which file instead.
        """
        if isinstance(error, StorageError):
            known = {"error": type(error).__name__, "path": error.path, "reason": error.reason}
            self.note("storage_error", "error", {"request_id": request_id, **known})
            return
        import traceback

        frames = traceback.extract_tb(error.__traceback__)
        where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        fields = {"request_id": request_id, "error": type(error).__name__, "where": where}
        self.note("unexpected_error", "error", fields)

    def note(self, event: str, level: Level, fields: Mapping[str, object]) -> None:
        """Write one line about something else than a call or a request."""
        entry = {"event": event, "time": self._time(), "level": level, **fields}
        self._write(json.escape_controls(json.encode(entry).decode()) + "\n")

    def _line(
        self, event: str, record: AttemptRecord | RequestRecord | DecisionRecord, level: Level
    ) -> None:
        line = json.escape_controls(json.encode(record).decode())
        head = f'{{"event":"{event}","time":"{self._time()}","level":"{level}",'
        self._write(f"{head}{line[1:]}\n")

    def _time(self) -> str:
        time = datetime.fromtimestamp(self._now(), UTC)
        return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"


class ObserverGroup:
    """Passes each record to several observers, in order."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def attempt(self, record: AttemptRecord) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.attempt(record)

    def request(self, record: RequestRecord) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.request(record)

    def decision(self, record: DecisionRecord) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.decision(record)

    def unexpected_error(self, request_id: str, error: BaseException) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.unexpected_error(request_id, error)
