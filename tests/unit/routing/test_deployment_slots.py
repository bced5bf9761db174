"""Calls to deployments with `max_parallel_requests` take turns, and hold nothing meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from fanout.concurrency import FairLimiter, Share
from fanout.config.deployment import Balancing, Deployment, make_deployment
from fanout.config.model import ModelParams
from fanout.errors import Busy, ErrorDetail, RateLimited
from fanout.routing.deployment_slots import PATIENCE
from fanout.routing.leg import Leg
from fanout.routing.load_balancing import DeploymentGroup
from tests.support.virtual_clock import now, run

PATIENT = None


def deployment(name: str, limit: int | None) -> Deployment:
    given = ModelParams(model="openai/m", api_key="k", max_parallel_requests=limit)
    return make_deployment("m", given, {}, {}, name)


def group(*limits: int | None, **settings: Any) -> DeploymentGroup:
    """A model name with deployments of these limits; the ids are `m#0`, `m#1` and so on."""
    return DeploymentGroup(
        [deployment(str(number), limit) for number, limit in enumerate(limits)],
        now=asyncio.get_running_loop().time,
        rng=lambda: 0.0,
        settings=Balancing(**settings),
    )


@asynccontextmanager
async def called(
    deployments: DeploymentGroup, share: Share, request: str, avoid: AbstractSet[str] = frozenset()
) -> AsyncIterator[str]:
    """The slots of a call, as the router takes them; the value is the deployment's id."""
    slots, slot = Leg("m", request, slots=share).call_slots(deployments, avoid)
    async with slots, slot as deployment:
        yield deployment.id


async def call(
    deployments: DeploymentGroup, share: Share, seconds: float = 1.0, request: str = ""
) -> tuple[float, str]:
    """A call; returns when it started, and at which deployment."""
    async with called(deployments, share, request) as deployment_id:
        started = now()
        await asyncio.sleep(seconds)
    return started, deployment_id


def starts(tasks: Sequence[asyncio.Task[tuple[float, str]]]) -> list[float]:
    return [task.result()[0] for task in tasks]


def test_keys_take_turns_however_many_calls_of_one_wait() -> None:
    async def main() -> None:
        limiter, one = FairLimiter(800), group(1)
        async with asyncio.TaskGroup() as tasks:
            for number in range(20):
                share = limiter.share(1, "busy", PATIENT, "job")
                tasks.create_task(call(one, share, request=str(number)))
            await asyncio.sleep(0.5)
            others = [
                tasks.create_task(call(one, limiter.share(1, key, PATIENT, key)))
                for key in ("x", "x", "y")
            ]
        assert starts(others) == [1.0, 4.0, 2.0]

    run(main())


def test_jobs_and_requests_of_a_key_take_turns_however_many_calls_of_one_wait() -> None:
    async def main() -> None:
        limiter, one = FairLimiter(800), group(1)
        large = limiter.share(400, "key")
        async with asyncio.TaskGroup() as tasks:
            for _ in range(20):
                tasks.create_task(call(one, limiter.share(1, "key\njobs", PATIENT, "large")))
                tasks.create_task(call(one, large, request="large"))
            await asyncio.sleep(0.5)
            share = limiter.share(1, "key\njobs", PATIENT, "small")
            line = tasks.create_task(call(one, share))
            chat = tasks.create_task(call(one, limiter.share(1, "key"), request="chat"))
        assert starts([line, chat]) == [2.0, 3.0]

    run(main())


def test_a_list_of_calls_goes_on_while_new_requests_of_its_key_keep_coming() -> None:
    async def main() -> None:
        limiter, two = FairLimiter(800), group(2)
        large = limiter.share(400, "key")
        async with asyncio.TaskGroup() as tasks:
            calls = [tasks.create_task(call(two, large, 0.5, "list")) for _ in range(8)]
            chats = []
            for number in range(100):
                await asyncio.sleep(0.25)
                share = limiter.share(1, "key", 1.0)
                chats.append(tasks.create_task(call(two, share, 0.5, str(number))))
        assert max(starts(calls)) <= 8.0
        late = [one - 0.25 * number for number, one in enumerate(starts(chats), 1)]
        assert max(late) <= 2.5

    run(main())


