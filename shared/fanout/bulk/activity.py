"""
What a running job does at this moment: its calls, its speed, and what its lines wait for. Pure.

A worker has an `ActivityTracker`. Its snapshots, `Activity`, are stored, so that every process and
every view has them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

RATE_WINDOW = 60.0
"""Seconds of the past from which a job's speed is computed."""

MIN_RATE_WINDOW = 2.0
"""Seconds after its start from which a worker's speed is known."""

MAX_AGE = 10.0
"""Seconds for which a stored activity counts; it is written again twice as often."""

MAX_AHEAD = 60.0
"""Seconds that a stored time may lie in the future, because clocks differ."""

MAX_WAITS = 20
"""Waits that a snapshot has at most: those with the most lines."""

Reason: TypeAlias = Literal[
    "provider_error",
    "rate_limit",
    "concurrency_limit",
    "storage_full",
    "cost_cap",
    "other_jobs",
    "models_missing",
    "not_running",
    "internal_error",
    "native_batch",
]


class Wait(Struct, frozen=True, omit_defaults=True):
    """
    Why lines wait: `cause` is for people, and `until` (seconds since 1970) when they go on.

    `lines` is how many wait, `None` if no line of the job may start. `last` is when the last of
    them goes on, if several are counted.
    """

    reason: Reason
    cause: str
    model: str | None = None
    until: float | None = None
    lines: int | None = None
    last: float | None = None

    def current(self) -> Wait:
        """Itself: only other sources of waits change."""
        return self

    @property
    def message(self) -> str:
        """What waits and why, in words, without the time."""
        if self.lines is None:
            return f"no line starts: {self.cause}"
        return f"{self.lines} line{' waits' if self.lines == 1 else 's wait'}: {self.cause}"

    def sentence(self, clock_time: Callable[[float], str]) -> str:
        """What waits, why and until when; `clock_time` writes a time for people."""
        if self.until is None:
            return self.message
        what = "next line" if self.reason == "rate_limit" else "next attempt"
        return f"{self.message}, {what} {clock_time(self.until)}"

    def to_dict(self) -> dict[str, object]:
        """The JSON object of the API."""
        return {
            "reason": self.reason,
            "model": self.model,
            "lines": self.lines,
            "until": None if self.until is None else round(self.until, 3),
            "message": self.message,
        }


STORAGE_FULL = Wait("storage_full", "no space is left on the disk")
COST_CAP = Wait("cost_cap", "the calls in flight may use what is left of the cost cap or budget")
SLOTS = "as many calls as `max_parallel_requests` allows are in flight"
OTHER_JOBS = Wait("other_jobs", "other jobs are running; this one sends lines after them")
NOT_RUNNING = Wait(
    "not_running", "no process runs this job; start the server or the command again that ran it"
)
INTERNAL_ERROR = Wait("internal_error", "running the job failed; the process's log says why")


class WaitSource(Protocol):
    """What a line waits for."""

    def current(self) -> Wait:
        """The wait as it is now."""
        ...


class Activity(Struct, frozen=True):
    """
    A snapshot at the time `at`: the calls in flight, those that got a 429, and what waits.

    `left` lines were left to a later worker, because all of them wait for long.
    `rate` is the lines per second, `None` if it is unknown or if no line has succeeded lately.
    """

    at: float
    in_flight: int = 0
    rate_limited: int = field(default=0, name="refused")
    rate: float | None = None
    waits: list[Wait] = []
    left: int = 0

    @property
    def storage_full(self) -> bool:
        """Whether results wait for room on the disk."""
        return any(one.reason == "storage_full" for one in self.waits)

    def is_recent(self, now: float) -> bool:
        """Whether a stored activity still counts; one of the far future is not believed."""
        return -MAX_AHEAD < now - self.at < MAX_AGE

    def add(self, more: Activity) -> Activity:
        """The activity of both."""
        rates = [rate for rate in (self.rate, more.rate) if rate is not None]
        return Activity(
            max(self.at, more.at),
            self.in_flight + more.in_flight,
            self.rate_limited + more.rate_limited,
            sum(rates) if rates else None,
            merge([*self.waits, *more.waits]),
            self.left + more.left,
        )

    @property
    def resumes_at(self) -> float | None:
        """When the lines that were left may go on; `None` if none were left."""
        times = [wait.until for wait in self.waits if wait.until is not None]
        return min(times, default=None) if self.left else None


def merge(waits: list[Wait]) -> list[Wait]:
    """Waits for the same cause as one, with the sum of their lines and the earliest time."""
    found: dict[tuple[object, ...], Wait] = {}
    for one in waits:
        key = (one.reason, one.cause, one.model)
        if known := found.get(key):
            times = [time for time in (known.until, one.until) if time is not None]
            ends = [*times, *(time for time in (known.last, one.last) if time is not None)]
            counts = [count for count in (known.lines, one.lines) if count is not None]
            until, lines = min(times, default=None), sum(counts) if counts else None
            found[key] = replace(known, until=until, lines=lines, last=max(ends, default=None))
        else:
            found[key] = one
    return sorted(found.values(), key=lambda one: -(one.lines or 0))[:MAX_WAITS]


