"""
Slots for the workers of all jobs of a stack: at most half of the account's concurrency.

All functions of an account share its concurrent executions, ten in a new account. A worker takes
a slot of the stack before it sends anything, and ends at once if there is none; the state machine
starts it again later, and later each time. Jobs share the slots equally. The slot of a killed
worker is free when its time is over.

The slots are in groups, each under a partition key of its own: DynamoDB takes 1,000 writes and
3,000 reads a second for one key. A worker looks at one group after another, in random order, and
takes a slot of the first that has one. Each group is shared equally, and so all slots are.
"""

from __future__ import annotations

import random
import secrets
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, Literal
from zlib import crc32

from msgspec import Struct

from .clients import BotoCoreError, ClientError, call
from .dynamodb import DynamoTable, item_key

GROUP = 50
"""
Slots of a group. Its items, with a mark for each waiting shard, are some 6 to 12 KB: reading them
is two or three of DynamoDB's 3,000 units a second.
"""

MAX_GROUPS = 20
"""Groups that a worker looks at before it ends; with more than a thousand slots there are more."""

SLOT, WAITING = "slot#", "waiting#"
FIRST_WAIT, LONGEST_WAIT = 30, 300
"""
Seconds after which a shard without a slot asks again, on average: the first time, and at most.

Each time doubles them, because each costs three state transitions.
"""

MARK_MARGIN = 30
"""Seconds that a shard counts as waiting beyond its wait."""

TTL = 3600
MARGIN = 30
"""Seconds that a worker may hold its slot beyond its own time limit."""

ATTEMPTS = 5
"""Slots that others may take first before a worker looks at no group twice."""

NEW_ACCOUNT = 10
"""
Concurrent executions of a new account, the fewest that there are.

See https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html.
"""


class WorkerLimits(Struct, frozen=True):
    """
    The workers of one job, and the slots of all jobs together.

    A limit of 0 is none: the account's is unknown.
    """

    workers: int
    slots: int = 0


