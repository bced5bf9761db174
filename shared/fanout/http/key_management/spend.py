"""
LiteLLM's endpoints for spend (`/spend/…`, `/global/spend/report`, `/user/daily/activity`).

The master key, and keys of type `management` or `read_only`, read about all keys; another key about
itself only. Shapes: litellm 1.110.2, `proxy/spend_tracking`, 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...disk.threads import in_thread
from ...errors import Forbidden, RequestError
from ...keys.items import Item
from ...keys.litellm import info_of, time_text
from ...keys.management import KeyManager
from ...keys.spend import GROUPS, Sums, add_up, day_of
from ...telemetry.prices import to_dollars
from ..exchange import Exchange
from ..queries import checked_query, choice_of, flag_of
from .requests import current, ledger_of, may_read, number
from .selected_rows import AMOUNTS, rows_of

MAX_ROWS = 10_000
"""Rows of one response."""

REPORTS = {"team": "team", "customer": "customer", "api_key": "token"}


async def spend_logs(exchange: Exchange) -> None:
    """`GET /spend/logs`: one row a request, or sums a day with `start_date` and `summarize`."""
    rows, query = await rows_of(exchange, "summarize")
    is_summary = flag_of(query, "summarize", default=True) and "start_date" in query
    read = _summaries if is_summary else _logs
    await exchange.json(await in_thread(read, rows if is_summary else rows[-MAX_ROWS:]))


def _summaries(rows: list[Item]) -> list[dict[str, Any]]:
    return [
        {
            "startTime": day,
            "spend": to_dollars(sums.cost),
            "models": _dollars(add_up(of_day, "model")),
            "users": _dollars(add_up(of_day, "user")),
            "api_keys": _dollars(add_up(of_day, "token")),
        }
        for day, sums, of_day in _days(rows)
    ]


async def spend_logs_page(exchange: Exchange) -> None:
    """`GET /spend/logs/v2`: the rows in pages, the newest first."""
    rows, query = await rows_of(exchange, "page", "page_size", *AMOUNTS)
    page, size = number(query, "page", 1, 10**6), number(query, "page_size", 50, 1_000)
    end = max(0, len(rows) - (page - 1) * size)
    await exchange.json(
        {
            "data": _logs(rows[max(0, end - size) : end])[::-1],
            "total": len(rows),
            "page": page,
            "page_size": size,
            "total_pages": -(-len(rows) // size),
        }
    )


async def spend_keys(exchange: Exchange) -> None:
    """`GET /spend/keys`: the keys that have spent the most in their windows."""
    ledger, query = ledger_of(exchange), checked_query(exchange, "limit")
    account = exchange.client.account
    if may_read(exchange):
        items = await KeyManager(ledger, "").accounts()
    elif account is not None:
        items = [account.item]
    else:
        raise Forbidden("this key may not read about keys", None, "key_not_allowed")
    most = number(query, "limit", 100, 1_000)
    shown = [info_of(current(ledger, item)) for item in items]
    await exchange.json(sorted(shown, key=lambda one: -one["spend"])[:most])


async def spend_tags(exchange: Exchange) -> None:
    """`GET /spend/tags`: the spend of each tag of keys and requests."""
    found = await in_thread(add_up, (await rows_of(exchange))[0], "tag")
    await exchange.json(
        [
            {
                "individual_request_tag": tag,
                "log_count": sums.requests,
                "total_spend": to_dollars(sums.cost),
            }
            for tag, sums in sorted(found.items(), key=lambda one: -one[1].cost)
        ]
    )


async def spend_report(exchange: Exchange) -> None:
    """`GET /global/spend/report`: spend by day and team, or by `customer` or `api_key`."""
    rows, query = await rows_of(exchange, "group_by")
    group = choice_of(query, "group_by", tuple(REPORTS), "team")
    await exchange.json(await in_thread(_report, rows, group))


def _report(rows: list[Item], group: str) -> list[dict[str, Any]]:
    if group == "api_key":
        return [_key_report(*one) for one in _grouped(rows, "token")]
    return [
        {
            "group_by_day": day,
            f"{group}s": [_part(group, *one) for one in _grouped(of_day, group)],
        }
        for day, _, of_day in _days(rows)
    ]


async def daily_activity(exchange: Exchange) -> None:
    """`GET /user/daily/activity`: each day's metrics, by model, key and team too."""
    rows, query = await rows_of(exchange, "page", "page_size", "timezone")
    if query.get("timezone", "0") != "0":
        raise RequestError("`timezone` must be 0: days are UTC", "timezone")
    is_first = number(query, "page", 1, 10**6) == 1
    await exchange.json(await in_thread(_activity, rows if is_first else []))