def test_one_job_alone_uses_every_slot() -> None:
    async def main() -> None:
        limiter, one = FairLimiter(800, divided=True), group(4)
        async with asyncio.TaskGroup() as tasks:
            made = [
                tasks.create_task(call(one, limiter.share(1, "key\njobs", PATIENT, "job")))
                for _ in range(8)
            ]
        assert starts(made) == [0.0] * 4 + [1.0] * 4

    run(main())


def test_calls_that_wait_for_a_deployment_hold_no_slot_of_the_gateway() -> None:
    async def main() -> None:
        limiter, narrow = FairLimiter(8), group(2)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(100):
                tasks.create_task(call(narrow, limiter.share(1, "key\njobs", PATIENT, "job")))
            await asyncio.sleep(0.5)
            assert limiter.free == 6
            async with limiter.share(1):
                assert now() == 0.5

    run(main())


def test_calls_that_wait_for_a_slot_of_the_gateway_hold_no_deployment() -> None:
    async def main() -> None:
        limiter, narrow = FairLimiter(4, divided=True), group(1)
        busy = [limiter.share(1, "busy") for _ in range(3)]
        async with asyncio.TaskGroup() as tasks:
            for share in busy:
                tasks.create_task(call(group(None), share, 9.0))
            await asyncio.sleep(0.5)
            waiting = tasks.create_task(call(narrow, limiter.share(1, "busy"), request="1"))
            await asyncio.sleep(0.5)
            other = tasks.create_task(call(narrow, limiter.share(1, "other"), request="2"))
        assert (other.result()[0], waiting.result()[0]) == (1.0, 9.0)

    run(main())


def test_the_deployment_that_is_free_first_is_called() -> None:
    async def main() -> None:
        limiter, both = FairLimiter(800), group(1, 1)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(call(both, limiter.share(1), 60.0))
            tasks.create_task(call(both, limiter.share(1), 2.0))
            later = [tasks.create_task(call(both, limiter.share(1), 1.0)) for _ in range(2)]
        assert [task.result() for task in later] == [(2.0, "m#1"), (3.0, "m#1")]

    run(main())


def test_a_deployment_whose_cooldown_ends_is_called_while_the_other_is_full() -> None:
    async def main() -> None:
        limiter, both = FairLimiter(800), group(1, 1)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(call(both, limiter.share(1), 60.0))
            await asyncio.sleep(0)
            error = RateLimited(deployment("1", 1), ErrorDetail("no"), retry_after=5.0)
            both.failed(deployment("1", 1), error)
            later = tasks.create_task(call(both, limiter.share(1)))
        started, deployment_id = later.result()
        assert deployment_id == "m#1"
        assert started == pytest.approx(5.0, abs=0.1)

    run(main())


def test_a_request_that_cannot_start_soon_gets_a_429_and_a_line_of_a_job_waits() -> None:
    async def main() -> None:
        limiter, one = FairLimiter(800), group(1)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(call(one, limiter.share(1), 60.0))
            line = tasks.create_task(call(one, limiter.share(1, "jobs", PATIENT, "job")))
            await asyncio.sleep(0)
            with pytest.raises(Busy, match="max_parallel_requests") as raised:
                await call(one, limiter.share(1, "key", 1.0), request="chat")
            assert (now(), raised.value.status, raised.value.retry_after) == (PATIENCE, 429, 1.0)
            assert not line.done()
        assert line.result()[0] == 60.0

    run(main())


def test_a_request_waits_as_shortly_for_the_gateway_as_without_a_limit_of_the_deployment() -> None:
    async def main() -> None:
        limiter, one = FairLimiter(1), group(1)
        async with limiter.share(1):
            with pytest.raises(Busy, match="global_max_parallel_requests"):
                await call(one, limiter.share(1, "key", 1.0), request="chat")
            assert now() == 1.0

    run(main())


