"""
A quote: what a file would take, before anything is sent. Lines, tokens, dollars and minutes.

Input tokens are the UTF-8 bytes of the messages divided by four, which is within 30 % for prose and
code in most tokenizers. Output tokens are not known beforehand, so the quote gives a range: a tenth
of a line's own limit to all of it, or 50 to 1,000 if it has none. If responses are checked, the
range goes from one call of each line to every attempt of every model.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from functools import cache, partial
from typing import Any, Literal, NamedTuple, TypeAlias

from msgspec import Struct, field
from msgspec.structs import asdict

from ...config.catalog import Catalog
from ...errors import FanoutError
from ...schema.tokens import BYTES_PER_TOKEN
from ...telemetry.prices import BATCH, FLEX, PICODOLLARS, TokenPrices
from ...wire import json
from ..costs import Costs
from ..lanes import NATIVE, REALTIME, WITH_FLEX, LaneChoice
from . import lines
from .estimates import (
    CORRECTION_TOKENS,
    check_of,
    conversations_of,
    max_tokens,
    models_of,
    tier_of,
)
from .flex_lines import flex_model, offers_flex
from .lines import BadLine, Line
from .planner import LineError, plan
from .splitter import iter_lines

INPUT_TOLERANCE = 30
"""Percent."""

OUTPUT_LOW, OUTPUT_HIGH = 50, 1_000
"""Output tokens of a line without a limit."""

TOKENS_PER_MESSAGE = 4
"""Tokens that a model adds around each message."""

METHOD = (
    "tokens in: bytes / 4, within 30 %; tokens out: a tenth of a line's limit to all of it, "
    "without a limit 50 to 1,000; checked responses: from one call to every attempt of every model"
)


class ModelQuote(Struct):
    """
    One model's part; a line may have several calls. Costs are `None` if the price is unknown.

    `calls_high` and `tokens_in_high` count every further call of lines whose responses are checked.
    A model that only such calls go to has no `lines`.
    """

    lines: int = 0
    calls: int = 0
    calls_high: int = 0
    tokens_in: int = 0
    tokens_in_high: int = 0
    tokens_out_low: int = 0
    tokens_out_high: int = 0
    cost_low: float | None = None
    cost_high: float | None = None
    minutes: float | None = None


class LaneQuote(Struct, frozen=True):
    """
    The whole file if its job asks for this lane: the `lines` that go by it, and all its costs.

    `latency` is how long a response takes. Lines that the flex tier has no room for cost the price
    in real time.
    """

    lines: int
    cost_low: float | None
    cost_high: float | None
    minutes: float | None
    latency: Literal["seconds", "minutes", "hours"]


class Quote(Struct):
    """
    The whole file; costs are in US dollars, and `None` if a model's price is unknown.

    `minutes` is at a job's share of the limits in the config, `None` if there are none, and without
    further calls of checked lines. The costs
    are those of the job's `lane`, `lanes` has each lane's.
    """

    lane: LaneChoice = REALTIME
    lanes: dict[str, LaneQuote] = field(default_factory=dict)
    lines: int = 0
    models: dict[str, ModelQuote] = field(default_factory=dict)
    errors: list[LineError] = field(default_factory=list)
    cost_low: float | None = None
    cost_high: float | None = None
    minutes: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The quote as the API returns it."""
        models = {name: asdict(part) for name, part in self.models.items()}
        errors = [asdict(error) for error in self.errors]
        lanes = {name: asdict(lane) for name, lane in self.lanes.items()}
        parts = {"models": models, "errors": errors, "lanes": lanes}
        return {"object": "batch.quote", **asdict(self), **parts, "note": METHOD}


class _Group(NamedTuple):
    """A model, the tier that its lines name, and whether `flex` or a native batch takes them."""

    model: str
    tier: str | None
    may_be_on_flex: bool
    may_be_native: bool

    def tier_on(self, lane: LaneChoice) -> str | None:
        """The tier of the group's lines if the job asks for this lane."""
        if self.may_be_native and lane == NATIVE:
            return BATCH
        return FLEX if self.may_be_on_flex and lane in WITH_FLEX else self.tier


class _Sent(Struct):
    """What the lines of a group send and get; a line of several models is in several groups."""

    lines: int = 0
    tokens_in: int = 0
    tokens_in_high: int = 0
    tokens_out_low: int = 0
    tokens_out_high: int = 0

    def costs(self, prices: TokenPrices) -> tuple[int, int]:
        """The least and the most that they cost, in picodollars."""
        least, most = self.tokens_in * prices.input, self.tokens_in_high * prices.input
        return (
            least * (100 - INPUT_TOLERANCE) // 100 + self.tokens_out_low * prices.output,
            most * (100 + INPUT_TOLERANCE) // 100 + self.tokens_out_high * prices.output,
        )


_Groups: TypeAlias = dict[_Group, _Sent]


