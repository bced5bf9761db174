"""The lanes of a race, by events and a clock of the test's own; and how they are drawn."""

from __future__ import annotations

import pytest

from fanout.cli.race_timeline import RaceTimeline, TimelineRow
from fanout.cli.race_view import WIDTH, bar_of, time_span
from fanout.routing.leg import Leg
from fanout.schema.chat import Usage


class Stopwatch:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Stopwatch:
    return Stopwatch()


def leg(model: str) -> Leg:
    return Leg(model, "req_1")


def test_a_lane_goes_from_waiting_to_won(clock: Stopwatch) -> None:
    lanes, a = RaceTimeline(["a"], clock=clock), leg("a")
    lane = lanes.lanes[0]
    assert lane.words == "waiting"
    lanes.started(a)
    assert lane.words == "asked"
    clock.now += 0.25
    lanes.first_token(a)
    assert lane.words == "first token at 250 ms"
    clock.now += 1.25
    a.usage = Usage(prompt_tokens=1, completion_tokens=8, total_tokens=9)
    lanes.ended(a, "ok", None)
    assert lane.words == "won in 1.50 s, first token at 250 ms, 8 tokens"


def test_what_still_runs_when_the_race_is_over_was_cancelled(clock: Stopwatch) -> None:
    lanes = RaceTimeline(["a", "b"], clock=clock)
    lanes.started(leg("a"))
    clock.now += 2
    lanes.settle()
    assert [lane.words for lane in lanes.lanes] == ["cancelled at 2.00 s", "not started"]


def test_how_a_lane_ended_is_not_told_anew(clock: Stopwatch) -> None:
    lanes, a = RaceTimeline(["a"], clock=clock), leg("a")
    lanes.started(a)
    lanes.first_token(a)
    lanes.won("a")
    clock.now += 1
    lanes.ended(a, "cancelled", None)
    lanes.settle()
    assert lanes.lanes[0].words == "won in 0 ms, first token at 0 ms"


def test_a_name_that_is_asked_twice_has_two_lanes(clock: Stopwatch) -> None:
    lanes, first, second = RaceTimeline(["a", "a"], clock=clock), leg("a"), leg("a")
    lanes.started(second)
    lanes.started(first)
    lanes.first_token(first)
    assert [lane.state for lane in lanes.lanes] == ["asked", "talking"]


def test_a_retry_is_the_same_lane_and_the_time_runs_on(clock: Stopwatch) -> None:
    lanes, a = RaceTimeline(["a"], clock=clock), leg("a")
    lanes.started(a)
    clock.now += 1
    lanes.ended(a, "failed", ValueError("a bug's words are not for the screen"))
    assert lanes.lanes[0].words.startswith("failed: an internal error")
    lanes.started(a)
    assert (lanes.lanes[0].state, lanes.lanes[0].asked_at) == ("asked", 0.0)


def test_each_move_is_told_with_its_moment(clock: Stopwatch) -> None:
    told: list[tuple[str, float]] = []
    lanes = RaceTimeline(["a"], clock=clock, tell=lambda lane, now: told.append((lane.state, now)))
    a = leg("a")
    lanes.started(a)
    clock.now += 0.5
    lanes.first_token(a)
    lanes.ended(a, "ok", None)
    assert told == [("asked", 0.0), ("talking", 0.5), ("won", 0.5)]


@pytest.mark.parametrize(
    ("seconds", "span"),
    [(0, 1), (0.2, 1), (1, 1), (1.01, 2), (3, 5), (9.9, 10), (11, 20), (60, 100)],
)
def test_the_time_line_grows_in_round_steps(seconds: float, span: float) -> None:
    assert time_span(seconds) == span


def drawn(lane: TimelineRow, now: float, span: float) -> str:
    return "".join(text for text, _ in bar_of(lane, now, span))


def test_a_bar_is_thin_while_it_waits_and_thick_once_it_talks() -> None:
    lane = TimelineRow("a", "won", asked_at=0.0, first_at=0.25, ended_at=0.5)
    quarter = WIDTH // 4
    assert drawn(lane, 9.0, 1.0) == "─" * quarter + "━" * quarter + "●" + " " * (2 * quarter)


def test_a_bar_that_goes_on_ends_now() -> None:
    lane = TimelineRow("a", "asked", asked_at=0.5)
    half = WIDTH // 2
    assert drawn(lane, 1.0, 1.0) == " " * half + "─" * half + "╸"


def test_every_bar_is_as_wide_as_the_time_line() -> None:
    lanes = [
        TimelineRow("a"),
        TimelineRow("b", "failed", asked_at=0.1, ended_at=0.9),
        TimelineRow("c", "cancelled", asked_at=0.0, first_at=0.33, ended_at=1.0),
    ]
    assert {len(drawn(lane, 1.0, 1.0)) for lane in lanes} == {WIDTH + 1}
