from __future__ import annotations

import asyncio

import pytest

from fanout.concurrency import Call, Cancelled, Failure, race
from tests.support.virtual_clock import now, run
from tests.unit.concurrency.stage import Stage


def test_the_first_success_wins_and_the_others_are_cancelled_at_once() -> None:
    async def main() -> None:
        stage = Stage()
        contest = await race([stage.call("slow", "s", 2.0), stage.call("fast", "f", 1.0)])
        assert now() == 1.0
        assert (contest.winner, contest.value) == (1, "f")
        assert isinstance(contest.fates[0], Cancelled)
        assert stage.log[-1] == (1.0, "slow is closed")

    run(main())


def test_a_loser_is_closed_before_the_race_returns_however_long_that_takes() -> None:
    async def main() -> None:
        stage = Stage()
        slow = stage.call("slow", "s", 9.0, closing=0.5)
        contest = await race([slow, stage.call("fast", "f", 1.0)])
        assert contest.winner == 1
        assert stage.log[-1] == (1.5, "slow is closed")
        assert now() == 1.5

    run(main())


def test_a_failure_is_skipped_while_others_run() -> None:
    async def main() -> None:
        stage = Stage()
        error = ValueError("bad")
        contest = await race([stage.call("bad", error), stage.call("good", "g", 1.0)])
        assert contest.value == "g"
        fate = contest.fates[0]
        assert isinstance(fate, Failure)
        assert fate.error is error

    run(main())


def test_when_all_fail_nobody_has_won_and_the_causes_are_in_call_order() -> None:
    async def main() -> None:
        stage = Stage()
        errors = [ValueError("a"), KeyError("b"), OSError("c")]
        calls = [stage.call(str(i), error, 3.0 - i) for i, error in enumerate(errors)]
        contest = await race(calls)
        assert contest.winner is None
        assert [f.error for f in contest.fates if isinstance(f, Failure)] == errors
        with pytest.raises(LookupError, match="nobody won"):
            _ = contest.value

    run(main())


def test_a_race_of_nobody_is_won_by_nobody() -> None:
    calls: list[Call[str]] = []
    contest = run(race(calls))
    assert (contest.winner, list(contest.fates)) == (None, [])


@pytest.mark.parametrize("stagger", [0.0, 0.5, None])
def test_one_call_alone_wins_its_race(stagger: float | None) -> None:
    contest = run(race([Stage().call("only", "o", 1.0)], stagger=stagger))
    assert (contest.winner, contest.value) == (0, "o")


def test_the_same_call_may_run_twice() -> None:
    async def main() -> None:
        stage = Stage()
        twin = stage.call("twin", "t", 1.0)
        contest = await race([twin, twin])
        assert contest.winner == 0
        assert stage.said == ["twin starts", "twin starts", "twin is closed"]

    run(main())


# ---- staggered: a hedge ----


def test_a_hedge_starts_the_next_each_time_the_pause_is_over() -> None:
    async def main() -> None:
        stage = Stage()
        calls = [stage.call(name, name, 1.2) for name in "abcd"]
        contest = await race(calls, stagger=0.5)
        starts = [entry for entry in stage.log if entry[1].endswith("starts")]
        assert starts == [(0.0, "a starts"), (0.5, "b starts"), (1.0, "c starts")]
        assert (contest.winner, now()) == (0, 1.2)
        assert contest.fates[3] is None

    run(main())


def test_a_hedge_that_is_answered_in_time_starts_nobody_else() -> None:
    async def main() -> None:
        stage = Stage()
        await race([stage.call("a", "a", 0.4), stage.call("b", "b")], stagger=0.5)
        assert stage.said == ["a starts"]
        assert now() == 0.4

    run(main())


def test_a_failure_starts_the_next_at_once_and_the_pause_counts_from_that_start() -> None:
    async def main() -> None:
        stage = Stage()
        calls = [
            stage.call("a", ValueError(), 0.2),
            stage.call("b", "b", 5.0),
            stage.call("c", "c", 1.0),
        ]
        contest = await race(calls, stagger=0.5)
        starts = [entry for entry in stage.log if entry[1].endswith("starts")]
        assert starts == [(0.0, "a starts"), (0.2, "b starts"), (0.7, "c starts")]
        assert (contest.winner, now()) == (2, 1.7)

    run(main())


def test_each_of_two_failures_at_the_same_moment_starts_another() -> None:
    async def main() -> None:
        stage = Stage()
        calls = [
            stage.call("a", ValueError(), 1.0),
            stage.call("b", ValueError(), 0.2),
            stage.call("c", "c", 9.0),
            stage.call("d", "d", 1.0),
        ]
        contest = await race(calls, stagger=0.8)
        starts = [entry for entry in stage.log if entry[1].endswith("starts")]
        assert starts[2:] == [(1.0, "c starts"), (1.0, "d starts")]
        assert (contest.winner, now()) == (3, 2.0)

    run(main())


