"""What a worker is given, and what it returns."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import cache, partial

from msgspec import Struct, field

from ...config.catalog import Catalog
from ...routing.retry_policy import RetryPolicy
from ..activity import ActivityTracker
from ..costs import Costs
from ..input.flex_lines import offers_flex
from ..input.line_order import LineOrder
from ..input.line_parser import Line
from ..input.planner import LineError
from ..lanes import CacheChoice
from ..model_totals import named_models
from ..pacing.adaptive_concurrency import INITIAL_CONCURRENCY, MAX_CONCURRENCY
from ..pacing.flex_lane import FlexLane
from ..pacing.line_attempt import SendLine
from ..pacing.prefix_state import CacheRules
from ..service.records import Job
from ..store import BlobStore, JobProgress, ResultStore, Stop
from ..totals import LineCost

MAX_BYTES_IN_FLIGHT = 64 * 1024 * 1024
"""Bytes of the lines in flight together; a longer line is sent when no other is in flight."""

GRACE = 5.0
"""Seconds that the lines in flight have left once the job is cancelled."""

GIVE_UP_AFTER = 600.0
"""Seconds for which a line is retried while its provider is down or responds with 429."""

SYNC_INTERVAL = 1.0
"""Seconds between two times that a worker stores what it holds and reads the job's state."""


class WorkSpec(Struct, frozen=True):
    """
    What a worker needs to know of its job; times are in seconds, `expires_at` since 1970.

    `first_sync` is the time until the first sync, if it differs from `sync_interval`. `cache` is
    what the job does about providers' caches.
    """

    input_key: str
    default_model: str | None = None
    give_up_after: float = GIVE_UP_AFTER
    grace: float = GRACE
    max_concurrency: int = MAX_CONCURRENCY
    initial_concurrency: int = INITIAL_CONCURRENCY
    sync_interval: float = SYNC_INTERVAL
    first_sync: float | None = None
    max_bytes_in_flight: int = MAX_BYTES_IN_FLIGHT
    expires_at: float | None = None
    models: frozenset[str] = frozenset()
    cache: CacheChoice = "off"


class WorkerResources(Struct, frozen=True):
    """
    What a worker uses.

    `cost` returns what a response cost, `estimate` the nanodollars that a line of so many bytes may
    cost. `activity` is what the worker does at this moment, `flex` which lines are on a flex tier.
    Lines whose number `is_held` wait for a native batch. `cache_rules` are those of a model,
    `order` is the order of the lines of all shards. Without one, the lines of each shard are
    ordered, if the job's `cache` is not `off`.
    """

    send: SendLine
    blobs: BlobStore
    results: ResultStore
    progress: JobProgress
    cost: Callable[[object], LineCost] = lambda _: LineCost(0)
    estimate: Callable[[Line, int], int] = lambda _line, _size: 0
    activity: ActivityTracker = field(default_factory=lambda: ActivityTracker(time.time))
    retry: RetryPolicy = RetryPolicy(random.random, base=1.0, cap=20.0)
    flex: FlexLane | None = None
    is_held: Callable[[int], bool] = lambda _number: False
    cache_rules: Callable[[str], CacheRules] = lambda _: CacheRules()
    order: LineOrder | None = None


def flex_lane(job: Job, catalog: Catalog, now: Callable[[], float]) -> FlexLane:
    """How a worker of the job uses the flex tiers of its models; `now` is in seconds since 1970."""
    started = job.created_at if job.in_progress_at is None else job.in_progress_at
    offers = cache(partial(offers_flex, catalog))
    return FlexLane(job.lane, offers, now, started, job.expires_at, job.total)


def line_cost(job: Job, costs: Costs) -> Callable[[object], LineCost]:
    """What a response cost; of a virtual key's job also what each model did."""
    if job.account is None:
        return costs.cost_of
    return partial(costs.cost_by_model, named_models(job.models))


class WorkResult(Struct, frozen=True, omit_defaults=True):
    """
    The counts of lines at a worker's end.

    `remaining` lines have no result yet, beside the `held` ones; `stop` is why the worker left
    them; if every call was rejected, `rejection` says why.
    """

    done: int
    failed: int
    remaining: int = field(name="left")  # as in the Lambda function's result
    stop: Stop | None
    rejection: LineError | None = field(default=None, name="refusal")
    held: int = 0