async def quote(
    read: Callable[[], AsyncIterator[bytes]],
    *,
    default_model: str | None,
    catalog: Catalog,
    check: Callable[[str], None],
    lane: LaneChoice = REALTIME,
    goes_native: Callable[[Line], bool] = lambda _: False,
) -> Quote:
    """
    Read the file twice: to check it, and to count its tokens. Invalid lines do not count.

    `goes_native` says whether a line may go by its provider's own batches.
    """
    found = await plan(read, lambda _: None, default_model=default_model, check=check)
    result, groups = Quote(lane, lines=found.total, errors=found.errors), _Groups()
    known = {name for name in found.models if _is_usable(check, name)}
    offers = cache(partial(offers_flex, catalog))
    async for number, _, _, data in iter_lines(read()):
        try:
            if data:
                head = lines.read_head(data, number, default_model)
                if not known.issuperset(head.models):
                    continue
                line = lines.parse_line(data, number, default_model)
                _add_line(result, groups, line, offers, goes_native)
        except BadLine:
            continue
    costs = Costs(catalog)
    for name, part in result.models.items():
        own = {group: sent for group, sent in groups.items() if group.model == name}
        part.cost_low, part.cost_high = _cost(own, costs, lane)
        part.minutes = _minutes(part, name, catalog)
    minutes = [part.minutes for part in result.models.values() if part.minutes is not None]
    result.minutes = max(minutes, default=None)
    result.cost_low, result.cost_high = _cost(groups, costs, lane)
    result.lanes = _lanes(result, groups, costs)
    return result


def _lanes(result: Quote, groups: _Groups, costs: Costs) -> dict[str, LaneQuote]:
    """The lanes that the job may ask for; `flex` and `native` only if a line would go by them."""
    low, high = _cost(groups, costs, REALTIME)
    lanes: dict[str, LaneQuote] = {}
    lanes[REALTIME] = LaneQuote(result.lines, low, high, result.minutes, "seconds")
    if on_flex := sum(s.lines for group, s in groups.items() if group.tier_on("flex") == FLEX):
        low, high = _cost(groups, costs, "flex")
        lanes[FLEX] = LaneQuote(on_flex, low, high, result.minutes, "minutes")
    if by_batch := sum(sent.lines for group, sent in groups.items() if group.may_be_native):
        low, high = _cost(groups, costs, NATIVE)
        lanes[NATIVE] = LaneQuote(by_batch, low, high, None, "hours")
    return lanes


def _is_usable(check: Callable[[str], None], name: str) -> bool:
    try:
        check(name)
    except BadLine:
        return False
    return True


def _add_line(
    result: Quote,
    groups: _Groups,
    line: Line,
    offers: Callable[[str], bool],
    goes_native: Callable[[Line], bool],
) -> None:
    calls = _Calls.of(line)
    flex = flex_model(line, "flex")
    may_be_on_flex = flex is not None and offers(flex)
    may_be_native = goes_native(line)
    check, names = check_of(line), [(name, True) for name in models_of(line)]
    names += [(name, False) for name in (check.escalate if check else ())]
    for name, is_first in names:
        part = result.models.setdefault(name, ModelQuote())
        key = _Group(name, tier_of(line), may_be_on_flex, may_be_native)
        group = groups.setdefault(key, _Sent())
        attempts = check.attempts if check else 1
        part.calls += calls.chats * is_first
        part.calls_high += calls.chats * attempts
        for counted in (part, group):
            counted.lines += is_first
            counted.tokens_in += calls.sent * is_first
            counted.tokens_in_high += calls.sent_in(attempts)
            counted.tokens_out_low += calls.low * is_first
            counted.tokens_out_high += calls.high * attempts


class _Calls(NamedTuple):
    """A line's calls to one model, if each is made once: one for each conversation."""

    chats: int
    sent: int
    low: int
    high: int

    @classmethod
    def of(cls, line: Line) -> _Calls:
        chats = conversations_of(line)
        sent = sum(
            _size(message) // BYTES_PER_TOKEN + TOKENS_PER_MESSAGE
            for chat in chats
            for message in chat
        )
        limit, count = max_tokens(line), len(chats)
        low = count * (OUTPUT_LOW if limit is None else max(1, limit // 10))
        return cls(count, sent, low, count * (OUTPUT_HIGH if limit is None else limit))

    def sent_in(self, attempts: int) -> int:
        """The tokens of so many attempts; each but the first has a response and a correction."""
        further = self.sent + self.high + self.chats * CORRECTION_TOKENS
        return self.sent + (attempts - 1) * further


def _cost(
    groups: Mapping[_Group, _Sent], costs: Costs, lane: LaneChoice
) -> tuple[float, float] | tuple[None, None]:
    """The least and the most that the groups cost in a job that asks for this lane, in dollars."""
    low = high = 0
    for group, sent in groups.items():
        prices, tier = costs.prices(group.model), group.tier_on(lane)
        if prices is None or not prices.knows(tier):
            return None, None
        if tier == BATCH:
            prices = costs.batch_prices(group.model, prices)
        least, most = sent.costs(prices.of(tier))
        low, high = low + least, high + most
    return (round(low / PICODOLLARS, 6), round(high / PICODOLLARS, 6)) if groups else (None, None)


def _minutes(part: ModelQuote, name: str, catalog: Catalog) -> float | None:
    """At a job's share of the limits of all of the model's deployments together."""
    try:
        deployments = catalog.find(name)
    except FanoutError:
        return None
    found = []
    if all(d.rpm for d in deployments):
        found.append(part.calls / sum(d.rpm or 0 for d in deployments))
    if all(d.tpm for d in deployments):
        tokens = part.tokens_in + (part.tokens_out_low + part.tokens_out_high) / 2
        found.append(tokens / sum(d.tpm or 0 for d in deployments))
    share = catalog.general.batch_share
    return round(max(found) / share, 2) if found else None


def _size(message: object) -> int:
    """The bytes of a message's content."""
    content = message.get("content") if isinstance(message, dict) else message
    return len(content.encode()) if isinstance(content, str) else len(json.encode(content))
