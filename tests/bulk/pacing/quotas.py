"""What a provider allows: calls or tokens in a window, calls at a time, and what follows a 429."""

from __future__ import annotations

from collections import deque
from typing import Literal, TypeAlias

from tests.support.virtual_clock import now

Window: TypeAlias = Literal["fixed", "sliding", "bucket", "small bucket"]
MINUTE = 60.0


class Quota:
    """Counts amounts by one of the windows, of so many `seconds`; `limit` is the most a minute."""

    def __init__(
        self, window: Window, limit: float, unit: float, phase: float, seconds: float = MINUTE
    ) -> None:
        capacity = limit * seconds / MINUTE
        self._window, self._capacity, self._phase = window, capacity, phase
        self._seconds = seconds
        self._recent: deque[tuple[float, float]] = deque()
        self._used = 0.0
        self._full = max(unit, capacity / 30) if window == "small bucket" else capacity
        self._level, self._at = self._full, 0.0
        self.accepted = 0.0

    def wait(self, amount: float) -> float:
        """Seconds until so much is allowed; 0 if it is, and then it is counted."""
        if self._window in {"fixed", "sliding"}:
            wait = self._wait_in_window(amount)
        else:
            rate = self._capacity / self._seconds
            self._level = min(self._full, self._level + (now() - self._at) * rate)
            self._at = now()
            wait = max(0.0, (min(amount, self._full) - self._level) / rate)
            if wait < 1e-6:
                wait, self._level = 0.0, self._level - amount
        self.accepted += 0.0 if wait else amount
        return wait

    def add(self, amount: float) -> None:
        """Count so much, whether it is allowed or not."""
        self.accepted += amount
        if self._window in {"fixed", "sliding"}:
            self._used += amount
            self._recent.append((now(), amount))
        else:
            self._level -= amount

    def _wait_in_window(self, amount: float) -> float:
        if self._window == "fixed":
            into = (now() + self._phase) % self._seconds
            start, left = now() - into, self._seconds - into
        else:
            start = now() - self._seconds
            left = 0.0
        while self._recent and self._recent[0][0] < start - 1e-9:
            self._used -= self._recent.popleft()[1]
        if self._used + amount <= self._capacity + 1e-6:
            self._used += amount
            self._recent.append((now(), amount))
            return 0.0
        if left:
            return left
        needed = self._used + amount - self._capacity
        for at, one in self._recent:
            needed -= one
            if needed <= 1e-6:
                return max(1e-3, at + self._seconds - now())
        return self._seconds


class Places:
    """So many calls at a time."""

    def __init__(self, places: int) -> None:
        self._free = places
        self.accepted = 0.0

    def wait(self, amount: float) -> float:
        """Whether there is none left, as a second; 0 if there is one, and then it is taken."""
        if not self._free:
            return 1.0
        self._free -= 1
        self.accepted += amount
        return 0.0

    def add(self, amount: float) -> None:
        """Nothing else is counted."""

    def ended(self) -> None:
        """A call has ended."""
        self._free += 1


class Penalty:
    """A quota that is followed by `seconds` in which all calls are rejected."""

    def __init__(self, quota: Quota | Places, seconds: float) -> None:
        self._quota, self._seconds = quota, seconds
        self._until = 0.0

    @property
    def accepted(self) -> float:
        """The amount that was accepted."""
        return self._quota.accepted

    def wait(self, amount: float) -> float:
        """Seconds until so much is allowed; 0 if it is, and then it is counted."""
        if (left := self._until - now()) > 1e-6:
            return left
        wait = self._quota.wait(amount)
        if wait and self._seconds:
            self._until = now() + self._seconds
            return self._seconds
        return wait

    def add(self, amount: float) -> None:
        """Count so much, whether it is allowed or not."""
        self._quota.add(amount)

    def ended(self) -> None:
        """A call has ended."""
        if isinstance(self._quota, Places):
            self._quota.ended()
