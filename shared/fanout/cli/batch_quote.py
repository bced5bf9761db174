"""`fanout batch quote`: what a file would take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from ..bulk.input.quote import METHOD, Quote, quote
from ..bulk.local.prompt_files import PromptFile
from ..bulk.work.line_requests import check_model
from ..config.resolve import Catalog
from ..wire import json
from .table import columns

HEADER = ("MODEL", "LINES", "TOKENS IN", "TOKENS OUT", "COST", "MINUTES")


async def print_quote(
    catalog: Catalog, prompts: PromptFile, model: str | None, *, as_json: bool
) -> int:
    """Print it; 1 if the file has mistakes."""

    async def read() -> AsyncIterator[bytes]:
        for piece in prompts.chunks():
            yield piece
            await asyncio.sleep(0)

    said = await quote(
        read,
        default_model=model,
        catalog=catalog,
        check=lambda name: check_model(catalog, "anyone", None, name),
    )
    if as_json:
        print(json.encode(said.to_dict()).decode())
    else:
        _print(said)
    return int(bool(said.errors))


def _print(said: Quote) -> None:
    rows = [HEADER]
    for name, part in said.models.items():
        out = f"{part.tokens_out_low:,} to {part.tokens_out_high:,}"
        cells = (f"{part.lines:,}", f"{part.tokens_in:,}", out)
        rows.append((name, *cells, _dollars(part.cost_low, part.cost_high), _minutes(part.minutes)))
    print(columns(rows))
    total = _dollars(said.cost_low, said.cost_high)
    print(f"\n{said.lines:,} lines, {total}, minutes at the known limits: {_minutes(said.minutes)}")
    print(f"({METHOD})")
    for error in said.errors:
        place = "" if error.line is None else f"line {error.line}: "
        print(f"{place}{error.message} ({error.code})")


def _dollars(low: float | None, high: float | None) -> str:
    return "price unknown" if low is None or high is None else f"${low:.4f} to ${high:.4f}"


def _minutes(minutes: float | None) -> str:
    return "unknown" if minutes is None else f"{minutes:g}"
