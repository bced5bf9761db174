"""
Chooses the lines of a job that go by native batches, and divides them into batches.

A batch has lines of one deployment. It is small enough for the memory of a function, gives its
results early, and bounds what one wrong line or one lost batch costs.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

from msgspec import Struct, field

from ...telemetry.prices import to_nanodollars
from .deadline import RUN, most_realtime
from .eligibility import Candidate, Eligibility, Route, account_of
from .input_lines import InputLine
from .ledger import BatchEntry
from .numbers import pack
from .realtime import Backlog, PlannedTime

MAX_LINES = 5_000
MAX_BYTES = 50_000_000
"""Of one batch, unless the provider takes less; a line counts with its bytes in the input."""

LEAST_LINES, PART = 250, 1 / 4
"""
A batch has so many lines or more, and this part of those that are in the batches before it.

So one that is stuck holds few of a job's lines, and they are given up one after the other.
"""

LEAST_TIMES = 5
"""Times the lines, and the saving, of the smallest batch that the rest of such a batch may be."""

LEAST_SAVING = to_nanodollars(0.05)
"""What a job must save by a deployment's batches so that `auto` waits for them."""

MANY = 120
"""
The line of a model without limits in the config that is sent in real time at once.

Its response shows the limits, by which batches are given up. Fewer lines take so little time that
it does not matter, and would make the one line a greater part of the costs.
"""

SHOWS_LIMITS = "the response in real time shows the rate limits of its model"

TOO_LATE = "too little time is left before the deadline"

TOO_MANY = "the job has too many lines to choose batches for all of them"

Label: TypeAlias = tuple[str, str, int]
"""A batch of a plan: the account and the model of its group, and its number there."""


def batch_key(job: str, number: int, lines: str, salt: str = "") -> str:
    """The label of a batch at its provider, the same for the same lines; up to 63 characters."""
    digest = hashlib.sha256(f"{job}/{number}/{lines}/{salt}".encode()).hexdigest()
    return f"fanout-{job[-8:]}-{number}-{digest[:16]}"


class Choice(Struct, frozen=True):
    """
    What decides how many lines wait for batches.

    `window` is the job's, in seconds, `expires_at` its end. `backlog` is what a line takes in real
    time. `is_asked` says that the user chose batches, also to save little; `estimate`
    is the nanodollars that a line of so many bytes may cost in real time. If it `tries_one`, a line
    of each model whose limits are not in the config shows them. No further line is chosen once the
    time for that `is_over`.
    """

    now: float
    window: float
    expires_at: float
    backlog: Callable[[InputLine], Backlog]
    estimate: Callable[[InputLine], int]
    is_asked: bool = False
    tries_one: bool = False
    is_over: Callable[[], bool] = lambda: False

    def most(self, route: Route) -> float:
        """How many seconds in real time may wait for batches, if they are of this route."""
        limits = route.batches.limits
        if self.window < limits.window and not self.is_asked:
            return 0.0
        run = min(limits.window, self.window) * RUN
        return most_realtime(self.now, self.expires_at, run, limits.drain)


_Part: TypeAlias = list[tuple[int, int, Backlog]]
"""The lines of one batch, by their numbers, with their estimates and their time."""


