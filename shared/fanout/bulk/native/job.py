"""What the steps of one job's native batches share: its ledger, its lines, its provider."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Literal, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from ...config.deployment import Deployment
from ...errors import FanoutError, MissingKey
from ...providers.rate_limits import Limits
from ...transport.engine import Incoming
from ...wire.http import WireRequest, WireResponse
from ..pacing.rate_limit_state import RateLimitUnavailable
from ..store import BlobStore, Stop
from .deadline import Deadline
from .eligibility import Eligibility, Route
from .give_up_order import deadlines
from .input_lines import InputLines
from .ledger import BatchEntry, BatchLedger
from .shared_limits import OtherLines

Send: TypeAlias = Callable[[Deployment, WireRequest], Awaitable[WireResponse]]
"""
Sends a request once, with the deployment's first key, and returns the response of any status.

Raises a `FanoutError` without a response. It never repeats a request: a batch may exist twice then.
"""

Open: TypeAlias = Callable[[Deployment, WireRequest], AbstractAsyncContextManager[Incoming]]
"""Sends a request likewise, and has its response as it arrives."""

Reserve: TypeAlias = Callable[[int], "Stop | Literal['wait'] | None"]
"""Reserves so many nanodollars under a job's cost cap, or returns why it does not."""

LearnedLimits: TypeAlias = Callable[[str], Awaitable[Limits | None]]
"""What is known of the limits of a model that has none in the config, for jobs."""

OtherJobs: TypeAlias = Callable[[], Awaitable[Sequence[OtherLines]]]
"""The lines of other open jobs that take turns with the job's at the limits of its models."""

RETRY = 60.0
"""Seconds until a call that had no good response is made again."""

MAX_RETRY_AFTER = 3600.0

NO_KEY = WireResponse(401, {}, b"")
"""What stands for the response to a call without a key."""


async def _nothing(_model: str) -> Limits | None:
    """Nothing is known of any model."""
    return None


async def _alone() -> Sequence[OtherLines]:
    """No other job is open."""
    return ()


class NativeJob(Struct, frozen=True):
    """
    One job. `folder` is the beginning of its blobs' keys, `expires_at` its end.

    `window` is how long it may take, in seconds. `send` has small responses, `open` has files.
    `open_lines` is how many lines have no result yet. `reserve` reserves nanodollars under the
    job's cost cap, or says why it does not; `release` releases them, `charge` takes them from the
    cap for good. `learned` are the `limits` of models as they were last read, and `others` the
    lines of `other_jobs`.
    """

    id: str
    folder: str
    expires_at: float
    window: float
    ledger: BatchLedger
    eligibility: Eligibility
    lines: InputLines
    blobs: BlobStore
    send: Send
    open: Open
    now: Callable[[], float]
    open_lines: Callable[[], int]
    reserve: Reserve = lambda _: None
    release: Callable[[int], None] = lambda _: None
    charge: Callable[[int], None] = lambda _: None
    limits: LearnedLimits = _nothing
    learned: dict[str, Limits] = field(default_factory=dict)
    other_jobs: OtherJobs = _alone
    others: list[OtherLines] = field(default_factory=list)

    def line_id(self, number: int) -> str:
        """A line's id at the provider: never the user's, and other jobs' are different."""
        return f"f{self.id[-8:]}-{number}"

    def number_of(self, line_id: str) -> int | None:
        """The number of a line by its id at the provider; `None` if it is no line of this job."""
        prefix, _, number = line_id.rpartition("-")
        return int(number) if prefix == f"f{self.id[-8:]}" and number.isdecimal() else None

    def route(self, row: BatchEntry) -> Route | None:
        """The route of a row; `None` if the config does not have it any more."""
        return self.eligibility.routes.at(row.model, row.deployment)

    def deadlines(self, rows: Sequence[BatchEntry]) -> Callable[[BatchEntry], Deadline]:
        """From a row to the job's end and what is sent from its turn on; `rows` are all of it."""
        return deadlines(
            rows,
            self.ledger.time,
            self.open_lines(),
            now=self.now(),
            at=self.expires_at,
            window=self.window,
            learned=self.learned,
            other_jobs=self.others,
        )

    async def learn(self, rows: Sequence[BatchEntry]) -> None:
        """Read which jobs share the limits now, and what is known of those not in the config."""
        if any(row.holds_its_lines for row in rows):
            self.others[:] = await self.other_jobs()
        models = {row.model for row in rows if row.holds_its_lines and row.backlog.unlimited}
        for model in sorted(models):
            with suppress(RateLimitUnavailable):  # what was known before is as good
                if (limits := await self.limits(model)) is not None:
                    self.learned[model] = limits

    async def ask(self, route: Route, request: WireRequest) -> WireResponse | None:
        """The response; `None` if there is none."""
        try:
            return await self.send(route.deployment, request)
        except MissingKey:
            return NO_KEY
        except FanoutError:
            return None

    async def later(self, row: BatchEntry, response: WireResponse | None) -> BatchEntry:
        """The row, to be looked at again when the provider allows it."""
        pause = RETRY if response is None else max(RETRY, retry_after(response))
        return await self.ledger.write(replace(row, next_at=self.now() + pause))

    async def give_back(self, row: BatchEntry) -> BatchEntry:
        """The row without any response: its lines are sent by another lane."""
        return await self.ledger.write(replace(row, state="stored", missing=row.count))


def retry_after(response: WireResponse) -> float:
    """The seconds that a response asks for, within an hour; 0 if it asks for none."""
    try:
        seconds = float(response.headers.get("retry-after", 0))
    except ValueError:
        return 0.0
    return min(max(0.0, seconds), MAX_RETRY_AFTER)


def is_good(response: WireResponse | None) -> bool:
    """Whether the provider did what it was asked for."""
    return response is not None and 200 <= response.status < 300  # noqa: PLR2004