def divide(wanted: int, account: int | None, jobs: int = 1) -> WorkerLimits:
    """
    The limits with `wanted` workers a job and this concurrency of the account, for one of `jobs`.

    A worker that finds no slot is still an execution for a moment, so a job that starts
    beside others gets fewer workers.
    """
    if account is None:
        return WorkerLimits(wanted)
    slots = max(account // 2, 1)
    return WorkerLimits(max(min(wanted, slots // max(jobs, 1)), 1), slots)


async def read_account_limit(client: Any) -> int | None:
    """
    The concurrency that no function of the account reserves; `None` if it may not be read.

    See https://docs.aws.amazon.com/lambda/latest/api/API_GetAccountSettings.html.
    """
    try:
        settings = await call(client.get_account_settings)
    except (BotoCoreError, ClientError):
        return None
    limit: int = settings["AccountLimit"]["UnreservedConcurrentExecutions"]
    return limit


class SlotRequest(Struct, frozen=True):
    """A shard whose worker asks for a slot, after it has waited so many times."""

    job: str
    shard: int
    waits: int = 0

    @property
    def mark(self) -> str:
        return f"{WAITING}{self.job}#{self.shard}"

    def draw_wait(self) -> int:
        """Return the seconds until it asks again; shards that ask together do not ask so again."""
        mean = min(FIRST_WAIT << min(self.waits, 10), LONGEST_WAIT)
        return round(mean * random.uniform(0.5, 1.5))  # noqa: S311


class NoSlot(Struct, frozen=True):
    """
    A worker's result if there was no slot: it has sent nothing, and `left` lines are left.

    The shard waits for `wait` seconds, the time number `waits`.
    """

    left: int
    wait: int
    waits: int
    done: int = 0
    failed: int = 0
    stop: Literal["slots"] = "slots"


class _Group(Struct, frozen=True):
    """Some of the slots, by number, and the key of their partition."""

    kind: str
    slots: range


class _SlotUse(Struct, frozen=True):
    """What a group's items say: the job of each taken slot, and of each shard that waits."""

    taken: dict[str, str]
    waiting: dict[str, str]

    def free(self, job: str, slots: range) -> list[str]:
        """The slots that the job may take: beyond its share, none that others wait for."""
        held, waiting = Counter(self.taken.values()), Counter(self.waiting.values())
        free = [name for n in slots if (name := f"{SLOT}{n:05d}") not in self.taken]
        share = max(len(slots) // len({job, *held, *waiting}), 1)
        if held[job] < share:
            return free
        missing = (
            min(shards, max(share - held[other], 0))
            for other, shards in waiting.items()
            if other != job
        )
        return free if len(free) > sum(missing) else []


class WorkerSlots:
    """The slots in a stack's table."""

    def __init__(self, table: DynamoTable, now: Callable[[], float]) -> None:
        self._table = table
        self._now = now

    async def limits(
        self, wanted: int, account: int | None, starting: Collection[str]
    ) -> WorkerLimits:
        """
        The limits for a job with `wanted` workers in an account with so much concurrency.

        It shares them with the jobs that hold or wait for a slot, and with those that are
        `starting`. A job whose execution was stopped, or that waits for a provider, does neither.
        """
        found = set(starting)
        for group in _groups(divide(wanted, account).slots):
            seen = await self._read(group)
            found |= {*seen.taken.values(), *seen.waiting.values()}
        return divide(wanted, account, len(found))

    @asynccontextmanager
    async def slot(self, request: SlotRequest, slots: int, seconds: float) -> AsyncIterator[int]:
        """
        Take one of `slots` for the block, at most for so long.

        Yields the seconds after which to ask again, or 0 if there was one.
        """
        if not slots:
            yield 0
            return
        token = secrets.token_hex(8)
        groups = _groups(slots)
        own = groups[crc32(request.mark.encode()) % len(groups)]
        key = await self._take(request, groups, own, token, seconds)
        if key is None:
            wait = request.draw_wait()
            mark = self._item(
                item_key(own.kind, request.mark), request.job, self._now() + wait + MARK_MARGIN
            )
            await self._table.write_if(self._table.client.put_item, Item=mark)
            yield wait
            return
        try:
            if request.waits:
                await self._table.delete(own.kind, request.mark)
            yield 0
        finally:
            await self._table.write_if(
                self._table.client.delete_item,
                Key=key,
                ConditionExpression="holder = :token",
                ExpressionAttributeValues={":token": {"S": token}},
            )

    async def _take(
        self,
        request: SlotRequest,
        groups: list[_Group],
        own: _Group,
        token: str,
        seconds: float,
    ) -> dict[str, Any] | None:
        """The key of the slot that was taken, if there was one: first where the shard waited."""
        queue = deque(random.sample(groups, min(len(groups), MAX_GROUPS)))
        if request.waits:
            queue.appendleft(own)
        lost = 0
        while queue:
            group = queue.popleft()
            seen = await self._read(group)
            if free := seen.free(request.job, group.slots):
                # Random, so that workers seldom choose the same.
                key = item_key(group.kind, random.choice(free))  # noqa: S311
                if await self._put_if_free(key, request.job, token, seconds):
                    return key
                if (lost := lost + 1) < ATTEMPTS:
                    queue.append(group)
        return None

    async def _put_if_free(self, key: dict[str, Any], job: str, token: str, seconds: float) -> bool:
        now = self._now()
        done = await self._table.write_if(
            self._table.client.put_item,
            Item=self._item(key, job, now + seconds + MARGIN) | {"holder": {"S": token}},
            ConditionExpression="attribute_not_exists(kind) OR valid_until < :now",
            ExpressionAttributeValues={":now": {"N": f"{now:.3f}"}},
        )
        return done is not None

    async def _read(self, group: _Group) -> _SlotUse:
        seen = _SlotUse({}, {})
        async for item in self._table.items(group.kind):
            name, holder = item["id"]["S"], item["job"]["S"]
            if float(item["valid_until"]["N"]) < self._now():
                continue
            (seen.taken if name.startswith(SLOT) else seen.waiting)[name] = holder
        return seen

    @staticmethod
    def _item(key: dict[str, Any], job: str, until: float) -> dict[str, Any]:
        return key | {
            "job": {"S": job},
            "valid_until": {"N": f"{until:.3f}"},
            "ttl": {"N": str(int(until) + TTL)},
        }


def _groups(slots: int) -> list[_Group]:
    """All groups. A slot is always in the same one, however many there are."""
    return [
        _Group(f"workers#{first // GROUP:03d}", range(first, min(first + GROUP, slots)))
        for first in range(0, slots, GROUP)
    ]