def test_a_request_whose_first_call_has_started_waits_for_the_others() -> None:
    async def main() -> None:
        limiter, one = FairLimiter(800), group(1)
        share = limiter.share(400, "key", 1.0)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(call(one, limiter.share(1, "x"), 5.0))
            made = [tasks.create_task(call(one, share, 20.0, "list")) for _ in range(3)]
        assert starts(made) == [5.0, 25.0, 45.0]

    run(main())


class Arrival(Struct, frozen=True):
    """A call: when it comes, whose it is, how long it takes, and when it is cancelled."""

    at: float
    key: str
    job: str
    seconds: float
    cancelled_after: float | None
    avoid: int | None

    @property
    def avoids(self) -> AbstractSet[str]:
        return frozenset() if self.avoid is None else frozenset({f"m#{self.avoid}"})


TIMES = st.integers(0, 40).map(lambda tenths: tenths / 10)
ARRIVALS = st.lists(
    st.builds(
        Arrival,
        at=TIMES,
        key=st.sampled_from("xyz"),
        job=st.sampled_from(["", "", "j", "k"]),
        seconds=st.integers(1, 40).map(lambda tenths: tenths / 10),
        cancelled_after=st.none() | TIMES,
        avoid=st.none() | st.sampled_from([0, 1]),
    ),
    max_size=30,
)


class Traffic:
    """These calls, of which some are cancelled or rejected, and what must hold at each moment."""

    def __init__(self, limits: Sequence[int | None], size: int, *, divided: bool) -> None:
        self.limits = limits
        self.size = size
        self.limiter = FairLimiter(size, divided=divided)
        self.group = group(*limits)
        self.running: list[str] = []
        self.waiting: dict[str, tuple[Share, AbstractSet[str]]] = {}

    async def run(self, arrivals: Sequence[Arrival]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number, one in enumerate(arrivals):
                tasks.create_task(self.arrive(str(number), one))
            await asyncio.sleep(0.05)
            for _ in range(150):
                self.check()  # between the moments at which calls start and end
                await asyncio.sleep(0.1)

    async def arrive(self, name: str, one: Arrival) -> None:
        await asyncio.sleep(one.at)
        share = self.limiter.share(1, one.key, None if one.job else 1.0, one.job)
        self.waiting[name] = share, one.avoids
        try:
            async with (
                asyncio.timeout(one.cancelled_after),
                called(self.group, share, name, one.avoids) as deployment_id,
            ):
                del self.waiting[name]
                self.running.append(deployment_id)
                try:
                    await asyncio.sleep(one.seconds)
                finally:
                    self.running.remove(deployment_id)
        except TimeoutError:
            assert one.cancelled_after is not None
        except Busy:
            assert not one.job
            assert now() >= one.at + 1.0
        finally:
            self.waiting.pop(name, None)

    def check(self) -> None:
        assert self.limiter.free == self.size - len(self.running)
        for number, limit in enumerate(self.limits):
            assert limit is None or self.running.count(f"m#{number}") <= limit
        for share, avoids in self.waiting.values():
            assert not (share.may_take and self.group.has_free(avoids))

    async def check_end(self) -> None:
        """Every slot is free again."""
        assert (self.running, self.waiting, self.limiter.free) == ([], {}, self.size)
        free = sum(limit or 0 for limit in self.limits)
        unlimited = {f"m#{number}" for number, limit in enumerate(self.limits) if limit is None}
        async with AsyncExitStack() as stack:
            for _ in range(free):
                await stack.enter_async_context(self.group.slot(unlimited))
            assert len(unlimited) == len(self.limits) or not self.group.has_free(unlimited)


@given(
    arrivals=ARRIVALS,
    limits=st.lists(st.integers(1, 3) | st.none(), min_size=2, max_size=3),
    size=st.integers(2, 12),
    divided=st.booleans(),
)
def test_no_limit_is_exceeded_no_slot_is_lost_and_no_call_waits_beside_free_slots(
    arrivals: list[Arrival], limits: list[int | None], size: int, *, divided: bool
) -> None:
    async def main() -> None:
        traffic = Traffic(limits, size, divided=divided)
        await traffic.run(arrivals)
        await traffic.check_end()

    run(main())