def test_a_failure_long_ago_does_not_start_two() -> None:
    async def main() -> None:
        stage = Stage()
        calls = [stage.call("a", ValueError()), *(stage.call(n, n, 9.0) for n in "bcd")]
        await race(calls, stagger=4.0)
        starts = [entry for entry in stage.log if entry[1].endswith("starts")]
        assert starts == [(0, "a starts"), (0, "b starts"), (4, "c starts"), (8, "d starts")]

    run(main())


def test_a_calls_own_timeout_is_its_failure_and_not_the_pauses_end() -> None:
    async def main() -> None:
        stage = Stage()
        calls = [stage.call("a", TimeoutError("its own"), 0.1), stage.call("b", "b", 0.1)]
        contest = await race(calls, stagger=0.5)
        fate = contest.fates[0]
        assert isinstance(fate, Failure)
        assert str(fate.error) == "its own"
        assert (contest.winner, now()) == (1, 0.2)

    run(main())


# ---- one after the other: a fallback ----


def test_a_fallback_starts_the_next_only_when_one_fails_however_long_that_takes() -> None:
    async def main() -> None:
        stage = Stage()
        calls = [
            stage.call("a", ValueError(), 3600.0),
            stage.call("b", ValueError(), 60.0),
            stage.call("c", "c", 1.0),
            stage.call("d", "d"),
        ]
        contest = await race(calls, stagger=None)
        assert stage.log == [(0.0, "a starts"), (3600.0, "b starts"), (3660.0, "c starts")]
        assert contest.winner == 2
        assert contest.fates[3] is None

    run(main())


# ---- endings ----


def test_of_two_that_finish_in_the_same_tick_the_second_is_cancelled() -> None:
    async def main() -> None:
        stage = Stage()
        contest = await race([stage.call("a", "a", 1.0), stage.call("b", "b", 1.0)])
        assert contest.value == "a"
        assert isinstance(contest.fates[1], Cancelled)

    run(main())


def test_a_value_that_comes_too_late_is_discarded_before_the_race_returns() -> None:
    async def main() -> None:
        stage = Stage()
        dropped: list[str] = []

        async def discard(value: str) -> None:
            await asyncio.sleep(0.1)
            dropped.append(value)

        late = stage.stubborn("late", "l", 5.0)
        contest = await race([stage.call("fast", "f", 1.0), late], discard=discard)
        assert (contest.value, dropped, now()) == ("f", ["l"], 1.1)
        assert isinstance(contest.fates[1], Cancelled)

    run(main())


def test_a_loser_that_ends_badly_is_still_only_cancelled() -> None:
    async def main() -> None:
        stage = Stage()
        sore = stage.stubborn("sore", OSError("the connection broke"), 5.0)
        contest = await race([sore, stage.call("fast", "f", 1.0)])
        assert contest.value == "f"
        assert isinstance(contest.fates[0], Cancelled)

    run(main())


def test_a_value_that_comes_too_late_is_only_forgotten_where_nothing_discards_it() -> None:
    async def main() -> None:
        stage = Stage()
        late = stage.stubborn("late", "l", 5.0)
        contest = await race([stage.call("fast", "f", 1.0), late])
        assert contest.value == "f"
        assert isinstance(contest.fates[1], Cancelled)

    run(main())


def test_a_discard_that_fails_is_nobodys_fault() -> None:
    async def main() -> None:
        async def discard(value: str) -> None:
            raise OSError(value)

        stage = Stage()
        late = stage.stubborn("late", "l", 5.0)
        contest = await race([stage.call("fast", "f", 1.0), late], discard=discard)
        assert contest.value == "f"

    run(main())


def test_cancelling_the_caller_reaches_every_call_and_waits_for_it() -> None:
    async def main() -> None:
        stage = Stage()
        calls = [stage.call(name, name, 9.0, closing=0.5) for name in "ab"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await race(calls)
        assert sorted(stage.log[2:]) == [(1.5, "a is closed"), (1.5, "b is closed")]

    run(main())


def test_cancelling_the_caller_between_two_starts_starts_nobody_else() -> None:
    async def main() -> None:
        stage = Stage()
        calls = [stage.call(name, name, 9.0) for name in "ab"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await race(calls, stagger=2.0)
        assert stage.said == ["a starts", "a is closed"]

    run(main())


def test_a_winner_without_a_caller_is_discarded() -> None:
    async def main() -> None:
        stage = Stage()
        dropped: list[str] = []

        async def discard(value: str) -> None:
            dropped.append(value)

        slow = stage.call("slow", "s", 9.0, closing=1.0)  # closes from 1.0 to 2.0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await race([slow, stage.call("fast", "f", 1.0)], discard=discard)
        assert dropped == ["f"]

    run(main())
