from __future__ import annotations

import asyncio

import pytest

from fanout.concurrency import Call, Cancelled, Failure, race
from tests.support.virtual_clock import now, run
from tests.unit.concurrency.scripted_calls import ScriptedCalls


def test_the_first_success_wins_and_the_others_are_cancelled_at_once() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        result = await race([scripted.call("slow", "s", 2.0), scripted.call("fast", "f", 1.0)])
        assert now() == 1.0
        assert (result.winner, result.value) == (1, "f")
        assert isinstance(result.outcomes[0], Cancelled)
        assert scripted.log[-1] == (1.0, "slow is closed")

    run(main())


def test_a_loser_is_closed_before_the_race_returns_however_long_that_takes() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        slow = scripted.call("slow", "s", 9.0, closing=0.5)
        result = await race([slow, scripted.call("fast", "f", 1.0)])
        assert result.winner == 1
        assert scripted.log[-1] == (1.5, "slow is closed")
        assert now() == 1.5

    run(main())


def test_a_failure_is_skipped_while_others_run() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        error = ValueError("bad")
        result = await race([scripted.call("bad", error), scripted.call("good", "g", 1.0)])
        assert result.value == "g"
        outcome = result.outcomes[0]
        assert isinstance(outcome, Failure)
        assert outcome.error is error

    run(main())


def test_if_all_calls_fail_none_has_won_and_the_errors_are_in_call_order() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        errors = [ValueError("a"), KeyError("b"), OSError("c")]
        calls = [scripted.call(str(i), error, 3.0 - i) for i, error in enumerate(errors)]
        result = await race(calls)
        assert result.winner is None
        assert [f.error for f in result.outcomes if isinstance(f, Failure)] == errors
        with pytest.raises(LookupError, match="no call won"):
            _ = result.value

    run(main())


def test_a_race_without_calls_has_no_winner() -> None:
    calls: list[Call[str]] = []
    result = run(race(calls))
    assert (result.winner, list(result.outcomes)) == (None, [])


@pytest.mark.parametrize("stagger", [0.0, 0.5, None])
def test_one_call_alone_wins_its_race(stagger: float | None) -> None:
    result = run(race([ScriptedCalls().call("only", "o", 1.0)], stagger=stagger))
    assert (result.winner, result.value) == (0, "o")


def test_the_same_call_may_run_twice() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        twin = scripted.call("twin", "t", 1.0)
        result = await race([twin, twin])
        assert result.winner == 0
        assert scripted.events == ["twin starts", "twin starts", "twin is closed"]

    run(main())


# ---- staggered: a hedge ----


def test_a_hedge_starts_the_next_each_time_the_pause_is_over() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        calls = [scripted.call(name, name, 1.2) for name in "abcd"]
        result = await race(calls, stagger=0.5)
        starts = [entry for entry in scripted.log if entry[1].endswith("starts")]
        assert starts == [(0.0, "a starts"), (0.5, "b starts"), (1.0, "c starts")]
        assert (result.winner, now()) == (0, 1.2)
        assert result.outcomes[3] is None

    run(main())


def test_a_hedge_starts_no_other_call_if_the_first_succeeds_within_the_pause() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        await race([scripted.call("a", "a", 0.4), scripted.call("b", "b")], stagger=0.5)
        assert scripted.events == ["a starts"]
        assert now() == 0.4

    run(main())


def test_a_failure_starts_the_next_at_once_and_the_pause_counts_from_that_start() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        calls = [
            scripted.call("a", ValueError(), 0.2),
            scripted.call("b", "b", 5.0),
            scripted.call("c", "c", 1.0),
        ]
        result = await race(calls, stagger=0.5)
        starts = [entry for entry in scripted.log if entry[1].endswith("starts")]
        assert starts == [(0.0, "a starts"), (0.2, "b starts"), (0.7, "c starts")]
        assert (result.winner, now()) == (2, 1.7)

    run(main())


def test_each_of_two_failures_at_the_same_moment_starts_another() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        calls = [
            scripted.call("a", ValueError(), 1.0),
            scripted.call("b", ValueError(), 0.2),
            scripted.call("c", "c", 9.0),
            scripted.call("d", "d", 1.0),
        ]
        result = await race(calls, stagger=0.8)
        starts = [entry for entry in scripted.log if entry[1].endswith("starts")]
        assert starts[2:] == [(1.0, "c starts"), (1.0, "d starts")]
        assert (result.winner, now()) == (3, 2.0)

    run(main())


