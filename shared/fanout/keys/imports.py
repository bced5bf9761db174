"""
LiteLLM's tables of keys, teams, users and budgets as accounts.

The hashes of keys are the same, so clients keep their keys. `import_rows.py` reads the columns.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import Struct, field

from ..errors import RequestError
from .account import account_key
from .budgets import BudgetManager, read_budget
from .groups import KINDS, GroupManager, Kind
from .import_rows import (
    GROUP_TEXTS,
    KEY_TEXTS,
    Row,
    fields_of,
    has,
    numbers,
    rights_of,
    spent_of,
    unused,
    zero_note,
)
from .ledger import HASH, KeyLedger
from .management import MAX_ID, KeyManager

USER_ROLE = "internal_user"
SHOWN = 20
"""Teams or users that a note names."""

SUFFIX = 8
"""Characters of a key's hash that are added to its alias, if another key has that."""


class Imported(Struct):
    """How many rows of a table were imported and were there already, and what was left out."""

    created: int = 0
    present: int = 0
    notes: list[str] = field(default_factory=list)


class Made(Struct):
    """
    What was made of a row: whether it was not there yet, and what a note says of it.

    `left_out` are names of what has no effect here, `how` says how it differs.
    """

    is_new: bool
    left_out: Sequence[str] = ()
    how: Sequence[str] = ()

    @property
    def note(self) -> str:
        """How the row was imported; empty if nothing of it is different."""
        without = [f"without {', '.join(sorted(self.left_out))}"] if self.left_out else []
        return "; ".join([*self.how, *without])


Make: TypeAlias = Callable[[Row], Awaitable[Made]]


async def import_keys(manager: KeyManager, ledger: KeyLedger, text: str) -> Imported:
    """
    Make an account of each row of a CSV with a header; one that exists is left as it is.

    A key has the limits of its budget if there is one with its `budget_id`, and a note names the
    teams and users that there are not. Raises `RequestError` if the text is no such CSV.
    """
    budgets, absent = BudgetManager(ledger, ""), _Absent(ledger)

    async def make(row: Row) -> Made:
        if not HASH.fullmatch(token := row["token"].strip()):
            raise RequestError("`token` is no SHA-256 hash")
        fields, left_out = fields_of(row, KEY_TEXTS, ledger.now()), unused(row)
        rights, how = rights_of(row)
        fields |= rights
        how += zero_note(row)
        if has(row, "budget_id"):
            fields, is_there = await _with_budget(budgets, row["budget_id"], fields)
            left_out += [] if is_there else ["budget_id"]
        shown = row.get("key_name") or "sk-..."
        try:
            is_new = await manager.import_key(token, shown, fields, spent_of(row))
        except RequestError as error:
            if error.detail.code != "alias_exists":
                raise
            alias = f"{fields['alias'][: MAX_ID - SUFFIX - 1]}-{token[:SUFFIX]}"
            how.append(f"with the alias `{alias}`, because another key has its own")
            is_new = await manager.import_key(
                token, shown, {**fields, "alias": alias}, spent_of(row)
            )
        if is_new:
            await absent.look(fields)
        return Made(is_new, left_out, how)

    done = await _import(text, "token", "LiteLLM_VerificationToken", make)
    done.notes += absent.notes()
    return done


class _Absent:
    """The teams and users that keys name and that are not there: LiteLLM's limits of them."""

    def __init__(self, ledger: KeyLedger) -> None:
        self._store = ledger.store
        self._is_there: dict[Kind, dict[str, bool]] = {kind: {} for kind in KINDS}

    async def look(self, fields: Mapping[str, Any]) -> None:
        """Look whether the team and the user of a key are there."""
        for kind, known in self._is_there.items():
            if (name := fields.get(kind.id_field)) and name not in known:
                found = await self._store.get(account_key(f"{kind.prefix}{name}"))
                known[name] = found is not None

    def notes(self) -> list[str]:
        """What is not there, by name."""
        found: list[str] = []
        for kind, known in self._is_there.items():
            if names := [name for name, is_there in known.items() if not is_there]:
                more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
                what = "that are not here, whose models and limits their keys do not have"
                found.append(f"{kind.index} {what}: {', '.join(names[:SHOWN])}{more}")
        return found


async def import_group(manager: GroupManager, ledger: KeyLedger, text: str) -> Imported:
    """Make an account of each team or user of a CSV; one that exists is left as it is."""
    kind = manager.kind

    async def make(row: Row) -> Made:
        fields = fields_of(row, GROUP_TEXTS, ledger.now())
        fields |= {
            name: row[column]
            for name, column in (("name", kind.alias_field), ("email", "user_email"))
            if has(row, column)
        }
        left_out = [name for name in unused(row) if name != kind.id_field]
        if has(row, "user_role") and (role := row["user_role"]) != USER_ROLE:
            left_out.append(f"the role {role[:40]}")
        try:
            await manager.create(row[kind.id_field], fields, spent_of(row))
        except RequestError as error:
            if error.detail.code != f"{kind.name}_exists":
                raise
            return Made(is_new=False)
        return Made(True, left_out, zero_note(row))

    return await _import(text, kind.id_field, kind.index, make)


async def import_budgets(manager: BudgetManager, ledger: KeyLedger, text: str) -> Imported:
    """Make a budget of each row of a CSV; one that exists is left as it is."""

    async def make(row: Row) -> Made:
        given: dict[str, Any] = numbers(row)
        if has(row, "budget_duration"):
            given["budget_duration"] = row["budget_duration"]
        try:
            await manager.create(row["budget_id"], read_budget(given, ledger.now()))
        except RequestError as error:
            if error.detail.code != "budget_exists":
                raise
            return Made(is_new=False)
        return Made(True, unused(row))

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
            made = await make({**row, column: row[column] or ""})
        except (RequestError, ValueError) as error:
            done.notes.append(f"{where}: {error}: left out")
            continue
        done.created += made.is_new
        done.present += not made.is_new
        if made.is_new and made.note:
            done.notes.append(f"`{name}`: imported {made.note}")
    return done


async def _with_budget(
    budgets: BudgetManager, budget_id: str, fields: dict[str, Any]
) -> tuple[dict[str, Any], bool]:
    """With the limits of the budget, if there is one, and the key has no limits of its own."""
    try:
        return {**await budgets.limits(budget_id, fields, None)}, True
    except RequestError:
        return fields, False
