"""
A quote: what a file would take, before anything is sent. Lines, tokens, dollars and minutes.

Input tokens are the UTF-8 bytes of the messages divided by four, which is within 30 % for prose and
code in most tokenizers. Output tokens are not known beforehand, so the quote gives a range: a tenth
of a line's own limit to all of it, or 50 to 1,000 if it has none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeAlias

from msgspec import Struct, field
from msgspec.structs import asdict

from ...config.catalog import Catalog
from ...errors import FanoutError
from ...telemetry.prices import PICODOLLARS
from ...wire import json
from ..costs import Costs
from . import lines
from .estimates import BYTES_PER_TOKEN, conversations_of, max_tokens, models_of, tier_of
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
    "without a limit 50 to 1,000"
)


class ModelQuote(Struct):
    """One model's part; a line may have several calls. Costs are `None` if the price is unknown."""

    lines: int = 0
    calls: int = 0
    tokens_in: int = 0
    tokens_out_low: int = 0
    tokens_out_high: int = 0
    cost_low: float | None = None
    cost_high: float | None = None
    minutes: float | None = None


class Quote(Struct):
    """
    The whole file; costs are in US dollars, and `None` if a model's price is unknown.

    `minutes` is at a job's share of the limits in the config, `None` if there are none.
    """

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
        return {"object": "batch.quote", **asdict(self), "models": models, "errors": errors} | {
            "note": METHOD
        }


class _Sent(Struct):
    """The tokens of one model's lines that ask for the same service tier."""

    tokens_in: int = 0
    tokens_out_low: int = 0
    tokens_out_high: int = 0


_Tiers: TypeAlias = dict[tuple[str, str | None], _Sent]
"""By model and service tier."""


async def quote(
    read: Callable[[], AsyncIterator[bytes]],
    *,
    default_model: str | None,
    catalog: Catalog,
    check: Callable[[str], None],
) -> Quote:
    """Read the file twice: to check it, and to count its tokens. Invalid lines do not count."""
    found = await plan(read, lambda _: None, default_model=default_model, check=check)
    result, tiers = Quote(lines=found.total, errors=found.errors), _Tiers()
    known = {name for name in found.models if _is_usable(check, name)}
    async for number, _, _, data in iter_lines(read()):
        try:
            if data:
                head = lines.read_head(data, number, default_model)
                if not known.issuperset(head.models):
                    continue
                _add_line(result, tiers, lines.parse_line(data, number, default_model))
        except BadLine:
            continue
    costs = Costs(catalog)
    for name, part in result.models.items():
        own = {tier: sent for (model, tier), sent in tiers.items() if model == name}
        _set_cost(part, name, own, costs)
        part.minutes = _minutes(part, name, catalog)
    parts = list(result.models.values())
    result.cost_low = _sum([part.cost_low for part in parts])
    result.cost_high = _sum([part.cost_high for part in parts])
    result.minutes = max((p.minutes for p in parts if p.minutes is not None), default=None)
    return result


def _is_usable(check: Callable[[str], None], name: str) -> bool:
    try:
        check(name)
    except BadLine:
        return False
    return True


def _add_line(result: Quote, tiers: _Tiers, line: Line) -> None:
    chats = conversations_of(line)
    sent = sum(
        _size(message) // BYTES_PER_TOKEN + TOKENS_PER_MESSAGE for chat in chats for message in chat
    )
    limit = max_tokens(line)
    for name in models_of(line):
        part = result.models.setdefault(name, ModelQuote())
        part.lines += 1
        part.calls += len(chats)
        low = len(chats) * (OUTPUT_LOW if limit is None else max(1, limit // 10))
        high = len(chats) * (OUTPUT_HIGH if limit is None else limit)
        for counted in (part, tiers.setdefault((name, tier_of(line)), _Sent())):
            counted.tokens_in += sent
            counted.tokens_out_low += low
            counted.tokens_out_high += high


def _set_cost(part: ModelQuote, name: str, tiers: Mapping[str | None, _Sent], costs: Costs) -> None:
    """Each line at the price of the tier that it asks for, unless one of them is unknown."""
    prices = costs.prices(name)
    if prices is None or not all(map(prices.knows, tiers)):
        return
    low = high = 0
    for tier, sent in tiers.items():
        of_tier = prices.of(tier)
        tokens = sent.tokens_in * of_tier.input
        low += tokens * (100 - INPUT_TOLERANCE) // 100 + sent.tokens_out_low * of_tier.output
        high += tokens * (100 + INPUT_TOLERANCE) // 100 + sent.tokens_out_high * of_tier.output
    part.cost_low, part.cost_high = (round(cost / PICODOLLARS, 6) for cost in (low, high))


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


def _sum(parts: list[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return round(sum(known), 6) if known and len(known) == len(parts) else None


def _size(message: object) -> int:
    """The bytes of a message's content."""
    content = message.get("content") if isinstance(message, dict) else message
    return len(content.encode()) if isinstance(content, str) else len(json.encode(content))
