"""The spend rows of accounts: where they are, how they are named, and what an open one holds."""

from __future__ import annotations

from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

from .account import BudgetReservation, Need, account_key
from .items import Item, ItemKey


def row_partition(account: str, at: float) -> str:
    """The partition of an account's spend rows of a month (UTC)."""
    return f"spend#{account}#{datetime.fromtimestamp(at, UTC):%Y%m}"


def row_name(at: float) -> str:
    """A name of a spend row; names sort by time. Before the dash are whole milliseconds."""
    milliseconds, microseconds = divmod(int(at * 1_000_000), 1_000)
    return f"{milliseconds:012x}-{microseconds:03x}{token_hex(8)}"


def open_reservation(account: str, where: ItemKey, row: Item) -> BudgetReservation:
    """The reservation of an open row; its minute is over."""
    need = Need(row["estimate"], requests=row.get("requests", 1))
    rest = (where, need)
    until, at = row["lease_until"], row["at"]
    shared: BudgetReservation | None = None
    if (other := row.get("shared")) is not None:
        key = account_key(other["account"])
        shared = BudgetReservation(key, *rest, other["window"], 0, until, at)
    return BudgetReservation(account_key(account), *rest, row["window"], 0, until, at, shared)


def window_of(row: Item, account: str, payer: str) -> int | None:
    """The window of `payer` that a row of `account` counts in; `None` if it pays for others."""
    if account == payer:
        return int(row["window"])
    shared = row.get("shared")
    return int(shared["window"]) if shared and shared["account"] == payer else None


def members_of(account: str) -> str:
    """The partition with the names of the keys that have reserved of a team's or user's account."""
    return f"members#{account}"


def lost_fields(row: Item) -> dict[str, Any]:
    """The fields of a row whose request has crashed, so that its tokens are not known."""
    by_model = {row["model"]: [row["estimate"], 0, 0]} if "model" in row else {}
    return {"prompt_tokens": 0, "completion_tokens": 0, "by_model": by_model}


def lines_of_model(row: Item, model: str) -> int:
    """The lines of a job's row that have called a model; an older row has one name for all."""
    return int(row.get("lines_by_model", {}).get(model, row.get("lines", 0)))


def only_model(row: Item, model: str) -> Item | None:
    """The part of a row that a model has, as a row; all of a row that names only this model."""
    if row["model"] == model:
        return row
    if (part := row["by_model"].get(model)) is None:
        return None
    cost, sent, received = part
    found = {
        **row,
        "model": model,
        "cost": cost,
        "tokens": sent + received,
        "prompt_tokens": sent,
        "completion_tokens": received,
        "by_model": {model: part},
    }
    if "lines" in row:
        found["lines"] = lines_of_model(row, model)
    return found


def months(account: str, since: float, until: float) -> list[str]:
    """The partitions of spend rows from one time to another."""
    day = 86_400
    days = range(int(since) // day, int(until) // day + 1)
    return list(dict.fromkeys(row_partition(account, number * day) for number in days))
