"""
LiteLLM's tables of keys, teams, users and budgets as accounts.

The hashes of keys are the same, so clients keep their keys. Source: litellm 1.110.2,
`schema.prisma` (`LiteLLM_VerificationToken`, `LiteLLM_TeamTable`, `LiteLLM_UserTable`,
`LiteLLM_BudgetTable`), 2026-11.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from msgspec import MsgspecError, Struct, field

from ..errors import RequestError
from ..wire import json
from .budgets import BudgetManager, read_budget
from .groups import GroupManager
from .ledger import HASH, Ledger
from .litellm import amount_of, changes_of, read_fields
from .management import KeyManager

LEFT_OUT = (
    "access_group_ids",
    "aliases",
    "allowed_routes",
    "auto_rotate",
    "budget_fallbacks",
    "budget_limits",
    "config",
    "members",
    "model_max_budget",
    "object_permission_id",
    "organization_id",
    "permissions",
    "policies",
    "project_id",
    "router_settings",
    "teams",
    "tpd_limit",
)
"""Columns whose effect Fanout does not have."""

EMPTY = frozenset({"", "{}", "[]", "null", "NULL", "\\N"})
OFF = EMPTY | {"f", "false", "0"}
"""What a column has whose effect is not used."""

NUMBERS: Mapping[str, Callable[[str], float]] = {
    "max_budget": float,
    "soft_budget": float,
    "tpm_limit": int,
    "rpm_limit": int,
    "max_parallel_requests": int,
}
GROUP_TEXTS = ("budget_duration",)
KEY_TEXTS = ("key_alias", "team_id", "user_id", "key_type", *GROUP_TEXTS)
USER_ROLE = "internal_user"


class Imported(Struct):
    """How many rows of a table were imported and were there already, and what was left out."""

    created: int = 0
    present: int = 0
    notes: list[str] = field(default_factory=list)


Make: TypeAlias = Callable[[Mapping[str, str]], Awaitable[tuple[bool, Sequence[str]]]]
"""Makes what a row has; whether it was not there yet, and what of it was left out."""


async def import_keys(manager: KeyManager, ledger: Ledger, text: str) -> Imported:
    """
    Make an account of each row of a CSV with a header; one that exists is left as it is.

    A key has the limits of its budget if there is one with its `budget_id`. Raises `RequestError`
    if the text is no such CSV.
    """
    budgets = BudgetManager(ledger, "")

    async def make(row: Mapping[str, str]) -> tuple[bool, Sequence[str]]:
        if not HASH.fullmatch(token := row["token"].strip()):
            raise RequestError("`token` is no SHA-256 hash")
        fields, unused = _fields(row, KEY_TEXTS, ledger.now()), _unused(row)
        if (budget_id := row.get("budget_id") or "") not in EMPTY:
            fields, is_there = await _with_budget(budgets, budget_id, fields)
            unused += [] if is_there else ["budget_id"]
        shown = row.get("key_name") or "sk-..."
        return await manager.adopt(token, shown, fields, _spent(row)), sorted(unused)

    return await _import(text, "token", "LiteLLM_VerificationToken", make)


async def import_group(manager: GroupManager, ledger: Ledger, text: str) -> Imported:
    """Make an account of each team or user of a CSV; one that exists is left as it is."""
    kind = manager.kind

    async def make(row: Mapping[str, str]) -> tuple[bool, Sequence[str]]:
        fields = _fields(row, GROUP_TEXTS, ledger.now())
        fields |= {
            name: row[column]
            for name, column in (("name", kind.alias_field), ("email", "user_email"))
            if (row.get(column) or "") not in EMPTY
        }
        unused = _unused(row)
        if (role := row.get("user_role") or "") not in {*EMPTY, USER_ROLE}:
            unused.append(f"the role {role[:40]}")
        try:
            await manager.create(row[kind.id_field], fields, _spent(row))
        except RequestError as error:
            if error.detail.code != f"{kind.name}_exists":
                raise
            return False, ()
        return True, sorted(unused)

    return await _import(text, kind.id_field, kind.index, make)


async def import_budgets(manager: BudgetManager, ledger: Ledger, text: str) -> Imported:
    """Make a budget of each row of a CSV; one that exists is left as it is."""

    async def make(row: Mapping[str, str]) -> tuple[bool, Sequence[str]]:
        given: dict[str, Any] = _numbers(row)
        if (window := row.get("budget_duration") or "") not in EMPTY:
            given["budget_duration"] = window
        try:
            await manager.create(row["budget_id"], read_budget(given, ledger.now()))
        except RequestError as error:
            if error.detail.code != "budget_exists":
                raise
            return False, ()
        return True, _unused(row)

    return await _import(text, "budget_id", "LiteLLM_BudgetTable", make)


async def _import(text: str, column: str, table: str, make: Make) -> Imported:
    reader = csv.DictReader(io.StringIO(text))
    if column not in (reader.fieldnames or ()):
        raise RequestError(f"the file has no column `{column}`: write {table} as CSV with a header")
    done = Imported()
    for number, row in enumerate(reader, 2):
        name = row.get("key_alias") or row.get("key_name") or f"{(row[column] or '')[:8]}…"
        name = name if column == "token" else row[column]
        where = f"line {number} (`{name}`)"
        try:
            is_new, unused = await make({**row, column: row[column] or ""})
        except (RequestError, ValueError) as error:
            done.notes.append(f"{where}: {error}: left out")
            continue
        done.created += is_new
        done.present += not is_new
        if unused and is_new:
            done.notes.append(f"`{name}`: imported without {', '.join(unused)}")
    return done


async def _with_budget(
    budgets: BudgetManager, budget_id: str, fields: dict[str, Any]
) -> tuple[dict[str, Any], bool]:
    """With the limits of the budget, if there is one, and the key has no limits of its own."""
    try:
        return {**await budgets.limits(budget_id, fields, None)}, True
    except RequestError:
        return fields, False


def _unused(row: Mapping[str, str]) -> list[str]:
    return [one for one in LEFT_OUT if (row.get(one) or "") not in OFF]


def _numbers(row: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: kind(row[name])
        for name, kind in NUMBERS.items()
        if (row.get(name) or "") not in EMPTY
    }


def _fields(row: Mapping[str, str], texts: Sequence[str], now: float) -> dict[str, Any]:
    """The fields of an account of a row."""
    given = _numbers(row)
    given |= {name: row[name] for name in texts if (row.get(name) or "") not in EMPTY}
    given["models"] = _array(row.get("models") or "")
    given["blocked"] = (row.get("blocked") or "").lower() in {"t", "true", "1"}
    metadata = _object(row.get("metadata") or "")
    tags = metadata.pop("tags", None)
    tags = [str(tag) for tag in tags] if isinstance(tags, list) else []
    given["tags"] = list(dict.fromkeys([*_array(row.get("tags") or ""), *tags]))
    given["metadata"] = metadata
    fields = changes_of(read_fields(given), now)
    if (expires := row.get("expires") or "") not in EMPTY:
        fields["expires_at"] = int(_time(expires).timestamp())
    return fields


def _spent(row: Mapping[str, str]) -> int:
    text = row.get("spend") or ""
    return 0 if text in EMPTY else amount_of(float(text), "spend")


def _time(text: str) -> datetime:
    """A time of Postgres, in UTC if it names no zone."""
    found = datetime.fromisoformat(text.strip())
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _array(text: str) -> list[str]:
    """Postgres's `{a,"b c"}`, or a JSON list."""
    if text in EMPTY:
        return []
    if text.startswith("["):
        found = json.decode(text.encode())
        return [str(one) for one in found] if isinstance(found, list) else []
    return next(csv.reader([text.strip("{}")], escapechar="\\"))


def _object(text: str) -> dict[str, Any]:
    if text in EMPTY:
        return {}
    try:
        found = json.decode(text.encode())
    except MsgspecError:
        raise RequestError("`metadata` is not JSON", "metadata") from None
    return found if isinstance(found, dict) else {}
