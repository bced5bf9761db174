"""The rows of a race by its events, with a clock of the test, and the bars drawn from them."""

from __future__ import annotations

import pytest

from fanout.cli.race_timeline import RaceTimeline, TimelineRow
from fanout.cli.race_view import WIDTH, bar, time_span
from fanout.routing.leg import Leg
from fanout.schema.chat import Usage


class Stopwatch:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Stopwatch:
    return Stopwatch()


def leg(model: str) -> Leg:
    return Leg(model, "req_1")


def test_a_row_goes_from_waiting_to_won(clock: Stopwatch) -> None:
    timeline, a = RaceTimeline(["a"], clock=clock), leg("a")
    row = timeline.rows[0]
    assert row.status == "waiting"
    timeline.started(a)
    assert row.status == "sent"
    clock.now += 0.25
    timeline.first_token(a)
    assert row.status == "first token at 250 ms"
    clock.now += 1.25
    a.usage = Usage(prompt_tokens=1, completion_tokens=8, total_tokens=9)
    timeline.ended(a, "ok", None)
    assert row.status == "won in 1.50 s, first token at 250 ms, 8 tokens"


def test_models_in_flight_at_the_end_of_the_race_are_cancelled(clock: Stopwatch) -> None:
    timeline = RaceTimeline(["a", "b"], clock=clock)
    timeline.started(leg("a"))
    clock.now += 2
    timeline.finish()
    assert [row.status for row in timeline.rows] == ["cancelled at 2.00 s", "not started"]


def test_a_final_state_does_not_change(clock: Stopwatch) -> None:
    timeline, a = RaceTimeline(["a"], clock=clock), leg("a")
    timeline.started(a)
    timeline.first_token(a)
    timeline.mark_winner("a")
    clock.now += 1
    timeline.ended(a, "cancelled", None)
    timeline.finish()
    assert timeline.rows[0].status == "won in 0 ms, first token at 0 ms"


def test_a_model_that_is_named_twice_has_two_rows(clock: Stopwatch) -> None:
    timeline, first, second = RaceTimeline(["a", "a"], clock=clock), leg("a"), leg("a")
    timeline.started(second)
    timeline.started(first)
    timeline.first_token(first)
    assert [row.state for row in timeline.rows] == ["sent", "streaming"]


def test_a_retry_keeps_the_row_and_its_start_time(clock: Stopwatch) -> None:
    timeline, a = RaceTimeline(["a"], clock=clock), leg("a")
    timeline.started(a)
    clock.now += 1
    timeline.ended(a, "failed", ValueError("a bug's words are not for the screen"))
    assert timeline.rows[0].status.startswith("failed: an internal error")
    timeline.started(a)
    assert (timeline.rows[0].state, timeline.rows[0].started_at) == ("sent", 0.0)


def test_each_change_is_reported_with_its_time(clock: Stopwatch) -> None:
    changes: list[tuple[str, float]] = []
    timeline = RaceTimeline(
        ["a"], clock=clock, on_change=lambda row, now: changes.append((row.state, now))
    )
    a = leg("a")
    timeline.started(a)
    clock.now += 0.5
    timeline.first_token(a)
    timeline.ended(a, "ok", None)
    assert changes == [("sent", 0.0), ("streaming", 0.5), ("won", 0.5)]


@pytest.mark.parametrize(
    ("seconds", "span"),
    [(0, 1), (0.2, 1), (1, 1), (1.01, 2), (3, 5), (9.9, 10), (11, 20), (60, 100)],
)
def test_the_time_axis_grows_in_round_steps(seconds: float, span: float) -> None:
    assert time_span(seconds) == span


def drawn(row: TimelineRow, now: float, span: float) -> str:
    return "".join(text for text, _ in bar(row, now, span))


def test_a_bar_is_thin_before_the_first_token_and_thick_after_it() -> None:
    row = TimelineRow("a", "won", started_at=0.0, first_token_at=0.25, ended_at=0.5)
    quarter = WIDTH // 4
    assert drawn(row, 9.0, 1.0) == "─" * quarter + "━" * quarter + "●" + " " * (2 * quarter)


def test_the_bar_of_a_model_in_flight_ends_now() -> None:
    row = TimelineRow("a", "sent", started_at=0.5)
    half = WIDTH // 2
    assert drawn(row, 1.0, 1.0) == " " * half + "─" * half + "╸"


def test_every_bar_is_as_wide_as_the_time_axis() -> None:
    rows = [
        TimelineRow("a"),
        TimelineRow("b", "failed", started_at=0.1, ended_at=0.9),
        TimelineRow("c", "cancelled", started_at=0.0, first_token_at=0.33, ended_at=1.0),
    ]
    assert {len(drawn(row, 1.0, 1.0)) for row in rows} == {WIDTH + 1}