def _activity(rows: list[Item]) -> dict[str, Any]:
    keys = {
        row["token"]: {"key_alias": row["alias"] or None, "team_id": row["team_id"] or None}
        for row in rows
    }
    groups: Mapping[str, tuple[str, Mapping[str, dict[str, Any]]]] = {
        "models": ("model", {}),
        "api_keys": ("token", keys),
        "teams": ("team", {}),
        "tags": ("tag", {}),
    }
    results = [
        {
            "date": day,
            "metrics": _metrics(sums),
            "breakdown": {
                name: {
                    one: {"metrics": _metrics(found), "metadata": owners.get(one, {})}
                    for one, found in add_up(of_day, group).items()
                }
                for name, (group, owners) in groups.items()
            },
        }
        for day, sums, of_day in _days(rows)
    ]
    total = add_up(rows, "day").values()
    cost, requests = sum(one.cost for one in total), sum(one.requests for one in total)
    return {
        "results": results[::-1],
        "metadata": {
            "total_spend": to_dollars(cost),
            "total_api_requests": requests,
            "page": 1,
            "total_pages": 1,
            "has_more": False,
        },
    }


def _logs(rows: list[Item]) -> list[dict[str, Any]]:
    return [_log(row) for row in rows]


def _log(row: Item) -> dict[str, Any]:
    return {
        "request_id": row["request_id"],
        "api_key": row["token"],
        "model": row["model"],
        "spend": to_dollars(row["cost"]),
        "total_tokens": row["tokens"],
        "prompt_tokens": row["prompt_tokens"],
        "completion_tokens": row["completion_tokens"],
        "startTime": time_text(row["at"]),
        "endTime": time_text(row.get("ended", row["at"])),
        "request_tags": row["tags"],
        "team_id": row["team_id"],
        "user": row["user_id"],
        "end_user": row["end_user"],
        "metadata": {
            "status": row["status"],
            "mode": row["mode"],
            "spend_by_model": _by_model(row),
            **{name: row[name] for name in ("lines", "lines_by_model") if name in row},
        },
    }


def _by_model(row: Item) -> dict[str, float]:
    return {name: to_dollars(part[0]) for name, part in row["by_model"].items()}


def _dollars(found: Mapping[str, Sums]) -> dict[str, float]:
    return {name: to_dollars(sums.cost) for name, sums in found.items()}


def _days(rows: Iterable[Item]) -> list[tuple[str, Sums, list[Item]]]:
    return [(day, add_up(of_day, "day")[day], of_day) for day, of_day in _split(rows, day_of)]


def _split(rows: Iterable[Item], group: Any) -> list[tuple[str, list[Item]]]:
    found: dict[str, list[Item]] = {}
    for row in rows:
        found.setdefault(group(row), []).append(row)
    return sorted(found.items())


def _grouped(rows: Iterable[Item], group: str) -> list[tuple[str, list[Item]]]:
    return _split(rows, lambda row: next(iter(GROUPS[group](row)))[0])


def _part(group: str, name: str, rows: list[Item]) -> dict[str, Any]:
    """A team's or customer's part of a day, by model."""
    sums = add_up(rows, "model")
    return {
        f"{group}_name": name,
        "total_spend": to_dollars(sum(row["cost"] for row in rows)),
        "metadata": [
            {
                "model": model,
                "spend": to_dollars(one.cost),
                "total_tokens": one.prompt_tokens + one.completion_tokens,
            }
            for model, one in sums.items()
        ],
    }


def _key_report(token: str, rows: list[Item]) -> dict[str, Any]:
    return {
        "api_key": token,
        "total_cost": to_dollars(sum(row["cost"] for row in rows)),
        "total_input_tokens": sum(row["prompt_tokens"] for row in rows),
        "total_output_tokens": sum(row["completion_tokens"] for row in rows),
        "model_details": [
            {
                "model": model,
                "total_cost": to_dollars(one.cost),
                "total_input_tokens": one.prompt_tokens,
                "total_output_tokens": one.completion_tokens,
            }
            for model, one in add_up(rows, "model").items()
        ],
    }


def _metrics(sums: Sums) -> dict[str, Any]:
    return {
        "spend": to_dollars(sums.cost),
        "prompt_tokens": sums.prompt_tokens,
        "completion_tokens": sums.completion_tokens,
        "total_tokens": sums.prompt_tokens + sums.completion_tokens,
        "api_requests": sums.requests,
    }
