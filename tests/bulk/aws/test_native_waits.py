"""The waits for native batches: few events, and none too long; which lines wait."""

from __future__ import annotations

import random
from itertools import accumulate

from msgspec.structs import replace

from fanout.bulk.aws.native_waits import hold_time, is_lost, turn_wait
from fanout.bulk.native.held_lines import HeldLines
from fanout.bulk.native.ledger import BatchEntry
from fanout.bulk.native.numbers import pack
from fanout.bulk.native.poll import LATER, NEW, SOON

DAY = 86_400.0
EVENTS = 9
"""Of a turn: those of a task, a choice and a wait."""

OPEN = BatchEntry(1, "k", "d#0", "m", "1-5000", 5_000, state="open", id="b", opened_at=0.0)


def waits(days: float, batches: int = 1) -> tuple[list[float], list[float]]:
    """The waits of turns, and of looks at the job, while batches run and do not end."""
    end = days * DAY
    rows = [replace(OPEN, give_up_at=end, next_at=SOON + n) for n in range(batches)]
    turns, holds, now = [], [], 0.0
    while now < end:
        for index, row in enumerate(rows):
            if row.next_at <= now:
                pause = SOON if now < NEW or end - now < 1_800 else LATER
                rows[index] = replace(row, next_at=now + min(pause, end - now))
        next_at = min(row.next_at for row in rows)
        turns.append(turn_wait(rows, next_at, now, now))
        now += turns[-1]
    now = 0.0
    while now < end:
        holds.append(hold_time(rows, now, now))
        now += holds[-1]
    return turns, holds


def test_a_job_waits_for_two_weeks_in_far_less_than_an_executions_events() -> None:
    for batches in (1, 200):
        turns, holds = waits(14, batches)
        assert EVENTS * len(turns) < 25_000 * 0.6
        assert EVENTS * len(holds) < 25_000 * 0.6
        assert abs(sum(turns) - 14 * DAY) < 60.0  # the time to give up is met
        assert max(turns) <= 14 * DAY / 200
        assert max(holds) <= 900.0


def test_waits_of_an_hour_and_a_day_are_those_of_the_page_on_costs() -> None:
    both = waits(1)
    hour = [sum(at <= 3_600.0 for at in accumulate(found)) for found in both]
    assert (hour, [len(found) for found in both]) == ([20, 36], [307, 181])


def test_a_batch_that_ends_or_is_given_up_is_looked_at_soon() -> None:
    now = 10 * DAY
    for row in (
        replace(OPEN, state="ended", next_at=now),
        replace(OPEN, state="cancelling", next_at=now + 15.0),
        replace(OPEN, give_up_at=now + 600.0, next_at=now + 60.0),
    ):
        assert turn_wait([row], row.next_at, now, now) <= 60.0
        assert hold_time([row], now, now) == 30.0


def test_only_a_turn_that_is_far_too_late_counts_as_lost() -> None:
    late = replace(OPEN, next_at=1_000.0)
    assert not is_lost(late, 1_800.0, 1_800.0)
    assert is_lost(late, 2_000.0, 2_000.0)
    assert not is_lost(replace(late, state="stored"), DAY, DAY)
    assert not is_lost(replace(late, state="sent", sent_at=1_500.0), 2_500.0, 2_500.0)


def test_which_lines_wait_is_known_by_their_numbers() -> None:
    draw = random.Random(1)  # noqa: S311
    for _ in range(20):
        numbers = sorted(draw.sample(range(1, 60), 30))
        half = len(numbers) // 2
        own, others = set(numbers[::2]), {*numbers[1::2], *numbers[:half]}
        rows = [
            replace(OPEN, lines=pack(sorted(own)), state="planned"),
            replace(OPEN, lines=pack(sorted(others)), state="stored"),
            replace(OPEN, lines="1-60", state="merged"),
            replace(OPEN, lines="1-60", hedged=True),
        ]
        held = HeldLines(rows)
        assert {number for number in range(70) if number in held} == set(numbers)
        first, end = sorted(draw.sample(range(70), 2))
        assert held.count(first, end) == sum(first <= number < end for number in numbers)
        part = HeldLines(rows, numbers[half], numbers[-1])
        assert all(number in part for number in numbers[half:-1])
