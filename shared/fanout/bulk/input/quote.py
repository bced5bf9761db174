"""
A quote: what a file would take, before anything is sent. Lines, tokens, dollars and minutes.

Input tokens are estimated from the characters (`schema/token_estimate.py`). Output tokens are not
known beforehand, so the quote gives a range: a tenth of a line's own limit to all of it, or 50 to
1,000 if it has none. If responses are checked, the range goes from one call of each line to every
attempt of every model; if models are to agree, from those that must to all. If lines share their
beginnings and their model has a cache, the least cost is that with every hit that there may be.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from functools import cache, partial
from typing import Any, Literal, TypeAlias

from msgspec import Struct, field
from msgspec.structs import asdict

from ...config.catalog import Catalog
from ...errors import FanoutError
from ...schema.token_estimate import STATED_ERROR
from ...telemetry.prices import FLEX
from ..costs import Costs
from ..lanes import NATIVE, REALTIME, LaneChoice, NativeChoice
from . import lines
from .estimates import certain_calls, check_of, models_of, tier_of
from .flex_lines import flex_model, offers_flex
from .line_parser import Line, parse_line
from .lines import BadLine
from .order_writer import OrderWriter, Shared
from .planner import LineError, plan
from .quote_groups import (
    BatchLabels,
    Calls,
    Group,
    Groups,
    Label,
    LineBatches,
    NoBatches,
    Sent,
    Unplaced,
    cost_of,
    lines_of,
    placed,
)
from .splitter import iter_lines

METHOD = (
    f"tokens in: estimated from the text, {STATED_ERROR}; other "
    "models may count up to three times as many in other scripts than Latin; tokens out: a tenth "
    "of a line's limit to all of it, without a limit 50 to 1,000; checked responses: from one call "
    "to every attempt of every model; models that are to agree: from the fewest that can to all"
)


OnLine: TypeAlias = Callable[[Line, int, int, Label | None], None]

NO_BATCHES = NoBatches()


class ModelQuote(Struct):
    """
    One model's part; a line may have several calls. Costs are `None` if the price is unknown.

    `calls_high` and `tokens_in_high` count every further call of lines whose responses are checked.
    A model that only such calls go to has no `lines`. `tokens_cached` of the input tokens are
    expected to be read from the provider's cache.
    """

    lines: int = 0
    calls: int = 0
    calls_high: int = 0
    tokens_in: int = 0
    tokens_in_high: int = 0
    tokens_cached: int = 0
    tokens_out_low: int = 0
    tokens_out_high: int = 0
    cost_low: float | None = None
    cost_high: float | None = None
    minutes: float | None = None

    @property
    def cached(self) -> float:
        """The part of its input that may be read from a cache."""
        return self.tokens_cached / self.tokens_in if self.tokens_in else 0.0


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
    further calls of checked lines. The costs are those of the job, which asks for `lane` and
    `native` and of which `native_lines` go by batches; `lanes` has those of each lane.
    """

    lane: LaneChoice = REALTIME
    native: NativeChoice = "never"
    native_lines: int = 0
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


async def quote(  # noqa: PLR0913 -- what is known of the job, each once
    read: Callable[[], AsyncIterator[bytes]],
    *,
    default_model: str | None,
    catalog: Catalog,
    check: Callable[[str], None],
    lane: LaneChoice = REALTIME,
    native: NativeChoice = "never",
    batches: LineBatches = NO_BATCHES,
    has_cache: Callable[[str], bool] = lambda _: False,
    on_line: OnLine = lambda _line, _number, _tokens, _batch: None,
) -> Quote:
    """
    Read the file twice: to check it, and to count its tokens. Invalid lines do not count.

    `batches` divides lines among their providers' own batches, `has_cache` says whether a model's
    provider reads what lines share from its cache. `on_line` gets each line, its number, its
    estimated tokens, and its batch in the job.
    """
    with OrderWriter() as order:
        found = await plan(
            read, lambda _: None, default_model=default_model, check=check, order=order
        )
        await asyncio.to_thread(order.finish)
        shared = {name: one for name, one in order.shared.items() if has_cache(name)}
    result = Quote(lane, native, lines=found.total, errors=found.errors)
    unplaced: Unplaced = {}
    batches.start()
    known = {name for name in found.models if _is_usable(check, name)}
    offers = cache(partial(offers_flex, catalog))
    async for number, _, _, data in iter_lines(read()):
        try:
            if data:
                head = lines.read_head(data, number, default_model)
                if not known.issuperset(head.models):
                    continue
                line = parse_line(data, number, default_model)
                place = batches.add(line, number, len(data))
                tokens = _add_line(result, unplaced, line, offers, place)
                on_line(line, number, tokens, place[1])
        except BadLine:
            continue
    error, groups = batches.end(), placed(unplaced, batches)
    if error is not None:
        result.errors.append(error)
    _add_cached(result, shared)
    _add_costs(result, groups, catalog)
    return result


