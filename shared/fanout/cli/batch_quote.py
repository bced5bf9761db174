"""`fanout batch quote`: estimates the cost and time of a file of prompts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from ..bulk.input.quote import METHOD, Quote, quote
from ..bulk.local.prompt_files import PromptFile
from ..bulk.work.line_requests import check_model
from ..config.catalog import Catalog, ClientKey
from ..config.model import ANONYMOUS
from .batch_progress import dollars, error_lines
from .printing import show, show_json
from .table import columns

HEADER = ("MODEL", "LINES", "TOKENS IN", "TOKENS OUT", "COST", "MINUTES")


async def print_quote(
    catalog: Catalog, prompts: PromptFile, model: str | None, *, as_json: bool
) -> int:
    """Print the quote; returns 1 if the file has errors, else 0."""

    async def read() -> AsyncIterator[bytes]:
        for piece in prompts.chunks():
            yield piece
            await asyncio.sleep(0)

    found = await quote(
        read,
        default_model=model,
        catalog=catalog,
        check=lambda name: check_model(catalog, ClientKey(ANONYMOUS, None), name),
    )
    if as_json:
        show_json(found.to_dict())
    else:
        _print(found)
    return int(bool(found.errors))


def _print(found: Quote) -> None:
    rows = [HEADER]
    for name, part in found.models.items():
        out = f"{part.tokens_out_low:,} to {part.tokens_out_high:,}"
        cells = (f"{part.lines:,}", f"{part.tokens_in:,}", out)
        rows.append((name, *cells, _dollars(part.cost_low, part.cost_high), _minutes(part.minutes)))
    show(columns(rows))
    total = _dollars(found.cost_low, found.cost_high)
    minutes = _minutes(found.minutes)
    show(f"\n{found.lines:,} lines, {total}, minutes at the known rate limits: {minutes}")
    show(f"({METHOD})")
    for line in error_lines(found.errors):
        show(line)


def _dollars(low: float | None, high: float | None) -> str:
    return "price unknown" if low is None or high is None else f"{dollars(low)} to {dollars(high)}"


def _minutes(minutes: float | None) -> str:
    return "unknown" if minutes is None else f"{minutes:g}"