def test_one_failure_does_not_start_two_calls() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        calls = [scripted.call("a", ValueError()), *(scripted.call(n, n, 9.0) for n in "bcd")]
        await race(calls, stagger=4.0)
        starts = [entry for entry in scripted.log if entry[1].endswith("starts")]
        assert starts == [(0, "a starts"), (0, "b starts"), (4, "c starts"), (8, "d starts")]

    run(main())


def test_a_calls_own_timeout_is_its_failure_and_not_the_pauses_end() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        calls = [scripted.call("a", TimeoutError("its own"), 0.1), scripted.call("b", "b", 0.1)]
        result = await race(calls, stagger=0.5)
        outcome = result.outcomes[0]
        assert isinstance(outcome, Failure)
        assert str(outcome.error) == "its own"
        assert (result.winner, now()) == (1, 0.2)

    run(main())


# ---- one after the other: a fallback ----


def test_a_fallback_starts_the_next_only_when_one_fails_however_long_that_takes() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        calls = [
            scripted.call("a", ValueError(), 3600.0),
            scripted.call("b", ValueError(), 60.0),
            scripted.call("c", "c", 1.0),
            scripted.call("d", "d"),
        ]
        result = await race(calls, stagger=None)
        assert scripted.log == [(0.0, "a starts"), (3600.0, "b starts"), (3660.0, "c starts")]
        assert result.winner == 2
        assert result.outcomes[3] is None

    run(main())


# ---- endings ----


def test_of_two_that_finish_in_the_same_tick_the_second_is_cancelled() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        result = await race([scripted.call("a", "a", 1.0), scripted.call("b", "b", 1.0)])
        assert result.value == "a"
        assert isinstance(result.outcomes[1], Cancelled)

    run(main())


def test_a_value_that_comes_too_late_is_discarded_before_the_race_returns() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        dropped: list[str] = []

        async def discard(value: str) -> None:
            await asyncio.sleep(0.1)
            dropped.append(value)

        late = scripted.uncancellable("late", "l", 5.0)
        result = await race([scripted.call("fast", "f", 1.0), late], discard=discard)
        assert (result.value, dropped, now()) == ("f", ["l"], 1.1)
        assert isinstance(result.outcomes[1], Cancelled)

    run(main())


def test_a_loser_that_fails_after_the_win_counts_as_cancelled() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        sore = scripted.uncancellable("sore", OSError("the connection broke"), 5.0)
        result = await race([sore, scripted.call("fast", "f", 1.0)])
        assert result.value == "f"
        assert isinstance(result.outcomes[0], Cancelled)

    run(main())


def test_without_discard_a_value_that_comes_too_late_is_dropped() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        late = scripted.uncancellable("late", "l", 5.0)
        result = await race([scripted.call("fast", "f", 1.0), late])
        assert result.value == "f"
        assert isinstance(result.outcomes[1], Cancelled)

    run(main())


def test_an_error_in_discard_does_not_change_the_result() -> None:
    async def main() -> None:
        async def discard(value: str) -> None:
            raise OSError(value)

        scripted = ScriptedCalls()
        late = scripted.uncancellable("late", "l", 5.0)
        result = await race([scripted.call("fast", "f", 1.0), late], discard=discard)
        assert result.value == "f"

    run(main())


def test_cancelling_a_race_cancels_every_call_and_waits_for_it() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        calls = [scripted.call(name, name, 9.0, closing=0.5) for name in "ab"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await race(calls)
        assert sorted(scripted.log[2:]) == [(1.5, "a is closed"), (1.5, "b is closed")]

    run(main())


def test_cancelling_the_race_between_two_starts_starts_no_other_call() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        calls = [scripted.call(name, name, 9.0) for name in "ab"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await race(calls, stagger=2.0)
        assert scripted.events == ["a starts", "a is closed"]

    run(main())


def test_the_winner_of_a_cancelled_race_is_discarded() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        dropped: list[str] = []

        async def discard(value: str) -> None:
            dropped.append(value)

        slow = scripted.call("slow", "s", 9.0, closing=1.0)  # closes from 1.0 to 2.0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await race([slow, scripted.call("fast", "f", 1.0)], discard=discard)
        assert dropped == ["f"]

    run(main())
