"""The simulated jobs: what a seed makes of the window, the batches, their faults and the kills."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from tests.bulk.native.native_jobs import KINDS, LEAST
from tests.support.native_doubles.bill import Lane
from tests.support.native_doubles.script import Cancel, Poll, Script, Scripts

HOUR = 3600.0
WINDOWS = ("1h", "6h", "24h")

QUEUES = {"short": 300.0, "usual": HOUR, "long": 4 * HOUR}
"""Medians of the time that a batch waits, in seconds; their logarithm has a deviation of 1."""

SLOW = 0.2
"""The share of jobs that take some minutes in real time, or an hour."""


SENT = 40
"""The tokens that a line counts without its response."""


class Limit(Struct, frozen=True):
    """
    A provider's limit, whether or not the config has it: it takes `calls` a minute.

    Each of the `lines` has responses of so many `tokens`.
    """

    calls: int
    lines: int
    tokens: int = 100
    stated: Literal["rpm", "tpm"] | None = "rpm"
    hours: float = 1

    @property
    def settings(self) -> dict[str, int]:
        """What the config has of it."""
        if self.stated is None:
            return {}
        return {self.stated: self.calls * (self.tokens + SENT if self.stated == "tpm" else 1)}


LIMITS = (
    Limit(40, 240),
    Limit(400, 400, 100, "tpm"),
    Limit(10, 240, 5_000, "tpm", hours=6),
    Limit(20, 240, 50, "tpm", hours=6),
    Limit(60, 2_000, stated=None, hours=6),
)
"""Limits of jobs with windows of at least so many hours."""

BAD = 17
"""Every so many prompts, one is wrong on every lane."""


class Case(Struct, frozen=True):
    """
    One job; `seed` makes its batches. It is killed after these calls to providers.

    With a `limit`, its lines take some time in real time.
    """

    seed: int
    window: str
    queue: str
    vendors: tuple[str, ...]
    lines: int
    lane: str
    kills: tuple[int, ...]
    limit: Limit | None = None
    has_faults: bool = True

    @property
    def settings(self) -> dict[str, int]:
        """What the config has for each model."""
        return {} if self.limit is None else self.limit.settings

    @property
    def fields(self) -> dict[str, int]:
        """What each request has."""
        return {} if self.limit is None else {"max_tokens": self.limit.tokens}

    @property
    def seconds(self) -> float:
        return _seconds(self.window)


def _seconds(window: str) -> float:
    return int(window[:-1]) * HOUR


def case_of(seed: int, *, is_clean: bool = False) -> Case:
    """The job of a seed; a clean one has no faults and is not killed."""
    chance = random.Random(seed)  # noqa: S311 -- no secret
    vendors = tuple(chance.sample(sorted(KINDS), chance.choice((1, 1, 2, 4))))
    kills = tuple(chance.randint(1, 25) for _ in range(chance.choice((0, 0, 1, 2))))
    queue, lines = chance.choice(sorted(QUEUES)), chance.choice((5, 20, 60))
    if "bedrock" in vendors:
        lines = LEAST * len(vendors)
    lane, is_slow = chance.choice(("native", "native", "auto")), chance.random() < SLOW
    window = WINDOWS[seed % 3]
    fitting = [one for one in LIMITS if one.hours * HOUR <= _seconds(window)]
    limit = chance.choice(fitting) if is_slow else None
    return Case(
        seed,
        window,
        queue,
        vendors,
        max(limit.lines, lines) if limit else lines,
        lane,
        () if is_clean else kills,
        limit,
        not is_clean,
    )


def scripts_of(case: Case, vendor: str) -> Scripts:
    """The scripts of a vendor's batches."""
    chance = random.Random(f"{case.seed} {vendor}")  # noqa: S311 -- no secret
    median, found = QUEUES[case.queue], list[Script]()

    def script(number: int) -> Script:
        while len(found) <= number:
            queue = median * chance.lognormvariate(0.0, 1.0)
            run = median * 0.3 * chance.lognormvariate(0.0, 1.0)
            faults = _faults(chance) if case.has_faults else {}
            found.append(Script(queue=queue, run=run, **faults))
        return found[number]

    return script


def _faults(chance: random.Random) -> dict[str, Any]:
    """Faults of one batch; most batches have few of them."""

    def happens(share: float) -> bool:
        return chance.random() < share

    cancels: list[Cancel] = ["keeps", "loses", "too late", "never ends"]
    polls: list[Poll] = [429, 500, 503, 404, "unknown", "garbage"]
    return {
        "drain": chance.uniform(5, 60),
        "reply": chance.choices(["sent", "lost", "failed"], [85, 10, 5])[0],
        "late_reads": chance.choice((1, 3)) if happens(0.1) else 0,
        "late_lists": int(happens(0.1)),
        "polls": chance.choices(polls, k=4) if happens(0.15) else (),
        "over_limit": happens(0.05),
        "bad_line": 1 + chance.randrange(5) if happens(0.03) else None,
        "stuck": chance.random() if happens(0.06) else None,
        "cancel": chance.choices(cancels, [70, 10, 15, 5])[0],
        "counts": chance.choice(("true", "zero", "wrong")),
        "shuffled": happens(0.5),
        "duplicated": 2 * happens(0.1),
        "foreign": int(happens(0.1)),
        "missing": int(happens(0.03)),
        "cut_downloads": int(happens(0.1)),
        "gone": happens(0.02),
    }


class Outcome:
    """
    What a prompt comes to at providers that take `calls` a minute together.

    Every `BAD`th prompt `is_bad`.
    """

    def __init__(self, now: Callable[[], float], calls: int | None, *, is_bad: bool = True) -> None:
        self._now, self._calls, self._is_bad = now, calls, is_bad
        self._taken = Counter[int]()

    def __call__(self, text: str, lane: Lane) -> int:
        minute = int(self._now() // 60)
        if lane != "native":
            self._taken[minute] += 1
            if self._calls is not None and self._taken[minute] > self._calls:
                return 429
        return outcome(text, lane) if self._is_bad else 200


def outcome(text: str, _lane: Lane) -> int:
    return 400 if int(text[1:]) % BAD == 3 else 200
