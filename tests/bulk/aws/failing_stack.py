"""
A stack in which many things fail: what fails depends on a seed and on the action, never on time.

For example, the first call for a line, the second invocation for a shard or the third AWS call of
an invocation fails. The worst cases happen in every run. A killed worker writes nothing more, not
even in a `finally`. A call that AWS throttles may have been done or not.
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

from fanout.aws.dynamodb import TableUnavailable
from fanout.bulk.aws.batch_service import Stores
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.result_store import PAID
from fanout.bulk.aws.s3 import S3BlobStore
from fanout.bulk.aws.step_handlers import StepHandlers
from fanout.bulk.input.planner import Shard, ShardSize
from fanout.bulk.service.records import Job
from fanout.bulk.steps.host import RunnerOptions
from fanout.bulk.work.spec import WorkResult
from fanout.gateway.gateway import Gateway
from fanout.keys.items import Store
from fanout.keys.jobs import KeyAccounts
from fanout.keys.ledger import KeyLedger
from tests.bulk.local_jobs import EchoProvider
from tests.support.gateway_server import RecordingObserver
from tests.support.memory_store import MemoryStore
from tests.support.virtual_clock import now

Step: TypeAlias = Callable[[StepHandlers, float], Coroutine[Any, Any, Any]]
"""What an invocation does, with the seconds that it may take."""

EPOCH = 1_700_000_000.0
NAMES = [f"n{number:03d}" for number in range(90)]
SIZE = ShardSize(15, 1 << 20)
SHARDS = 6
REFUSALS: tuple[tuple[int, ...], ...] = ((), (), (429,), (503,), (429, 503), (429, 429), (503,) * 3)
"""The statuses of a line's calls before one succeeds."""

OUTAGE_AFTER, OUTAGE_SECONDS = 40, 60.0
"""The provider is down for a minute after so many responses."""

LONG = 3600.0
LEASE = 660.0


class Faults(Struct, frozen=True):
    """
    The faults of one invocation.

    It is killed at its n-th response, or at its n-th check, before or after a call to AWS. AWS
    throttles it at another check, and at a random `throttle_share` of all. Its time is up after
    `seconds`.
    """

    kill_at_response: int | None = None
    kill_at_check: int | None = None
    throttle_at_check: int | None = None
    throttle_share: float = 0.0
    seconds: float = LONG


class Invocation:
    """An invocation with its faults; `on_kill` is called when it is killed."""

    def __init__(self, faults: Faults, draw: random.Random) -> None:
        self._faults = faults
        self._draw = draw
        self._checks = self._responses = 0
        self.is_killed = False
        self.throttled = 0
        self.on_kill: Callable[[], object] = lambda: None

    def check(self) -> None:
        """Called before and after each call to AWS."""
        self._checks += 1
        if self._checks == self._faults.kill_at_check:
            self._kill()
        if self.is_killed:
            raise ConnectionError("this worker is killed")
        is_throttled = self._draw.random() < self._faults.throttle_share
        if self._checks == self._faults.throttle_at_check or is_throttled:
            self.throttled += 1
            error = {"Error": {"Code": "ThrottlingException", "Message": "slow down"}}
            raise ClientError(error, "Operation")

    def count_response(self) -> None:
        """Called at each response of the provider."""
        self._responses += 1
        if self._responses == self._faults.kill_at_response:
            self._kill()

    def _kill(self) -> None:
        self.is_killed = True
        self.on_kill()


class FailingClient:
    """A client of AWS whose calls may fail before they are made, and after."""

    def __init__(self, client: Any, invocation: Invocation) -> None:
        self._client = client
        self._invocation = invocation

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(**arguments: Any) -> Any:
            self._invocation.check()
            done = method(**arguments)
            self._invocation.check()
            return done

        return call


class FailingStore:
    """A store of virtual keys whose calls may fail before they are made, and after."""

    def __init__(self, store: Store, invocation: Invocation) -> None:
        self._store = store
        self._invocation = invocation

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            self._check()
            done = await method(*arguments, **options)
            self._check()
            return done

        return call

    def _check(self) -> None:
        try:
            self._invocation.check()
        except (ClientError, ConnectionError):
            raise TableUnavailable("slow down", "ThrottlingException") from None


