"""
What a file would take, before anything is sent: lines, tokens, dollars, minutes.

Tokens in are UTF-8 bytes of the messages by four, which is right within 30 % for prose and code in
most tokenizers. Tokens out are known to nobody: from a tenth of a line's own limit to all of it,
or, where it has none, from 50 to 1,000.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from ...config.resolve import Catalog
from ...errors import FanoutError
from ...wire import json
from ..costs import Costs
from . import lines
from .estimates import answer_limit, chats_of, models_of
from .lines import BadLine, Line
from .planner import LineError, iter_lines, plan

BAND = 0.3
LEAST, MOST = 50, 1_000
BYTES_A_TOKEN = 4
EACH = 4
"""Tokens around each message."""

NOTE = (
    "tokens in: bytes / 4, within 30 %; tokens out: a tenth of a line's limit to all of it, "
    "without a limit 50 to 1,000"
)


class ModelQuote(Struct):
    """One model's part; a line may have several calls. Costs are `None` without a known price."""

    lines: int = 0
    calls: int = 0
    tokens_in: int = 0
    tokens_out_low: int = 0
    tokens_out_high: int = 0
    cost_low: float | None = None
    cost_high: float | None = None
    minutes: float | None = None


class Quote(Struct):
    """The whole; `minutes` at a job's share of the config's limits, `None` where it has none."""

    lines: int = 0
    models: dict[str, ModelQuote] = field(default_factory=dict)
    errors: list[LineError] = field(default_factory=list)
    cost_low: float | None = None
    cost_high: float | None = None
    minutes: float | None = None

    @property
    def shown(self) -> dict[str, Any]:
        """For machines."""
        models = {name: asdict(part) for name, part in self.models.items()}
        errors = [asdict(error) for error in self.errors]
        return {"object": "batch.quote", **asdict(self), "models": models, "errors": errors} | {
            "note": NOTE
        }


async def quote(
    read: Callable[[], AsyncIterator[bytes]],
    *,
    default_model: str | None,
    catalog: Catalog,
    check: Callable[[str], None],
) -> Quote:
    """Read the file twice: for its mistakes, and for its sizes."""
    found = await plan(read, lambda _: None, default_model=default_model, check=check)
    said = Quote(lines=found.total, errors=found.errors)
    async for number, _, _, data in iter_lines(read()):
        try:
            if data:
                lines.read_head(data, number, default_model)
                _count(said, lines.read_line(data, number, default_model))
        except BadLine:
            continue
    costs = Costs(catalog)
    for name, part in said.models.items():
        _price(part, name, costs)
        part.minutes = _minutes(part, name, catalog)
    parts = list(said.models.values())
    said.cost_low = _sum([part.cost_low for part in parts])
    said.cost_high = _sum([part.cost_high for part in parts])
    said.minutes = max((p.minutes for p in parts if p.minutes is not None), default=None)
    return said


def _count(said: Quote, line: Line) -> None:
    chats = chats_of(line)
    sent = sum(_size(message) // BYTES_A_TOKEN + EACH for chat in chats for message in chat)
    limit = answer_limit(line)
    for name in models_of(line):
        part = said.models.setdefault(name, ModelQuote())
        part.lines += 1
        part.calls += len(chats)
        part.tokens_in += sent
        part.tokens_out_low += len(chats) * (LEAST if limit is None else max(1, limit // 10))
        part.tokens_out_high += len(chats) * (MOST if limit is None else limit)


def _price(part: ModelQuote, name: str, costs: Costs) -> None:
    if rate := costs.rate(name):
        low = part.tokens_in * (1 - BAND) * rate.input + part.tokens_out_low * rate.output
        high = part.tokens_in * (1 + BAND) * rate.input + part.tokens_out_high * rate.output
        part.cost_low, part.cost_high = round(low, 6), round(high, 6)


def _minutes(part: ModelQuote, name: str, catalog: Catalog) -> float | None:
    """At a job's share of the limits of all deployments of the name together."""
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
    """The bytes of what a message says."""
    content = message.get("content") if isinstance(message, dict) else message
    return len(content.encode()) if isinstance(content, str) else len(json.encode(content))
