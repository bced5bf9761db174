"""What `fanout key spend` and `fanout key audit` print."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from ..bulk.tables.writers import CsvWriter, csv_text
from ..keys.audit import audit_rows, shown_changes
from ..keys.ledger import KeyLedger
from ..keys.litellm import time_text
from ..keys.spend import NO_NAME, add_up, collect, period_of
from ..telemetry.prices import to_dollars
from ..wire import json
from ..wire.terminal_text import without_controls
from .printing import show, show_json
from .table import columns


async def show_spend(arguments: argparse.Namespace, ledger: KeyLedger) -> None:
    """Print what keys have spent, added up."""
    period = period_of(arguments.start, arguments.end, ledger.now())
    found, by = await collect(ledger, period), arguments.by
    aliases = {row["token"]: row["alias"] for row in found} if by == "key" else None  # the latest
    rows: list[dict[str, Any]] = [
        {
            by: name,
            **({} if aliases is None else {"alias": aliases[name]}),
            "spend": to_dollars(sums.cost),
            "requests": sums.requests,
            "prompt_tokens": sums.prompt_tokens,
            "completion_tokens": sums.completion_tokens,
        }
        for name, sums in add_up(found, "token" if by == "key" else by).items()
    ]
    if arguments.json:
        show_json({"spend": rows})
        return
    names = ("spend", "requests", "prompt_tokens", "completion_tokens")
    heads = (by, *(("alias",) if by == "key" else ()), *names)
    if arguments.csv:
        cells = [tuple("" if one == NO_NAME else one for one in row.values()) for row in rows]
        print_csv([heads, *cells])
        return
    show(columns([heads, *(tuple(map(str, row.values())) for row in rows)]))


def print_csv(rows: Sequence[Sequence[object]]) -> None:
    """Print CSV for people: no cell begins like a formula of a spreadsheet."""
    head, *others = rows
    writer = CsvWriter(
        lambda data: show(data.decode(), end=""), [*map(str, head)], ",", escape=True
    )
    for (
        row
    ) in others:  # without the controls that are not printed, so that no formula is behind one
        writer.write([without_controls(csv_text(cell)) for cell in row], ())
    writer.end()


async def show_changes(arguments: argparse.Namespace, ledger: KeyLedger) -> None:
    """Print who has changed which account, the newest first."""
    period = period_of(arguments.start, arguments.end, ledger.now())
    rows: list[dict[str, Any]] = [
        {
            "time": time_text(row["at"]),
            "by": row["actor"],
            "action": row["action"],
            "account": row["account"],
            "changes": shown_changes(row),
        }
        for _, row in await audit_rows(ledger.store, period.start, period.end)
    ]
    if arguments.json:
        show_json({"audit": rows})
        return
    heads = ("time", "by", "action", "account", "changes")
    cells = [(*list(row.values())[:-1], json.encode(row["changes"]).decode()) for row in rows]
    if arguments.csv:
        print_csv([heads, *cells])
        return
    show(columns([heads, *cells]))
