"""
LiteLLM's endpoints for what was spent in 30 days (`/global/spend…`), and what a request costs.

Shapes: litellm 1.110.2, `proxy/spend_tracking/spend_management_endpoints.py`, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...bulk.costs import Costs
from ...disk.threads import in_thread
from ...errors import FanoutError, RequestError, UnknownModel
from ...keys.groups import TEAMS, GroupManager
from ...keys.items import Item
from ...keys.spend import add_up, day_of
from ...schema.fanout import parse_request
from ...schema.prompt_tokens import prompt_tokens
from ...telemetry.prices import TokenPrices, nanodollars_of, to_dollars
from ..exchange import Exchange
from .requests import ledger_of, may_read, number, object_of
from .selected_rows import rows_of

SENT = ("model", "messages", "tools")
UNASSIGNED = "Unassigned"
MOST_TEAMS = 10


async def calculate_spend(exchange: Exchange) -> None:
    """
    `POST /spend/calculate`: what a prompt costs (`model`, `messages`), or a `completion_response`.

    A prompt's cost is that of its tokens alone, as in LiteLLM.
    """
    body = await object_of(exchange)
    given = body.get("completion_response")
    if body.get("model"):
        request = parse_request({name: body[name] for name in SENT if name in body})
        chat, prices = request.conversations[0], _prices(exchange, request.models[0])
        cost = nanodollars_of(prices.per_request + prompt_tokens(chat) * prices.input)
    elif isinstance(given, Mapping) and isinstance(given.get("usage"), Mapping):
        cost = _prices(exchange, given.get("model")).cost(given["usage"])
    else:
        raise RequestError(
            "`model` with `messages` is missing, or a `completion_response` with its `usage`",
            "model",
        )
    await exchange.json({"cost": to_dollars(cost)})


async def total_spend(exchange: Exchange) -> None:
    """`GET /global/spend`: the sum; a gateway has no budget of its own."""
    rows, _ = await rows_of(exchange)
    await exchange.json({"spend": to_dollars(sum(row["cost"] for row in rows)), "max_budget": None})


async def keys_by_spend(exchange: Exchange) -> None:
    """`GET /global/spend/keys`: the keys that have spent the most."""
    rows, query = await rows_of(exchange, "limit")
    names = {row["token"]: row["alias"] for row in rows}
    found = await in_thread(_most, rows, "token")
    await exchange.json(
        [
            {"api_key": token, "key_alias": names[token] or None, "total_spend": spend}
            for token, spend, _ in found[: number(query, "limit", 100, 1_000)]
        ]
    )


async def models_by_spend(exchange: Exchange) -> None:
    """`GET /global/spend/models`: the models that have cost the most."""
    rows, query = await rows_of(exchange, "limit")
    most = number(query, "limit", 10, 1_000)
    found = await in_thread(_most, rows, "model")
    await exchange.json([{"model": name, "total_spend": one} for name, one, _ in found[:most]])


async def tags_by_spend(exchange: Exchange) -> None:
    """`GET /global/spend/tags`: each tag, or those of `tags`."""
    rows, query = await rows_of(exchange, "tags")
    chosen = {one.strip() for one in query.get("tags", "").split(",") if one.strip()}
    found = await in_thread(_most, rows, "tag")
    shown = [
        {"name": name, "spend": spend, "log_count": count}
        for name, spend, count in found
        if not chosen or name in chosen
    ]
    await exchange.json({"spend_per_tag": shown})


async def teams_by_spend(exchange: Exchange) -> None:
    """`GET /global/spend/teams`: each day's spend of each team, and the teams' sums."""
    rows, _ = await rows_of(exchange)
    teams = await GroupManager(ledger_of(exchange), "", TEAMS).all()
    names = {TEAMS.id_of(one): one.get("name") or TEAMS.id_of(one) for one in teams}
    await exchange.json(await in_thread(_teams, rows, names))


def _teams(rows: list[Item], names: Mapping[str, str]) -> dict[str, Any]:
    days: dict[str, dict[str, int]] = {}
    total: dict[str, int] = {}
    for row in rows:
        team = names.get(row["team_id"], row["team_id"]) or UNASSIGNED
        of_day = days.setdefault(day_of(row), {})
        of_day[team] = of_day.get(team, 0) + row["cost"]
        total[team] = total.get(team, 0) + row["cost"]
    most = sorted(total.items(), key=lambda one: -one[1])
    return {
        "daily_spend": [
            {"date": day, **{team: to_dollars(cost) for team, cost in found.items()}}
            for day, found in sorted(days.items())
        ],
        "teams": [team for team, _ in most],
        "total_spend_per_team": [
            {"team_id": team, "total_spend": to_dollars(cost)} for team, cost in most[:MOST_TEAMS]
        ],
    }


async def providers_by_spend(exchange: Exchange) -> None:
    """`GET /global/spend/provider`: each provider; a model that is gone is of `Unknown`."""
    catalog, sums = exchange.gateway.catalog, dict[str, float]()
    rows, _ = await rows_of(exchange)
    for model, spend, _ in await in_thread(_most, rows, "model"):
        try:
            name = catalog.find(model)[0].provider.name
        except FanoutError:
            name = "Unknown"
        sums[name] = sums.get(name, 0.0) + spend
    await exchange.json([{"provider": name, "spend": spend} for name, spend in sums.items()])


def _most(rows: list[Item], group: str) -> list[tuple[str, float, int]]:
    """Each group's name, spend and requests, the most expensive first."""
    found = sorted(add_up(rows, group).items(), key=lambda one: -one[1].cost)
    return [(name, to_dollars(sums.cost), sums.requests) for name, sums in found]


def _prices(exchange: Exchange, model: object) -> TokenPrices:
    """The prices of a model that the client may use; raises `UnknownModel` or `RequestError`."""
    catalog = exchange.gateway.catalog
    name = model if isinstance(model, str) else ""
    if not may_read(exchange) and not exchange.client.may_use(name):
        raise UnknownModel(f"there is no model `{name[:128]}`", "model")
    catalog.check_name(name)
    if (prices := Costs(catalog).prices(name)) is None:
        raise RequestError(f"the price of `{name[:128]}` is unknown", "model", "price_not_found")
    return prices
