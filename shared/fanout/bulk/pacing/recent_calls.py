"""How many calls a worker has started lately, and their mean size, in bounded memory. Pure."""

from __future__ import annotations

from collections import deque

from ...providers.rate_limits import MINUTE

MEAN_OF = 200.0
"""The requests whose mean size is known; older ones count less and less."""

COUNT_SECONDS = 0.05
"""Seconds in which calls count as started together, so that the memory for them is bounded."""


class RecentCalls:
    """
    When one worker started its calls of a model in the last minute.

    It also knows the mean of the input tokens of the requests that it sends or is to send.
    """

    def __init__(self) -> None:
        self._mean = 0.0
        self._requests = 0.0
        self._times: deque[float] = deque()
        self._counts: deque[int] = deque()

    def started(self, now: float) -> None:
        """Note a call."""
        times, counts = self._times, self._counts
        if times and now - times[-1] < COUNT_SECONDS:
            counts[-1] += 1
            return
        times.append(now)
        counts.append(1)
        while times[0] < now - MINUTE:
            times.popleft()
            counts.popleft()

    def recent(self, now: float, seconds: float = MINUTE) -> int:
        """How many calls were started in so many seconds."""
        since = now - seconds
        pairs = zip(self._times, self._counts, strict=True)
        return sum(count for time, count in pairs if time >= since)

    def size(self, requests: int, tokens: int, input_tokens: int) -> float:
        """
        Note requests of so many tokens together; returns their size, 1 for the mean one.

        The size is by the input. Expected output tokens are a mean themselves, which changes.
        """
        self._requests = min(MEAN_OF, self._requests + requests)
        new = min(1.0, requests / self._requests)
        self._mean += (input_tokens / requests - self._mean) * new
        mean = self._mean * requests + tokens - input_tokens
        return tokens / mean if tokens > 0 and mean > 0 else 1.0
