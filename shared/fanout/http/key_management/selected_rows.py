"""
The spend rows that a query asks for, and that its client may read.

The master key, and keys of type `management` or `read_only`, read about all keys; another key about
itself only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from msgspec.structs import replace

from ...disk.threads import in_thread
from ...errors import Forbidden, NotFound, RequestError
from ...keys.items import Item, ItemKey
from ...keys.ledger import KeyLedger, hash_of
from ...keys.litellm import amount_of
from ...keys.management import INDEX, made_at
from ...keys.spend import collect, period_of
from ...keys.spend_rows import only_model
from ..exchange import Exchange
from ..queries import checked_query
from .requests import ledger_of, may_read

FILTERS: Mapping[str, str] = {
    "user_id": "user_id",
    "internal_user_id": "user_id",
    "request_id": "request_id",
    "team_id": "team_id",
    "customer_id": "end_user",
    "end_user": "end_user",
    "key_alias": "alias",
}
"""The parameters that a field of a row must equal."""

MODEL = "model"
"""The parameter for the part of each row that a model has."""

AMOUNTS = ("min_spend", "max_spend")


async def rows_of(exchange: Exchange, *more: str) -> tuple[list[Item], Mapping[str, str]]:
    """
    The rows that the query asks for and the client may read, and the query.

    It may have the parameters that are read here, and `more`.
    """
    names = ("start_date", "end_date", "api_key", *FILTERS, MODEL, "team_ids", "exclude_team_ids")
    ledger, query = ledger_of(exchange), checked_query(exchange, *names, *more)
    period = period_of(query.get("start_date"), query.get("end_date"), ledger.now())
    account, since = await _account(exchange, ledger, query)
    period = replace(period, start=max(period.start, since))
    rows = await collect(ledger, period, account)
    wanted = [(field, query[name]) for name, field in FILTERS.items() if name in query]
    asked = query.get("api_key", "")
    if asked and account is None:  # a deleted key that had replaced another one
        wanted.append(("token", hash_of(asked)))
    least, most = _dollars_in(query, "min_spend"), _dollars_in(query, "max_spend")
    teams, others = _listed(query, "team_ids"), _listed(query, "exclude_team_ids")

    def is_wanted(row: Item) -> bool:
        return (
            all(row[field] == value for field, value in wanted)
            and (not teams or row["team_id"] in teams)
            and row["team_id"] not in others
            and (least is None or row["cost"] >= least)
            and (most is None or row["cost"] <= most)
        )

    chosen = await in_thread(_chosen, rows, query.get(MODEL), is_wanted)
    if asked and account is None and not chosen:
        raise NotFound("there is no such key, and no row of one in this time")
    return chosen, query


def _chosen(rows: list[Item], model: str | None, is_wanted: Callable[[Item], bool]) -> list[Item]:
    if model is not None:
        rows = [part for row in rows if (part := only_model(row, model)) is not None]
    return [row for row in rows if is_wanted(row)]


def _listed(query: Mapping[str, str], name: str) -> set[str]:
    return {one for one in query.get(name, "").split(",") if one}


def _dollars_in(query: Mapping[str, str], name: str) -> int | None:
    if name not in query:
        return None
    with suppress(ValueError):
        return amount_of(float(query[name]), name)
    raise RequestError(f"`{name}` must be a number of US dollars", name)


async def _account(
    exchange: Exchange, ledger: KeyLedger, query: Mapping[str, str]
) -> tuple[str | None, float]:
    """
    The account whose rows are read, and since when; `None` for all.

    An ordinary key does not read the rows of a deleted key whose value it has.
    """
    asked, account = query.get("api_key", ""), exchange.client.account
    if may_read(exchange):
        return (await _named(ledger, asked) if asked else None), 0.0
    own = account.item if account is not None else None
    found = await ledger.find_key(asked) if asked else own
    if own is None or found is None or found["id"] != own["id"]:
        raise Forbidden("this key may only read its own spend", "api_key", "key_not_allowed")
    return str(own["id"]), made_at(own)


async def _named(ledger: KeyLedger, key: str) -> str | None:
    """The account of a key or its hash, also of a deleted one, whose rows stay, if it is known."""
    if (found := await ledger.find_key(key)) is not None:
        return str(found["id"])
    known = await ledger.store.get(ItemKey(INDEX, hash_of(key)))
    return None if known is None else hash_of(key)