class RecentRate:
    """The lines that were settled in the last `RATE_WINDOW` seconds, by second."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._seconds: deque[list[int]] = deque()  # second, settled lines, responses among them

    def add(self, now: float, *, succeeded: bool) -> None:
        """Count a line."""
        if not self._seconds or self._seconds[-1][0] != int(now):
            self._seconds.append([int(now), 0, 0])
            self._drop_old(now)
        self._seconds[-1][1] += 1
        self._seconds[-1][2] += succeeded

    def rate(self, now: float) -> float | None:
        """Lines per second; `None` if it is too early, or if none has succeeded lately."""
        self._drop_old(now)
        seconds = min(RATE_WINDOW, now - self._began)
        if seconds < MIN_RATE_WINDOW or not any(one[2] for one in self._seconds):
            return None
        return sum(one[1] for one in self._seconds) / seconds

    def _drop_old(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] <= now - RATE_WINDOW:
            self._seconds.popleft()


class _Waiting:
    """Keeps what waits in `waits` during the block; each line enters one."""

    __slots__ = ("_source", "_waits")

    def __init__(self, waits: dict[object, WaitSource], source: WaitSource) -> None:
        self._waits = waits
        self._source = source

    def __enter__(self) -> None:
        self._waits[self] = self._source

    def __exit__(self, *_: object) -> None:
        del self._waits[self]


class ActivityTracker:
    """
    One worker's activity, as it changes; `now` is the time in seconds since 1970.

    `waiting_for_room` results, or attempts to begin, wait for room on this machine's disk.
    Responses also wait while a slow disk is `writing`; a kill would lose them. So in both cases no
    call is sent. `is_stopping` says whether the worker is to end: then no call is sent, either.
    `pause` is why the worker starts no line now, if calls that failed are the reason.
    `slot_waits` has the model of each line whose call waits for a slot. `is_rejected` says that the
    last calls were all rejected (`work/rejections.py`), and `succeeded` is the number of calls with
    a response. `grouped` lines for embeddings share a call with another line, or wait for that;
    `open_groups` take further ones.
    """

    def __init__(self, now: Callable[[], float], in_flight: int = 0, rate_limited: int = 0) -> None:
        self.now = now
        self.in_flight = in_flight
        self.rate_limited = rate_limited
        self.is_stopping: Callable[[], bool] = lambda: False
        self.waiting_for_room = 0
        self.room_cause = STORAGE_FULL.cause
        self._being_written = 0
        self.is_rejected = False
        self.succeeded = 0
        self.is_capped = False
        self.pause: Wait | None = None
        self.grouped = 0
        self.open_groups = 0
        self.left: Activity | None = None
        self.left_lines = 0
        self.slot_waits: dict[object, str] = {}
        self._slots_before: frozenset[str] = frozenset()
        self._rate = RecentRate(now())
        self._waiting: dict[object, WaitSource] = {}

    def waiting(self, source: WaitSource) -> AbstractContextManager[None]:
        """One line, or the job itself, waits for this during the block."""
        return _Waiting(self._waiting, source)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A response waits for a slow disk during the block."""
        self._being_written += 1
        try:
            yield
        finally:
            self._being_written -= 1

    @property
    def is_held(self) -> bool:
        """Whether no call is to be sent now: a response waits to be stored, or all are rejected."""
        return self.is_rejected or self.waiting_for_room > 0 or self._being_written > 0

    def settled(self, *, succeeded: bool) -> None:
        """Note that a line has a result."""
        self._rate.add(self.now(), succeeded=succeeded)

    def leave(self, lines: int) -> None:
        """Leave so many lines to a later worker; most of them wait for long."""
        self.left, self.left_lines = self.snapshot(), lines

    def lines_waiting_until(self, at: float) -> int:
        """How many lines wait until that time or longer."""
        waits = (source.current() for source in self._waiting.values())
        return sum(one.until is not None and one.until >= at for one in waits)

    def snapshot(self) -> Activity:
        """The activity at this moment."""
        now = self.now()
        counts = Counter(map(id, self._waiting.values()))
        sources = {id(source): source for source in self._waiting.values()}
        waits = [_counted(sources[one].current(), count, now) for one, count in counts.items()]
        waits += self._slots()
        if self.waiting_for_room:
            waits.append(replace(STORAGE_FULL, cause=self.room_cause))
        if self.is_capped:
            waits.append(COST_CAP)
        if self.pause is not None:
            waits.append(self.pause)
        return Activity(now, self.in_flight, self.rate_limited, self._rate.rate(now), merge(waits))

    def _slots(self) -> list[Wait]:
        """The waits for slots, if there were some at the last snapshot, too: most are short."""
        waiting = Counter(self.slot_waits.values())
        lasting, self._slots_before = waiting.keys() & self._slots_before, frozenset(waiting)
        return [Wait("concurrency_limit", SLOTS, one, lines=waiting[one]) for one in lasting]


def _counted(wait: Wait, lines: int, now: float) -> Wait:
    """The wait of so many lines; a time that is past says nothing."""
    until = None if wait.until is None or wait.until <= now else wait.until
    return replace(wait, until=until, lines=None if wait is OTHER_JOBS else wait.lines or lines)