def _add_costs(result: Quote, groups: Groups, catalog: Catalog) -> None:
    """Add what the job costs and how long it takes, by model and together, and by lane."""
    costs = Costs(catalog)
    cached = {name: part.cached for name, part in result.models.items()}
    result.native_lines = lines_of(sent for group, sent in groups.items() if group.is_own)

    def tier_of_job(group: Group) -> str | None:
        return group.own_tier(result.lane)

    for name, part in result.models.items():
        own = {group: sent for group, sent in groups.items() if group.model == name}
        part.cost_low, part.cost_high = cost_of(own, costs, cached, tier_of_job)
        part.minutes = _minutes(part, name, catalog)
    minutes = [part.minutes for part in result.models.values() if part.minutes is not None]
    result.minutes = max(minutes, default=None)
    result.cost_low, result.cost_high = cost_of(groups, costs, cached, tier_of_job)
    result.lanes = _lanes(
        result,
        groups,
        lambda lane: cost_of(groups, costs, cached, lambda group: group.tier_on(lane)),
    )


def not_native(count: int, why: str = "", then: str = "") -> LineError:
    """The error of a job whose lines must all go by their provider's own batches, and do not."""
    lines = "1 line" if count == 1 else f"{count} lines"
    message = f"{lines} cannot go by their provider's own batches{why}.{then}"
    message += " Use `auto` to send them in real time."
    return LineError("native_not_possible", message, "fanout.native", None)


def _lanes(
    result: Quote,
    groups: Groups,
    cost: Callable[[LaneChoice], tuple[float, float] | tuple[None, None]],
) -> dict[str, LaneQuote]:
    """The lanes that the job may ask for; `flex` and `native` only if a line would go by them."""
    low, high = cost(REALTIME)
    lanes: dict[str, LaneQuote] = {}
    lanes[REALTIME] = LaneQuote(result.lines, low, high, result.minutes, "seconds")
    if on_flex := lines_of(s for group, s in groups.items() if group.tier_on("flex") == FLEX):
        low, high = cost("flex")
        lanes[FLEX] = LaneQuote(on_flex, low, high, result.minutes, "minutes")
    if by_batch := lines_of(sent for group, sent in groups.items() if group.is_native):
        low, high = cost(NATIVE)
        lanes[NATIVE] = LaneQuote(by_batch, low, high, None, "hours")
    return lanes


def _is_usable(check: Callable[[str], None], name: str) -> bool:
    try:
        check(name)
    except BadLine:
        return False
    return True


def _add_cached(result: Quote, shared: Mapping[str, Shared]) -> None:
    """Note what is expected to be read from caches, in the same measure as the estimated tokens."""
    for name, one in shared.items():
        part = result.models.get(name)
        if part is not None and one.size:
            part.tokens_cached = round(part.tokens_in * min(1.0, one.repeated / one.size))


def _add_line(
    result: Quote,
    unplaced: Unplaced,
    line: Line,
    offers: Callable[[str], bool],
    place: BatchLabels,
) -> int:
    """Add a line; returns the estimated tokens of its calls to one model."""
    calls = Calls.of(line)
    flex = flex_model(line, "flex")
    may_be_on_flex = flex is not None and offers(flex)
    check, models, certain = check_of(line), models_of(line), certain_calls(line)
    names = [(name, certain is None or at < certain) for at, name in enumerate(models)]
    names += [(name, False) for name in (check.escalate if check else ())]
    for name, is_first in names:
        part = result.models.setdefault(name, ModelQuote())
        key = (Group(name, tier_of(line), may_be_on_flex), place)
        group = unplaced.setdefault(key, Sent())
        attempts = check.attempts if check else 1
        part.calls += calls.chats * is_first
        part.calls_high += calls.chats * attempts
        for counted in (part, group):
            counted.lines += is_first
            counted.tokens_in += calls.sent * is_first
            counted.tokens_in_high += calls.sent_in(attempts)
            counted.tokens_out_low += calls.low * is_first
            counted.tokens_out_high += calls.high * attempts
    return calls.sent


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