class _Group(Struct, eq=False):
    """
    The lines of one model: the batch that is `filling`, the `full` one before it, and the others.

    `most` is how many seconds of the job's lines, in real time, may wait for batches when a line of
    this one is added.
    `place` is the number of the batch that is filling, `size` are its bytes, `cost` its estimate;
    `lines` are those of all, `unlimited` those without limits in the config. `batches` are by their
    numbers.
    """

    route: Route
    model: str
    most: float
    filling: _Part = field(default_factory=list)
    place: int = 0
    size: int = 0
    cost: int = 0
    lines: int = 0
    unlimited: int = 0
    full: _Part = field(default_factory=list)
    batches: dict[int, tuple[str, int, int, Backlog]] = field(default_factory=dict)
    left: int = 0

    def add(self, one: InputLine, estimate: int, backlog: Backlog) -> int:
        """Add a line, to another batch if this one is full; returns the number of its batch."""
        limits = self.route.batches.limits
        if self.filling and (
            self._is_enough()
            or len(self.filling) >= min(limits.lines, MAX_LINES)
            or self.size + one.size > min(limits.bytes // 2, MAX_BYTES)
        ):
            self._store(self.place - 1, self.full)
            self.full, self.filling, self.size, self.cost = self.filling, [], 0, 0
            self.place += 1
        self.filling.append((one.number, estimate, backlog))
        self.size += one.size
        self.cost += estimate
        self.lines += 1
        return self.place

    def shows_limits(self, backlog: Backlog) -> bool:
        """Whether the next line is the one that is sent in real time to show the limits."""
        self.unlimited += backlog.unlimited > 0
        return self.unlimited == MANY and backlog.unlimited > 0

    def _is_enough(self) -> bool:
        """Whether the lines are one of several batches, of which a rest may be another batch."""
        limits, count = self.route.batches.limits, len(self.filling)
        if count < max(LEAST_LINES, LEAST_TIMES * limits.least, PART * (self.lines - count)):
            return False
        return self.cost * (1 - self.route.batches.price_factor) >= LEAST_TIMES * LEAST_SAVING

    def close(self) -> None:
        """
        End the last batch, which gets lines of the one before it if it has too few.

        If these have too few together, they are `left` for another lane.
        """
        least = self.route.batches.limits.least
        missing = least - len(self.filling)
        if self.filling and 0 < missing <= len(self.full) - least:
            self.full, moved = self.full[:-missing], self.full[-missing:]
            self.filling = [*moved, *self.filling]
        self._store(self.place - 1, self.full)
        self._store(self.place, self.filling)
        self.full, self.filling = [], []

    def _store(self, place: int, part: _Part) -> None:
        if not part:
            return
        if len(part) < self.route.batches.limits.least:
            self.left += len(part)
            return
        numbers = [number for number, _, _ in part]
        estimate = sum(one for _, one, _ in part)
        backlog = sum((one for _, _, one in part), Backlog())
        self.batches[place] = (pack(numbers), len(part), estimate, backlog)

    @property
    def saving(self) -> float:
        """What its batches save of the estimate in real time, in nanodollars."""
        return sum(one[2] for one in self.batches.values()) * (1 - self.route.batches.price_factor)


class BatchPlan:
    """
    Divides lines among native batches, one line after the other; its memory is that of the rows.

    `reasons` has how many lines are in no batch, by the reason. `time` is that of all lines.
    """

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.reasons = Counter[str]()
        self._groups: dict[tuple[str, str], _Group] = {}
        self._accounts: dict[int, tuple[Route, str]] = {}
        self._taken = self._all = Backlog()
        self._lines = 0

    def add(self, one: InputLine, found: Candidate | str) -> Label | None:
        """Add a line, or why it may not go by a batch; returns its batch, if that is created."""
        backlog = self.choice.backlog(one)
        self._all += backlog
        self._lines += 1
        if not isinstance(found, Candidate):
            self.reasons[found] += 1
            return None
        key = (self._account_of(found.route), found.model)
        if (group := self._groups.get(key)) is None:
            most = self.choice.most(found.route)
            group = self._groups[key] = _Group(found.route, found.model, most)
        if self.choice.tries_one and group.shows_limits(backlog):
            self.reasons[SHOWS_LIMITS] += 1
            return None
        taken = self._taken + backlog
        if taken.duration(self.choice.window) > group.most:
            self.reasons[TOO_LATE] += 1
            return None
        self._taken = taken
        return (*key, group.add(one, self.choice.estimate(one), backlog))

    @property
    def time(self) -> PlannedTime:
        """What all lines so far take in real time."""
        return PlannedTime(self._all, self._lines)

    def _account_of(self, route: Route) -> str:
        """The account of a route, which few of them are."""
        if (known := self._accounts.get(id(route))) is None:
            known = self._accounts[id(route)] = (route, account_of(route.deployment))
        return known[1]

    def rows(self, job: str) -> dict[Label, BatchEntry]:
        """The batches of a job, but for those that save too little to wait for; ends the plan."""
        rows: dict[Label, BatchEntry] = {}
        for key, group in self._groups.items():
            group.close()
            if group.left:
                least = group.route.batches.limits.least
                self.reasons[f"a batch of its model has {least} lines or more"] += group.left
                group.left = 0
            if group.saving < LEAST_SAVING and not self.choice.is_asked:
                continue
            for place, (numbers, count, estimate, backlog) in group.batches.items():
                number = len(rows) + 1
                rows[(*key, place)] = BatchEntry(
                    number,
                    batch_key(job, number, numbers),
                    key[0],
                    group.model,
                    numbers,
                    count,
                    estimate,
                    backlog,
                    next_at=self.choice.now,
                    expires_at=self.choice.expires_at,
                )
        return rows


async def plan_batches(
    lines: AsyncIterator[InputLine],
    eligibility: Eligibility,
    choice: Choice,
    line_id: Callable[[int], str],
) -> BatchPlan:
    """The plan of all lines of a job."""
    plan = BatchPlan(choice)
    async for one in lines:
        if choice.is_over():
            plan.reasons[TOO_MANY] += 1
            break
        plan.add(one, eligibility.check(one.line, line_id(one.number)))
    return plan
