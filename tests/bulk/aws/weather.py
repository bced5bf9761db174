"""
The weather of a stack: what goes wrong hangs on a seed and on what is done, never on when.

It is the first ask of a line, the second life of a shard, the third call of a life that fares so or
so, and the worst of it happens in every run. A worker that dies writes nothing more, whatever its
`finally` would; a call that AWS throttles was done or was not, and the worker is not told which.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

from botocore.exceptions import ClientError
from msgspec import Struct

from fanout.bulk.aws.batch_service import Stores
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.s3 import S3BlobStore
from fanout.bulk.aws.step_handlers import StepHandlers
from fanout.bulk.input.planner import Shard, ShardSize
from fanout.bulk.runner import RunnerOptions
from fanout.bulk.service.records import Job
from fanout.bulk.work.spec import WorkResult
from fanout.gateway.gateway import Gateway
from tests.bulk.local_jobs import EchoProvider
from tests.support.gateway_server import RecordingObserver
from tests.support.virtual_clock import now

Step: TypeAlias = Callable[[StepHandlers, float], Coroutine[Any, Any, Any]]
"""What a life does, with the seconds that it has."""

EPOCH = 1_700_000_000.0
NAMES = [f"n{number:03d}" for number in range(90)]
SIZE = ShardSize(15, 1 << 20)
SHARDS = 6
REFUSALS: tuple[tuple[int, ...], ...] = ((), (), (429,), (503,), (429, 503), (429, 429), (503,) * 3)
"""What a line may meet before it is answered, one refusal an ask."""

DOWN_FROM, DOWN_FOR = 40, 60.0
"""The provider gives so many answers, and then none for a minute."""

FOREVER = 3600.0


class Lot(Struct, frozen=True):
    """
    What a life meets: it dies at its n-th answer or n-th half of a call to AWS, which throttles it
    at another one, and at so many as `often` says; its time is over after `seconds`.
    """

    answers: int | None = None
    calls: int | None = None
    throttled: int | None = None
    often: float = 0.0
    seconds: float = FOREVER


class Fate:
    """A life and its lot; `mourn` is called at its death."""

    def __init__(self, lot: Lot, chance: random.Random) -> None:
        self._lot = lot
        self._chance = chance
        self._calls = self._answers = 0
        self.is_dead = False
        self.throttled = 0
        self.mourn: Callable[[], object] = lambda: None

    def meet(self) -> None:
        """Before and behind each call to AWS."""
        self._calls += 1
        if self._calls == self._lot.calls:
            self._die()
        if self.is_dead:
            raise ConnectionError("this worker is dead")
        if self._calls == self._lot.throttled or self._chance.random() < self._lot.often:
            self.throttled += 1
            said = {"Error": {"Code": "ThrottlingException", "Message": "slow down"}}
            raise ClientError(said, "Operation")

    def hear(self) -> None:
        """At each answer."""
        self._answers += 1
        if self._answers == self._lot.answers:
            self._die()

    def _die(self) -> None:
        self.is_dead = True
        self.mourn()


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
        self._seed = seed
        self._s3, self._table = s3, table
        self.calm = self.stores(Fate(Lot(), self.chance()))
        self.provider = EchoProvider()
        self.provider.before = self._weather
        self.asked: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.refused_lines = {text: Counter[int]() for text in NAMES}
        self.repeated: set[str] = set()
        self.stored: set[str] = set()
        self.lives: Counter[object] = Counter()
        self.deaths: Counter[object] = Counter()
        self.throttled = self.timed_out = self.down = 0
        self._down_until: float | None = None
        self._living: dict[object, Fate] = {}

    def chance(self, *what: object) -> random.Random:
        """The same for the same thing in each run."""
        return random.Random(f"{self._seed} {what}")  # noqa: S311

    def refusals(self, text: str) -> tuple[int, ...]:
        """What the line meets before it is answered."""
        return self.chance("refusals", text).choice(REFUSALS)

    def stores(self, fate: Fate) -> Stores:
        blobs = S3BlobStore(Mortal(self._s3, fate), "jobs", "p/")
        table = DynamoTable(Mortal(self._table.client, fate), self._table.name)
        return Stores(blobs, table, lambda: EPOCH + now())

    async def _weather(self, _model: str, text: str) -> tuple[int, Mapping[str, str]] | None:
        if text in self.stored:
            self.repeated.add(text)
        fate = self._living[NAMES.index(text) // SIZE.lines]
        chance = self.chance("ask", text, self.asked[text])
        self.asked[text] += 1
        await asyncio.sleep(chance.uniform(0.05, 3.0))
        if self._is_down():
            self.down += 1
            return 503, {}
        met = sum(self.refused_lines[text].values())
        if met < len(self.refusals(text)):
            status = self.refusals(text)[met]
            self.refused_lines[text][status] += 1
            return status, {"retry-after": f"{chance.uniform(0.5, 4.0):.2f}"}
        self.answered[text] += 1
        fate.hear()
        return None

    def _is_down(self) -> bool:
        if self._down_until is None and self.answered.total() >= DOWN_FROM:
            self._down_until = now() + DOWN_FOR
        return self._down_until is not None and now() < self._down_until

    async def read_stored(self, job: Job, shard: Shard) -> None:
        """What is on the shelf by now: nobody may ask for it again."""
        blobs = self.calm.blobs
        for key in await blobs.keys(f"jobs/{job.id}/shards/{shard.index:06d}"):
            data = b"".join([piece async for piece in blobs.read(key)])
            self.stored |= {json.loads(one)["custom_id"] for one in data.splitlines()}

    def _lot(self, what: object, life: int) -> Lot:
        """
        Every first life ends early, of shard 0 by its time, and every second one is throttled.

        Of the others half die.
        """
        chance = self.chance("life", what, life)
        if what == 0 and life == 0:
            return Lot(seconds=3.0)
        if life == 0 and isinstance(what, int) and what % 2:
            return Lot(answers=chance.randint(1, SIZE.lines))
        if life == 0:
            return Lot(calls=chance.randint(*((12, 18) if isinstance(what, int) else (3, 8))))
        if life == 1:
            return Lot(throttled=chance.randint(3, 8))
        calls = chance.randint(8, 60) if chance.random() < 0.5 else None
        return Lot(calls=calls, often=0.01, seconds=chance.uniform(3.0, 60.0))

    async def once(self, gateway: Gateway, what: object, step: Step) -> Any:
        """One life of a function, as the state machine's `Retry` sees it: `None` if it failed."""
        life = self.lives[what]
        self.lives[what] += 1
        lot = self._lot(what, life)
        fate = self._living[what] = Fate(lot, self.chance("throttled", what, life))
        machine = StepHandlers(
            gateway,
            self.stores(fate),
            RecordingObserver(),
            RunnerOptions(shard_size=SIZE, grace=0.3),
        )
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_life(step(machine, lot.seconds)))
            fate.mourn = task.cancel
            await asyncio.wait([task])
        self.deaths[what] += fate.is_dead
        self.throttled += fate.throttled
        done = None if task.cancelled() else task.result()
        self.timed_out += isinstance(done, WorkResult) and done.stop == "time"
        return done

    async def until_done(self, gateway: Gateway, what: str, step: Step) -> Any:
        """Again and again, as long as it fails."""
        for _ in range(100):
            if (outcome := await self.once(gateway, what, step)) is not None:
                return outcome
            await asyncio.sleep(1.0)
        raise AssertionError("it never came to an end")


async def _life(step: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await step
    except Exception:  # noqa: BLE001 -- whatever it was, `Retry` begins anew
        return None
