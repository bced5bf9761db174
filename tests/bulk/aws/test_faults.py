"""
Nothing lost, nothing paid twice, over S3 and DynamoDB: workers die, AWS throttles, providers storm.

In virtual time, with chance from a seed. A worker that dies writes nothing more, whatever its
`finally` would; a call that AWS throttles was done or was not, and the worker is not told which.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, TypeAlias

import msgspec
import pytest
from botocore.exceptions import ClientError

from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.host import AWSBulk, Stores
from fanout.bulk.aws.machine import Machine
from fanout.bulk.aws.s3 import S3Blobs
from fanout.bulk.jobs import NewJob
from fanout.bulk.plan import Shard, ShardSize, each_line
from fanout.bulk.records import Job
from fanout.bulk.run import Options
from fanout.compose import open_gateway
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway import Gateway
from fanout.settings import Settings
from tests.bulk.stage import CONFIG, Teller, jsonl, line
from tests.served import Notes
from tests.virtual_clock import now, run_threads_at_once

Step: TypeAlias = Callable[[Machine], Coroutine[Any, Any, Any]]

EPOCH = 1_700_000_000.0
NAMES = [f"n{number:03d}" for number in range(90)]
SIZE = ShardSize(15, 1 << 20)
WORKERS = 3
STORM, DOWN = (0.0, 4.0), (8.0, 68.0)
"""When the provider says 429 to everybody, and the minute in which it is down."""

DOOMED = 6
"""Lives that end early whatever chance says."""


class Fate:
    """When a worker dies, and how often AWS throttles it; `mourn` is called at its death."""

    def __init__(self, chance: random.Random, throttled: float, calls: int | None = None) -> None:
        self._chance = chance
        self._throttled = throttled
        self._calls = calls
        self.is_dead = False
        self.mourn: Callable[[], object] = lambda: None

    def meet(self) -> None:
        if self._calls is not None:
            self._calls -= 1
            if self._calls < 0 and not self.is_dead:
                self.is_dead = True
                self.mourn()
        if self.is_dead:
            raise ConnectionError("this worker is dead")
        if self._chance.random() < self._throttled:
            said = {"Error": {"Code": "ThrottlingException", "Message": "slow down"}}
            raise ClientError(said, "Operation")


class Mortal:
    """A client of AWS in the hands of fate, before each call and behind it."""

    def __init__(self, client: Any, fate: Fate) -> None:
        self._client = client
        self._fate = fate

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(**arguments: Any) -> Any:
            self._fate.meet()
            done = method(**arguments)
            self._fate.meet()
            return done

        return call


class World:
    """A stack, its provider's weather, and what was asked and answered."""

    def __init__(self, s3: Any, table: DynamoTable, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 -- the same in each run
        self._s3, self._table = s3, table
        self.calm = self.stores(Fate(self.chance, 0.0))
        self.teller = Teller()
        self.teller.before = self._weather
        self.answered: Counter[str] = Counter()
        self.refused: Counter[int] = Counter()
        self.repeated: set[str] = set()
        self.stored: set[str] = set()
        self.deaths = 0
        self.lives = 0
        self.storm_until = STORM[1]

    def stores(self, fate: Fate) -> Stores:
        blobs = S3Blobs(Mortal(self._s3, fate), "jobs", "p/")
        table = DynamoTable(Mortal(self._table.client, fate), self._table.name)
        return Stores(blobs, table, lambda: EPOCH + now())

    async def _weather(self, _model: str, text: str) -> tuple[int, Mapping[str, str]] | None:
        if text in self.stored:
            self.repeated.add(text)
        await asyncio.sleep(self.chance.uniform(0.05, 3.0))
        if DOWN[0] <= now() < DOWN[1]:
            self.refused[503] += 1
            return 503, {}
        if self.chance.random() < 0.02:
            self.storm_until = now() + 4.0
        if now() < self.storm_until:
            self.refused[429] += 1
            return 429, {"retry-after": f"{self.storm_until - now():.2f}"}
        self.answered[text] += 1
        return None

    async def read_stored(self, job: Job, shard: Shard) -> None:
        """What is on the shelf by now: nobody may ask for it again."""
        blobs = self.calm.blobs
        for key in await blobs.keys(f"jobs/{job.id}/shards/{shard.index:06d}"):
            data = b"".join([piece async for piece in blobs.read(key)])
            self.stored |= {json.loads(one)["custom_id"] for one in data.splitlines()}

    async def once(self, gateway: Gateway, step: Step) -> Any:
        """One life of a function, as the state machine's `Retry` sees it: `None` if it failed."""
        self.lives += 1
        dies = self.lives <= DOOMED or self.chance.random() < 0.5
        fate = Fate(self.chance, 0.01, self.chance.randrange(8, 60) if dies else None)
        machine = Machine(gateway, self.stores(fate), Notes(), Options(shards=SIZE, grace=0.3))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_life(step(machine)))
            fate.mourn = task.cancel
            await asyncio.wait([task])
        self.deaths += fate.is_dead
        return None if task.cancelled() else task.result()

    async def until_done(self, gateway: Gateway, step: Step) -> Any:
        """Again and again, as long as it fails."""
        for _ in range(100):
            if (outcome := await self.once(gateway, step)) is not None:
                return outcome
            await asyncio.sleep(1.0)
        raise AssertionError("it never came to an end")


