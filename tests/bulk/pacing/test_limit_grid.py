"""
Workers find a limit that is hardly stated, and keep to it: windows, limits, hints, numbers of them.

In each case more than 80 % of what is allowed is used, and under 10 % of the calls are rejected.
The cases have each pair of values, not each combination. `python -m
tests.bulk.pacing.limit_simulation` prints a larger grid, also for limits of tokens.
"""

from __future__ import annotations

from itertools import count, product

import pytest

from tests.bulk.aws.memory_table import MemoryTable, make_store

from .limit_simulation import Case, Hint, Simulation, simulate
from .quotas import Window

PHASES: list[tuple[Window, float]] = [
    ("fixed", 0.0),
    ("fixed", 20.0),
    ("fixed", 50.0),
    ("sliding", 0.0),
    ("bucket", 0.0),
]
HINTS: tuple[Hint, ...] = ("bare", "retry-after", "anthropic")

LIMITS = ((60, 0.5), (60, 30.0), (600, 2.0))

PAIRS = list(enumerate(product(PHASES, HINTS)))
FEW = [
    Case(window, 10, 0.5, hint, workers=(1, 20)[number % 2], phase=phase, minutes=12.0)
    for number, ((window, phase), hint) in PAIRS
]
MORE = [
    Case(window, *LIMITS[(number + number // 3) % 3], hint, workers=4, phase=phase)
    for number, ((window, phase), hint) in PAIRS
]
MANY = [Case("fixed", 6000, 0.5, "bare", workers=4, minutes=3.0)]
TOKENS = [Case("fixed", 60, 0.5, hint, "equal tokens", 20, 20.0) for hint in HINTS]
UNSTATED: tuple[Hint, ...] = ("bare", "retry-after")
VARIED = [
    *(Case("sliding", 90, 0.5, hint, "varied tokens", 20, 20.0) for hint in UNSTATED),
    *(
        Case("small bucket", 250, 0.5, "retry-after", "varied tokens", workers, 20.0)
        for workers in (1, 4, 20)
    ),
]


def name(case: Case) -> str:
    return f"{case.window}-{case.limit}-{case.latency}-{case.hint}-{case.workers}-{case.phase}"


@pytest.mark.parametrize("case", [*FEW, *MORE, *MANY, *TOKENS, *VARIED], ids=name)
def test_workers_use_over_80_percent_and_under_a_tenth_is_rejected(case: Case) -> None:
    outcome = simulate(case)
    assert outcome.used > 0.8
    assert outcome.rejected < 0.1


@pytest.mark.parametrize(("limit", "hint"), [(60, "retry-after"), (600, "bare")])
def test_workers_of_a_stack_do_so_as_well(limit: int, hint: Hint) -> None:
    table, seeds = MemoryTable(), count()
    case = Case("fixed", limit, 2.0, hint, workers=20, phase=20.0)
    outcome = Simulation(case, lambda: make_store(table, next(seeds))).run()
    assert outcome.used > 0.8
    assert outcome.rejected < 0.1


@pytest.mark.parametrize("window", ["fixed", "small bucket"])
def test_workers_of_a_stack_find_a_limit_of_tokens(window: Window) -> None:
    table, seeds = MemoryTable(), count()
    case = Case(window, 250, 0.5, "retry-after", "varied tokens", 20, 20.0)
    outcome = Simulation(case, lambda: make_store(table, next(seeds))).run()
    assert outcome.used > 0.8
    assert outcome.rejected < 0.1
