import asyncio

import pytest

from tests.support.virtual_clock import now, run


def test_an_hour_passes_at_once_and_exactly() -> None:
    async def main() -> list[float]:
        seen = []
        for seconds in (3600, 0.25):
            await asyncio.sleep(seconds)
            seen.append(now())
        return seen

    assert run(main()) == [3600.0, 3600.25]


def test_timers_fire_in_the_order_of_their_times() -> None:
    seen: list[tuple[str, float]] = []

    async def wait(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((name, now()))

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for name, seconds in (("late", 2.0), ("early", 1.0), ("first", 0.0)):
                group.create_task(wait(name, seconds))

    run(main())

    assert seen == [("first", 0.0), ("early", 1.0), ("late", 2.0)]


def test_a_deadlock_is_an_error_and_not_a_hang() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(AssertionError, match="deadlock"):
        run(main())
