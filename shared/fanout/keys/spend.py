"""
What keys have spent: their spend rows, added up by key, team, user, tag, model or day.

A row is written for each request, without its prompt, so every sum can be traced to requests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from operator import itemgetter
from typing import TypeAlias

from msgspec import Struct

from ..disk.threads import in_thread
from ..errors import RequestError
from .items import Item, ItemKey
from .ledger import KeyLedger
from .management import INDEX, PAGE, all_items
from .spend_rows import lines_of_model, months, row_name

YEARS = range(1971, 9_999)
NO_NAME = "-"
"""What stands for the team, user or customer of requests that have none."""

DAYS = 30
"""Days of a report without a start."""

Part: TypeAlias = tuple[int, int, int, int]
"""A cost, prompt tokens and completion tokens, and the requests or lines that they are of."""

Groups: TypeAlias = Callable[[Item], Iterable[tuple[str, Part]]]
"""The groups of a row, with what counts for each."""


class Sums(Struct):
    """The sums of some requests, and lines of jobs; `cost` is in nanodollars."""

    cost: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add(self, part: Part) -> None:
        """Count what was sent and received for some requests, and its cost."""
        cost, sent, received, requests = part
        self.cost += cost
        self.requests += requests
        self.prompt_tokens += sent
        self.completion_tokens += received


class Period(Struct, frozen=True):
    """From the beginning of a day to the end of another one, UTC, in seconds since 1970."""

    start: float
    end: float


def period_of(start: str | None, end: str | None, now: float) -> Period:
    """The days from `start` to `end` (`2026-11-30`), the last 30 without them."""
    today = datetime.fromtimestamp(now, UTC).date()
    last = _day(end, "end_date") if end else today
    first = _day(start, "start_date") if start else last - timedelta(days=DAYS)
    if first > last:
        raise RequestError("`start_date` is after `end_date`", "start_date")
    return Period(_seconds(first), _seconds(last + timedelta(days=1)))


def _day(text: str, param: str) -> date:
    with suppress(ValueError):
        if (day := date.fromisoformat(text[:10])).year in YEARS:
            return day
    raise RequestError(f"`{param}` must be a day such as `2026-11-30`", param)


def _seconds(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


async def pages_in(
    ledger: KeyLedger, period: Period, account: str | None = None
) -> AsyncIterator[list[Item]]:
    """The rows of a period that are not open, in pages: of one account, or of all."""
    last = min(period.end, ledger.now() + 1)
    for one, created in await _accounts(ledger, account):
        start = max(period.start, created)
        after, before = _prefix(start), _prefix(last)
        for partition in months(one, start, last):
            while found := await ledger.store.items(
                partition, after=after, before=before, limit=PAGE
            ):
                yield [row for _, row in found if row["status"] != "open" and "by_model" in row]
                after = found[-1][0]


async def _accounts(ledger: KeyLedger, account: str | None) -> Sequence[tuple[str, float]]:
    """The accounts, also deleted ones, and when each was created; only `account` if it is given."""
    if account is not None:
        item = await ledger.store.get(ItemKey(INDEX, account))
        return [(account, item["at"] if item else 0.0)]
    return [(name, item["at"]) for name, item in await all_items(ledger.store, INDEX)]


def _prefix(at: float) -> str:
    """What the names of rows of this moment begin with."""
    return row_name(at).partition("-")[0]


def day_of(row: Item) -> str:
    """The day of a row, UTC."""
    return f"{datetime.fromtimestamp(row['at'], UTC):%Y-%m-%d}"


def _whole(read: Callable[[Item], str]) -> Groups:
    return lambda row: [(read(row), _part(row))]


def _part(row: Item) -> Part:
    return row["cost"], row["prompt_tokens"], row["completion_tokens"], row.get("lines", 1)


def _by_model(row: Item) -> Iterable[tuple[str, Part]]:
    for model, (cost, sent, received) in row["by_model"].items():
        requests = lines_of_model(row, model) if "lines" in row else 1
        yield model, (cost, sent, received, requests)


GROUPS: Mapping[str, Groups] = {
    "token": _whole(lambda row: str(row["token"])),
    "team": _whole(lambda row: row["team_id"] or NO_NAME),
    "user": _whole(lambda row: row["user_id"] or NO_NAME),
    "customer": _whole(lambda row: row["end_user"] or NO_NAME),
    "day": _whole(day_of),
    "tag": lambda row: [(tag, _part(row)) for tag in row["tags"]],
    "model": _by_model,
}
"""What spend is added up by. A row counts for each of its tags, and for each model its part."""


def add_up(rows: Iterable[Item], group: str) -> dict[str, Sums]:
    """The sums of each group, by its name."""
    found: dict[str, Sums] = {}
    for row in rows:
        for name, part in GROUPS[group](row):
            found.setdefault(name, Sums()).add(part)
    return dict(sorted(found.items()))


async def collect(ledger: KeyLedger, period: Period, account: str | None = None) -> list[Item]:
    """The rows of a period in a list, the oldest first."""
    found = [page async for page in pages_in(ledger, period, account)]
    return await in_thread(_sorted, found)


def _sorted(pages: list[list[Item]]) -> list[Item]:
    """The rows by time. Those of an account are sorted, so it takes a few milliseconds."""
    return sorted(chain(*pages), key=itemgetter("at"))
