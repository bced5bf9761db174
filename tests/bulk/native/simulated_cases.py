"""The simulated jobs: what a seed makes of the window, the batches, their faults and the kills."""

from __future__ import annotations

import random
from typing import Any

from msgspec import Struct

from tests.bulk.native.native_jobs import KINDS, LEAST
from tests.support.native_doubles.bill import Lane
from tests.support.native_doubles.script import Cancel, Poll, Script, Scripts

HOUR = 3600.0
WINDOWS = ("1h", "6h", "24h")

QUEUES = {"short": 300.0, "usual": HOUR, "long": 4 * HOUR}
"""Medians of the time that a batch waits, in seconds; their logarithm has a deviation of 1."""

SLOW, RPM = 0.1, 40
"""The share of jobs whose models have this limit of requests a minute."""

BAD = 17
"""Every so many prompts, one is wrong on every lane."""


class Case(Struct, frozen=True):
    """
    One job; `seed` makes its batches. It is killed after these calls to providers.

    With an `rpm`, its lines take some minutes in real time.
    """

    seed: int
    window: str
    queue: str
    vendors: tuple[str, ...]
    lines: int
    lane: str
    kills: tuple[int, ...]
    rpm: int | None = None
    has_faults: bool = True

    @property
    def seconds(self) -> float:
        return int(self.window[:-1]) * HOUR


def case_of(seed: int, *, is_clean: bool = False) -> Case:
    """The job of a seed; a clean one has no faults and is not killed."""
    chance = random.Random(seed)  # noqa: S311 -- no secret
    vendors = tuple(chance.sample(sorted(KINDS), chance.choice((1, 1, 2, 4))))
    kills = tuple(chance.randint(1, 25) for _ in range(chance.choice((0, 0, 1, 2))))
    queue, lines = chance.choice(sorted(QUEUES)), chance.choice((5, 20, 60))
    if "bedrock" in vendors:
        lines = LEAST * len(vendors)
    lane, is_slow = chance.choice(("native", "native", "auto")), chance.random() < SLOW
    return Case(
        seed,
        WINDOWS[seed % 3],
        queue,
        vendors,
        max(240, lines) if is_slow else lines,
        lane,
        () if is_clean else kills,
        RPM if is_slow else None,
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


def outcome(text: str, _lane: Lane) -> int:
    return 400 if int(text[1:]) % BAD == 3 else 200