class FailingStack:
    """A stack and its provider, and what was sent and stored; `calm` are stores without faults."""

    def __init__(self, s3: Any, table: DynamoTable, seed: int) -> None:
        self._seed = seed
        self._s3, self._table = s3, table
        self.calm = self.stores(Invocation(Faults(), self.draw()))
        self.keys = MemoryStore()
        self.provider = EchoProvider()
        self.provider.before = self._respond
        self.calls: Counter[str] = Counter()
        self.responses: Counter[str] = Counter()
        self.refusals = {text: Counter[int]() for text in NAMES}
        self.repeated: set[str] = set()
        self.stored: set[str] = set()
        self.invocations: Counter[object] = Counter()
        self.kills: Counter[object] = Counter()
        self.throttled = self.timed_out = self.outages = 0
        self._down_until: float | None = None
        self._running: dict[object, Invocation] = {}

    def draw(self, *what: object) -> random.Random:
        """Random numbers that are the same for the same thing in each run."""
        return random.Random(f"{self._seed} {what}")  # noqa: S311

    def planned_refusals(self, text: str) -> tuple[int, ...]:
        """The statuses of the line's calls before one succeeds."""
        return self.draw("refusals", text).choice(REFUSALS)

    def stores(self, invocation: Invocation) -> Stores:
        blobs = S3BlobStore(FailingClient(self._s3, invocation), "jobs", "p/")
        client = FailingClient(self._table.client, invocation)
        return Stores(blobs, DynamoTable(client, self._table.name), lambda: EPOCH + now())

    def ledger(self, invocation: Invocation | None = None, later: float = 0.0) -> KeyLedger:
        """The virtual keys, as an invocation sees them; `later` is in seconds."""
        store: Any = FailingStore(self.keys, invocation) if invocation else self.keys
        return KeyLedger(store, lease=LEASE, now=lambda: EPOCH + now() + later)

    async def _respond(self, _model: str, text: str) -> tuple[int, Mapping[str, str]] | None:
        if text in self.stored:
            self.repeated.add(text)
        invocation = self._running[NAMES.index(text) // SIZE.lines]
        draw = self.draw("call", text, self.calls[text])
        self.calls[text] += 1
        await asyncio.sleep(draw.uniform(0.05, 3.0))
        if self._is_down():
            self.outages += 1
            return 503, {}
        planned, refused = self.planned_refusals(text), self.refusals[text].total()
        if refused < len(planned):
            self.refusals[text][planned[refused]] += 1
            return planned[refused], {"retry-after": f"{draw.uniform(0.5, 4.0):.2f}"}
        self.responses[text] += 1
        invocation.count_response()
        return None

    def _is_down(self) -> bool:
        if self._down_until is None and self.responses.total() >= OUTAGE_AFTER:
            self._down_until = now() + OUTAGE_SECONDS
        return self._down_until is not None and now() < self._down_until

    async def read_stored(self, job: Job, shard: Shard) -> None:
        """Note which lines have a stored result: no worker may send them again."""
        blobs = self.calm.blobs
        for key in await blobs.keys(f"jobs/{job.id}/shards/{shard.index:06d}"):
            if key.endswith(PAID):
                continue  # calls of lines without a result
            data = b"".join([chunk async for chunk in blobs.read(key)])
            self.stored |= {json.loads(one)["custom_id"] for one in data.splitlines()}

    def _faults(self, what: object, number: int) -> Faults:
        """
        The faults of the n-th invocation for a shard or a step.

        The first one is killed, but shard 0's runs out of time. The second one is throttled. Of the
        others, half are killed.
        """
        draw = self.draw("invocation", what, number)
        if what == 0 and number == 0:
            return Faults(seconds=3.0)
        if number == 0 and isinstance(what, int) and what % 2:
            return Faults(kill_at_response=draw.randint(1, SIZE.lines))
        if number == 0:
            checks = (12, 18) if isinstance(what, int) else (3, 8)
            return Faults(kill_at_check=draw.randint(*checks))
        if number == 1:
            return Faults(throttle_at_check=draw.randint(3, 8))
        return Faults(
            kill_at_check=draw.randint(8, 60) if draw.random() < 0.5 else None,
            throttle_share=0.01,
            seconds=draw.uniform(3.0, 60.0),
        )

    async def invoke(self, gateway: Gateway, what: object, step: Step) -> Any:
        """Run a function once, for a shard or a step; `None` if it failed."""
        number = self.invocations[what]
        self.invocations[what] += 1
        faults = self._faults(what, number)
        invocation = Invocation(faults, self.draw("throttled", what, number))
        self._running[what] = invocation
        options = RunnerOptions(shard_size=SIZE, grace=0.3)
        stores, observer = self.stores(invocation), RecordingObserver()
        ledger = self.ledger(invocation)
        accounts = KeyAccounts(ledger, gateway.catalog)
        handlers = StepHandlers(gateway, stores, observer, options, accounts=accounts)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_result(step(handlers, faults.seconds)))
            invocation.on_kill = task.cancel
            await asyncio.wait([task])
        self.kills[what] += invocation.is_killed
        self.throttled += invocation.throttled
        result = None if task.cancelled() else task.result()
        self.timed_out += isinstance(result, WorkResult) and result.stop == "time"
        return result

    async def retry(self, gateway: Gateway, what: str, step: Step) -> Any:
        """Run a function until it succeeds, as the state machine's `Retry` does."""
        for _ in range(100):
            if (result := await self.invoke(gateway, what, step)) is not None:
                return result
            await asyncio.sleep(1.0)
        raise AssertionError(f"`{what}` never succeeds")


async def _result(step: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await step
    except Exception:  # noqa: BLE001 -- whatever it is, the state machine retries
        return None