async def _life(step: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await step
    except Exception:  # noqa: BLE001 -- whatever it was, `Retry` begins anew
        return None


async def _work(job_id: str, shard: Shard, seconds: float, machine: Machine) -> Any:
    return await machine.work(job_id, shard, seconds)


async def execute(world: World, gateway: Gateway, job: Job) -> None:
    """The state machine: plan, rounds of work over every shard, finish."""
    planned = await world.until_done(gateway, lambda machine: machine.plan(job.id))
    source = world.calm.blobs.read(planned.manifest)
    shards = [msgspec.json.decode(raw, type=Shard) async for _, _, _, raw in each_line(source)]
    assert len(shards) == len(NAMES) / SIZE.lines
    while (await world.until_done(gateway, lambda machine: machine.finish(job.id))).next == "work":
        places = asyncio.Semaphore(WORKERS)

        async def one(shard: Shard, places: asyncio.Semaphore = places) -> None:
            async with places:
                for _ in range(2):  # the second is a redrive
                    await world.read_stored(job, shard)
                    seconds = world.chance.uniform(3.0, 60.0)  # time runs out
                    await world.once(gateway, partial(_work, job.id, shard, seconds))

        async with asyncio.TaskGroup() as group:
            for shard in shards:
                group.create_task(one(shard))


@pytest.mark.parametrize("seed", [0, 2])
def test_a_job_in_the_worst_of_all_clouds_answers_every_line_once(
    s3: Any, table: DynamoTable, seed: int
) -> None:
    world = World(s3, table, seed)

    async def main() -> None:
        catalog = resolve(check(CONFIG, {}), {})
        settings = Settings()
        async with open_gateway(settings, catalog=catalog, engine=world.teller) as gateway:
            started: list[str] = []
            bulk = AWSBulk(world.calm, lambda job_id: _note(started, job_id))
            job = await _create(bulk)
            await execute(world, gateway, job)
            await world.until_done(gateway, lambda machine: machine.finish(job.id))
            ended = await bulk.jobs.find(job.id, None)
            assert (ended.status, ended.total, ended.error_file_id) == ("completed", 90, None)
            assert ended.tally is not None
            assert (ended.tally.done, ended.tally.failed) == (90, 0)
            file = await bulk.files.find(str(ended.output_file_id), None)
            data = b"".join([piece async for piece in bulk.files.content(file)])
            said = Counter(json.loads(one)["custom_id"] for one in data.splitlines())
            assert said == dict.fromkeys(NAMES, 1)

    run_threads_at_once(main(), 0.003)
    assert world.repeated == set(), "a stored answer was asked for again"
    assert set(world.answered) == set(NAMES)
    assert world.deaths >= DOOMED // 2, "nothing was proven"
    assert min(world.refused[503], world.refused[429]) >= 5, "nothing was proven"


async def _note(started: list[str], job_id: str) -> None:
    started.append(job_id)


async def _create(bulk: AWSBulk) -> Job:
    async def pieces() -> Any:
        yield jsonl(line(name) for name in NAMES)

    key = bulk.files.new_key()
    await bulk.files.blobs.write(key, pieces())
    file = await bulk.files.keep(key, "in.jsonl", "batch", "master")
    asked = NewJob(input_file_id=file.id, endpoint="/v1/chat/completions")
    return await bulk.jobs.create(asked, "master", None)
