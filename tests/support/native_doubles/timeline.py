"""
One batch over time: which of its lines are executed when, and in which state it is.

Knows nothing of HTTP. A double asks for the state, and writes it as its vendor does.
"""

from __future__ import annotations

from math import inf
from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

from .bill import RECEIVED, Bill, Entry, tokens_of
from .script import Script

State: TypeAlias = Literal[
    "validating",
    "in_progress",
    "finalizing",
    "completed",
    "failed",
    "expired",
    "cancelling",
    "cancelled",
]
OVER: frozenset[State] = frozenset({"completed", "failed", "expired", "cancelled"})

VALIDATION = 20.0
"""Seconds until a batch is valid, or fails."""

FINALIZING = 30.0
"""Seconds between the last line and the end."""

Kind: TypeAlias = Literal["ok", "failed", "cancelled", "expired"]


class Line(Struct, frozen=True):
    """A line as it came; `status` is what its execution comes to: 200, or an error's status."""

    id: str | None
    text: str
    body: dict[str, Any]
    status: int = 200
    message: str = ""


class Result(Struct, frozen=True):
    """What a line of a batch that is over came to; only executed ones have a status."""

    line: Line
    kind: Kind


class Failure(Struct, frozen=True):
    """Why a batch fails as a whole; `line` is from 1."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


class Batch(Struct, kw_only=True):
    """
    A batch. `expires_at` may be infinite. `facts` are what its vendor's double keeps of it.

    A request is billed when it is executed, so `bill_until` has to be called before the bill is
    read.
    """

    vendor: str
    id: str
    key: str | None
    lines: list[Line]
    created_at: float
    expires_at: float
    script: Script
    failure: Failure | None = None
    cancelled_at: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    reads: int = 0
    lists: int = 0
    downloads: int = 0
    billed: set[int] = field(default_factory=set)

    @property
    def starts_at(self) -> float:
        return self.created_at + self.script.queue

    def _planned(self, number: int) -> float:
        """When a line would be done if nothing ended the batch before."""
        share = (number + 1) / len(self.lines)
        if self.script.stuck is not None and share > self.script.stuck:
            return inf
        return self.starts_at + self.script.run * share

    def done_at(self, number: int) -> float:
        """When a line is executed; infinite if never."""
        planned = self._planned(number)
        if self.failure is not None or planned > self.expires_at:
            return inf
        if self.cancelled_at is None or planned <= self.cancelled_at:
            return planned
        how = self.script.cancel
        if how == "too late":
            return min(planned, self.cancelled_at + self.script.drain)
        return planned if how == "never ends" else inf

    @property
    def _unhindered_end(self) -> float:
        return self._planned(len(self.lines) - 1) + FINALIZING

    @property
    def ended_at(self) -> float:
        """When its state is final; infinite if never."""
        if self.failure is not None:
            return self.created_at + VALIDATION
        end = min(self._unhindered_end, self.expires_at)
        if self.cancelled_at is None or self.cancelled_at >= end:
            return end
        if self.script.cancel == "never ends":
            return inf
        return min(end, self.cancelled_at + self.script.drain)

    def state(self, now: float) -> State:
        """One of OpenAI's words."""
        if now >= self.ended_at:
            return self._last_state()
        if self.cancelled_at is not None and self.cancelled_at <= now:
            return "cancelling"
        if now < self.created_at + VALIDATION:
            return "validating"
        return "in_progress" if now < self._unhindered_end - FINALIZING else "finalizing"

    def _last_state(self) -> State:
        if self.failure is not None:
            return "failed"
        end = min(self._unhindered_end, self.expires_at)
        if self.cancelled_at is not None and self.cancelled_at < end:
            return "cancelled"
        return "expired" if self.expires_at < self._unhindered_end else "completed"

    def is_over(self, now: float) -> bool:
        return now >= self.ended_at

    def executed(self, now: float) -> list[int]:
        """The numbers of the lines that are done."""
        times = enumerate(map(self.done_at, range(len(self.lines))))
        return [number for number, at in times if at <= now and at < inf]

    def lost(self) -> int | None:
        """The number of the line that is executed, and that a cancel drops from the results."""
        if self.script.cancel != "loses" or self._last_state() != "cancelled":
            return None
        done = self.executed(self.ended_at)
        return done[-1] if done else None

    def results(self) -> list[Result]:
        """A result for each line of a batch that is over; a lost one has none."""
        if self.failure is not None:
            return []
        done, lost = set(self.executed(self.ended_at)), self.lost()
        rest: Kind = "expired" if self._last_state() == "expired" else "cancelled"
        found: list[Result] = []
        for number, line in enumerate(self.lines):
            if number in done and number != lost:
                found.append(Result(line, "ok" if line.status == 200 else "failed"))
            elif number not in done:
                found.append(Result(line, rest))
        return found

    def counts(self, now: float) -> tuple[int, int, int]:
        """Lines in all, and how many have succeeded and failed, as far as they are counted."""
        total = len(self.lines)
        if self.failure is not None or self.script.counts == "zero":
            return (0, 0, 0)
        done = [self.lines[number] for number in self.executed(now)]
        good = sum(line.status == 200 for line in done)
        if self.script.counts == "wrong":
            return (total, total, 1)
        return (total, good, len(done) - good)

    def bill_until(self, now: float, bill: Bill) -> None:
        """Add what was executed until now: only successes are paid for."""
        for number in self.executed(now):
            if number in self.billed:
                continue
            self.billed.add(number)
            line, at = self.lines[number], self.done_at(number)
            if line.status == 200:
                bill.add(
                    Entry(
                        self.vendor,
                        "native",
                        line.text,
                        tokens_of(line.text),
                        RECEIVED,
                        at,
                        self.id,
                        number == self.lost(),
                    )
                )
