"""
The ledger of a job's native batches: what was asked of a provider, before it is asked.

A row has the numbers of its lines, so that no line needs a row of its own: a line's fate follows
from the state of the last row that has it. A row is written five times in its life, and once for
each look at a batch that runs: every five minutes, on AWS less often. For a batch of 5,000 lines
that takes a day, that is 0.06 writes a line; 0.005 if it takes an hour. The rows are
records of the host's store, SQLite on a laptop and DynamoDB on AWS; each write is conditional on
what was read before.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from ...providers.native_batch import BatchState, Fault
from ...wire import json
from ..store import RecordStore
from .numbers import unpack
from .realtime import Backlog, PlannedTime

KIND = "native"
PAGE = 100

EntryState: TypeAlias = Literal[
    "planned", "sent", "lost", "parked", "open", "cancelling", "ended", "stored", "merged"
]
"""
`planned`: no batch was asked for. `sent`: it is being asked for. `lost`: it was, and no response
says whether it exists. `parked`: it may be one of several. `open`: it runs. `cancelling`: it is to
end. `ended`: its rows are to be fetched. `stored`: they are here. `merged`: they are in the job's
results, and what has none is sent by another lane.
"""

AT_THE_PROVIDER: frozenset[EntryState] = frozenset({"sent", "lost", "parked", "open", "cancelling"})
"""States in which a batch may run, so that its lines may be billed."""


class BatchEntry(Struct, frozen=True, omit_defaults=True):
    """
    A native batch's entry. Times are in seconds since 1970, money in nanodollars.

    `key` is its label at the provider, `deployment` the digest of the deployment whose account it
    is of, which `is_gone` if the config does not have it any more. `lines` are the numbers of its
    `count` lines, `estimate` is what they may cost in real time, `backlog` how long they take then.
    `attempt` counts the batches that its lines were in, with this one. `source` is the uploaded
    input, `sent_at` when its creation was sent, `first_sent_at` the same of one that was not found,
    `searches` how often it was looked for and not found, `candidates` the ids of which one may be
    it, `foreign` those that turned out to be somebody else's. `give_up_at` is when it is cancelled,
    or when its lines are sent in real time if it is being cancelled. `outputs` and `ended_as` are
    those of its end, `fetches` is how often lines were missing in its files, `shards` are those
    with rows of it; `parts` counts the blobs of shards that have several.
    `missing` counts the lines without a result of it that no further batch has. `unclear` are the
    numbers of lines that may be billed twice: they are in no file of it and may have run, or the
    batch was created twice. `charged` is what these may have cost so, which the cost cap covers.
    If it is `hedged`, its lines are sent again although it may have run them: `twice` is how many
    have both responses, `wasted` what the unused ones cost. `expires_at` is the job's end; a store
    may delete the row a month after it.
    """

    number: int
    key: str
    deployment: str
    model: str
    lines: str
    count: int
    estimate: int = 0
    backlog: Backlog = Backlog()
    state: EntryState = "planned"
    next_at: float = 0.0
    attempt: int = 1
    source: str | None = None
    sent_at: float | None = None
    first_sent_at: float | None = None
    searches: int = 0
    candidates: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    id: str | None = None
    opened_at: float | None = None
    give_up_at: float | None = None
    cancelled_at: float | None = None
    ended_at: float | None = None
    ended_as: BatchState | None = None
    outputs: tuple[str, ...] = ()
    fault: Fault | None = None
    fetches: int = 0
    shards: tuple[int, ...] = ()
    parts: dict[int, int] = {}
    hedged: bool = False
    is_gone: bool = False
    succeeded: int = 0
    failed: int = 0
    missing: int = 0
    unclear: str = ""
    charged: int = 0
    repeated: int = 0
    orphans: int = 0
    twice: int = 0
    wasted: int = 0
    expires_at: float | None = None

    @property
    def numbers(self) -> list[int]:
        return unpack(self.lines)

    def parts_of(self, shard: int) -> int:
        """How many blobs of result lines a shard has."""
        return self.parts.get(shard, 1)

    @property
    def in_vain(self) -> int:
        """Nanodollars that the batch has cost, or may have, for lines that it gave no result."""
        return self.charged + self.wasted

    @property
    def may_run(self) -> bool:
        """Whether there may be a batch that is not over."""
        return self.state in AT_THE_PROVIDER

    @property
    def is_to_cancel(self) -> bool:
        """Whether there may be a batch that runs until it is cancelled, and that can be."""
        return (
            self.may_run
            and self.state != "parked"  # which may be another program's
            and self.cancelled_at is None
            and not self.is_gone
        )

    @property
    def holds_its_lines(self) -> bool:
        """Whether its lines may not be sent by another lane."""
        return self.state != "merged" and not self.hedged


class LedgerChanged(Exception):
    """Another process has changed the row: what was read is old."""


class _Head(Struct, frozen=True):
    """The first record of a job: all of its rows are there."""

    is_planned: bool = True
    time: PlannedTime = PlannedTime()


class BatchLedger:
    """The rows of one job."""

    def __init__(self, records: RecordStore, job: str) -> None:
        self._records = records
        self._job = job
        self._read: dict[int, bytes] = {}
        self.time = PlannedTime()
        """What all lines of the job take in real time, as it was when `rows` was called."""

    def _key(self, number: int) -> str:
        return f"{self._job}/{number:06d}"

    async def is_planned(self) -> bool:
        """Whether all rows of the job were added."""
        return await self._records.get(KIND, self._key(0)) is not None

    async def plan(self, rows: list[BatchEntry], time: PlannedTime) -> None:
        """
        Add the first rows, unless another process has done so meanwhile.

        Nothing is asked of a provider before all of them are there.
        """
        if await self.is_planned():
            return
        await self.clear()
        for row in rows:
            await self.add(row)
        await self._records.put(KIND, self._key(0), json.encode(_Head(time=time)), None)

    async def add(self, row: BatchEntry) -> None:
        """Add a row; one that exists already stays."""
        await self._records.put(KIND, self._key(row.number), json.encode(row), None)

    async def rows(self) -> list[BatchEntry]:
        """All rows, by number."""
        found: list[BatchEntry] = []
        self._read = {}
        for key, raw in await self._list():
            if key.endswith("/000000"):
                self.time = json.decode(raw, type=_Head).time
            else:
                row = json.decode(raw, type=BatchEntry)
                self._read[row.number] = raw
                found.append(row)
        return found

    async def known_ids(self) -> frozenset[str]:
        """The ids of the batches of all jobs' rows."""
        found: set[str] = set()
        after: str | None = None
        while True:
            page = await self._records.list(KIND, after=after, limit=PAGE, newest_first=False)
            for key, raw in page:
                row = None if key.endswith("/000000") else json.decode(raw, type=BatchEntry)
                if row is not None and row.id is not None:
                    found.add(row.id)
            if len(page) < PAGE:
                return frozenset(found)
            after = page[-1][0]

    async def write(self, row: BatchEntry) -> BatchEntry:
        """Replace a row that was read; raises `LedgerChanged` if it is another now."""
        raw = json.encode(row)
        old = self._read.get(row.number)
        if old is None or not await self._records.put(KIND, self._key(row.number), raw, old):
            raise LedgerChanged
        self._read[row.number] = raw
        return row

    async def clear(self) -> None:
        """Delete all rows, the head first."""
        for key, _ in await self._list():
            await self._records.delete(KIND, key)

    async def _list(self) -> list[tuple[str, bytes]]:
        found: list[tuple[str, bytes]] = []
        after = f"{self._job}/"
        while True:
            page = await self._records.list(KIND, after=after, limit=PAGE, newest_first=False)
            own = [(key, raw) for key, raw in page if key.startswith(f"{self._job}/")]
            found += own
            if len(own) < PAGE:
                return found
            after = own[-1][0]
