from __future__ import annotations

import asyncio

import pytest

from fanout.concurrency import Failure, Success, attempt
from tests.support.virtual_clock import run
from tests.unit.concurrency.scripted_calls import ScriptedCalls


def test_an_attempt_turns_a_failure_into_a_value() -> None:
    error = ValueError("bad")
    outcome = run(attempt(ScriptedCalls().call("a", error)))
    assert isinstance(outcome, Failure)
    assert outcome.error is error


def test_an_attempt_gives_what_the_call_gives() -> None:
    outcome = run(attempt(ScriptedCalls().call("a", 7)))
    assert isinstance(outcome, Success)
    assert outcome.value == 7


def test_cancellation_is_not_an_outcome() -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await attempt(ScriptedCalls().call("a", "a", 9.0))

    run(main())
