"""What a client asks of a new batch: the fields, and the check of each."""

from __future__ import annotations

import re

from msgspec import Struct

from ...errors import RequestError
from ...telemetry.prices import to_nanodollars
from ..input import lines
from ..lanes import (
    CacheChoice,
    LaneChoice,
    OrderChoice,
    choose_cache,
    choose_lane,
    choose_order,
)
from .files import MONTH
from .webhooks import NewWebhook

HOUR = 3600
MAX_COST_CAP = 1_000_000_000
"""Dollars; stores can count this many in nanodollars."""

MIN_WINDOW, MAX_WINDOW = HOUR, 14 * 24 * HOUR
MAX_PAIRS, MAX_NAME, MAX_VALUE = 16, 64, 512
"""Of a batch's `metadata`; OpenAI has the same limits."""


class BatchOptions(Struct, frozen=True, kw_only=True):
    """The `fanout` object of a batch: how its lines are sent, and whether its input file stays."""

    lane: str | None = None
    webhook: NewWebhook | None = None
    keep_input: bool = True
    native: str | None = None
    cache: str | None = None
    order: str | None = None


class NewJob(Struct, frozen=True, kw_only=True):
    """
    The body of `POST /v1/batches`: OpenAI's fields, and Fanout's.

    Fanout's are `model`, `max_cost_usd`, `dry_run` and `fanout`.
    """

    input_file_id: str
    endpoint: str
    completion_window: str = "24h"
    metadata: dict[str, str] | None = None
    output_expires_after: dict[str, str | int] | None = None
    model: str | None = None
    max_cost_usd: float | None = None
    dry_run: bool = False
    fanout: BatchOptions | None = None

    @property
    def lane(self) -> LaneChoice:
        """The lane of the job's lines; raises `RequestError` for one that there is not."""
        given = self.fanout.lane if self.fanout else None
        return choose_lane(given, parse_window(self.completion_window))

    @property
    def cache(self) -> CacheChoice:
        """What is done about caches; raises `RequestError` for a choice that there is not."""
        return choose_cache(self.fanout.cache if self.fanout else None)

    @property
    def order(self) -> OrderChoice:
        """The order of the job's files; raises `RequestError` for one that there is not."""
        return choose_order(self.fanout.order if self.fanout else None)


def check_endpoint(new: NewJob) -> None:
    """Raise `RequestError` unless a batch may have this endpoint."""
    if new.endpoint not in lines.URLS | lines.EMBEDDING_URLS:
        wanted = f"{lines.ENDPOINT} or {lines.EMBEDDINGS}"
        raise RequestError(f"`endpoint` must be {wanted}", "endpoint")


LEAST_COST_CAP = 1e-9
"""US dollars: costs are counted in billionths."""


def cost_cap(dollars: float | None, name: str = "max_cost_usd") -> int | None:
    """The nanodollars of a cap; raises `RequestError` about the field or option `name`."""
    if dollars is None:
        return None
    if not dollars > 0:
        raise RequestError(f"`{name}` must be above 0", name)
    if dollars < LEAST_COST_CAP:
        raise RequestError(f"`{name}` must be at least a billionth of a US dollar (1e-9)", name)
    if dollars > MAX_COST_CAP:
        raise RequestError(f"`{name}` must be at most {MAX_COST_CAP}", name)
    return to_nanodollars(dollars)


def parse_window(text: str, name: str = "completion_window") -> int:
    """The seconds of a `completion_window`, from `1h` to `14d`; errors are about `name`."""
    found = re.fullmatch(r"([1-9]\d{0,3})([hd])", text)
    seconds = int(found[1]) * (HOUR if found[2] == "h" else 24 * HOUR) if found else 0
    if not MIN_WINDOW <= seconds <= MAX_WINDOW:
        raise RequestError(f"`{name}` must be between `1h` and `14d`, such as `24h`", name)
    return seconds


def parse_lifetime(given: dict[str, str | int] | None, param: str) -> int | None:
    """The seconds of an `expires_after`, or `None`."""
    if given is None:
        return None
    try:
        seconds = int(given.get("seconds", 0))
    except ValueError:
        seconds = 0
    if given.get("anchor") != "created_at" or not HOUR <= seconds <= MONTH:
        raise RequestError(
            f"`{param}` must have `anchor: created_at` and `seconds` from {HOUR} to {MONTH}", param
        )
    return seconds


def check_metadata(metadata: dict[str, str] | None) -> None:
    """Raise `RequestError` for metadata that OpenAI does not accept."""
    pairs = metadata or {}
    if len(pairs) > MAX_PAIRS or any(
        len(name) > MAX_NAME or len(value) > MAX_VALUE for name, value in pairs.items()
    ):
        raise RequestError(
            f"`metadata` may have up to {MAX_PAIRS} pairs, with names of up to {MAX_NAME} and "
            f"values of up to {MAX_VALUE} characters",
            "metadata",
        )
