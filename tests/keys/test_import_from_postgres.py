"""
LiteLLM's keys, teams, users and budgets come from its database, and nothing is written to it.

The database is a stand-in with psycopg's calls. Its CSV is what Postgres 15 writes of the tables of
LiteLLM 1.110.2.
"""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fanout.errors import ConfigError
from fanout.keys.budgets import BudgetManager
from fanout.keys.groups import KINDS, GroupManager
from fanout.keys.imports import import_budgets, import_group, import_keys
from fanout.keys.ledger import KeyLedger
from fanout.keys.litellm import info_of
from fanout.keys.management import KeyManager
from fanout.keys.postgres import read_tables
from fanout.keys.sqlite_store import SQLiteStore

TOKENS = [sha256(name.encode()).hexdigest() for name in ("one", "two")]
CSV = {
    "LiteLLM_BudgetTable": (
        "budget_id,max_budget,soft_budget,rpm_limit,budget_duration\ngold,100,,60,30d\nodd,1,,,1y\n"
    ),
    "LiteLLM_TeamTable": (
        "team_id,team_alias,models,max_budget,spend,budget_duration,members,metadata,blocked\n"
        't1,Search,{gpt-4o},500,12.5,30d,{u1},"{""floor"": 2}",f\n'
    ),
    "LiteLLM_UserTable": (
        "user_id,user_alias,user_email,user_role,max_budget,models,teams\n"
        "u1,Ann,ann@example.com,internal_user,20,{},{}\nu2,,,proxy_admin,,{},{}\n"
    ),
    "LiteLLM_VerificationToken": (
        "token,key_name,key_alias,spend,models,user_id,team_id,max_budget,budget_id,auto_rotate\n"
        f"{TOKENS[0]},sk-...0001,one,1.25,{{}},u1,t1,,gold,f\n"
        f"{TOKENS[1]},sk-...0002,two,0,{{}},,,0,,t\n"
    ),
}
ADDRESS = "postgresql://ann:s3cr3t@db.example/litellm?schema=llm&connection_limit=5&sslmode=require"


class Database:
    """A connection and its cursor: it must be made read-only before anything is read."""

    def __init__(self) -> None:
        self.read_only = False
        self.address = ""
        self.said: list[str] = []

    Error = psycopg.Error

    @contextmanager
    def connect(self, address: str) -> Iterator[Database]:
        self.address = address
        yield self

    @contextmanager
    def cursor(self) -> Iterator[Database]:
        assert self.read_only
        yield self

    def execute(self, statement: str, values: tuple[str]) -> None:
        self.said.append(f"{statement} {values}")

    def fetchall(self) -> list[tuple[str]]:
        return [(name,) for name in CSV]

    @contextmanager
    def copy(self, statement: str) -> Iterator[list[memoryview]]:
        self.said.append(statement)
        table = statement.partition('."')[2].partition('"')[0]
        yield [memoryview(CSV[table].encode())]


async def imported(ledger: KeyLedger, tables: Any) -> list[tuple[int, int, list[str]]]:
    done = [await import_budgets(BudgetManager(ledger, "x"), ledger, tables["budgets"])]
    for kind in KINDS:
        manager = GroupManager(ledger, "x", kind)
        done.append(await import_group(manager, ledger, tables[kind.index]))
    done.append(await import_keys(KeyManager(ledger, "x"), ledger, tables["keys"]))
    return [(one.created, one.present, one.notes) for one in done]


def test_the_tables_are_read_only_and_imported_once(tmp_path: Path) -> None:
    database = Database()
    tables = read_tables(ADDRESS, database)
    assert "schema" not in database.address
    assert "connection_limit" not in database.address
    assert "sslmode=require" in database.address
    assert all(one.startswith(("SELECT ", 'COPY (SELECT * FROM "llm"')) for one in database.said)

    async def run() -> None:
        ledger = KeyLedger(SQLiteStore(tmp_path / "keys.sqlite"), lease=60)
        wrong = "`budget_duration` must be a number with s, m, h, d, w or mo, such as `30d`"
        assert await imported(ledger, tables) == [
            (1, 0, [f"line 3 (`odd`): {wrong}: left out"]),
            (1, 0, ["`t1`: imported without members"]),
            (2, 0, ["`u2`: imported without the role proxy_admin"]),
            (2, 0, ["`two`: imported without auto_rotate"]),
        ]
        again = [(created, present) for created, present, _ in await imported(ledger, tables)]
        assert again == [(0, 1), (0, 1), (0, 2), (0, 2)]
        keys = KeyManager(ledger, "")
        one, two = [info_of(await keys.find(token)) for token in TOKENS]
        shown = ("max_budget", "rpm_limit", "budget_id", "team_id", "user_id", "spend")
        assert [one[name] for name in shown] == [100, 60, "gold", "t1", "u1", 1.25]
        assert two["max_budget"] == 0
        team = info_of(await GroupManager(ledger, "", KINDS[0]).find("t1"))
        assert (team["max_budget"], team["spend"], team["models"]) == (500, 12.5, ["gpt-4o"])
        user = await GroupManager(ledger, "", KINDS[1]).find("u1")
        assert (user["name"], user["email"]) == ("Ann", "ann@example.com")
        ledger.store.close()

    asyncio.run(run())


def test_no_right_and_no_limit_is_lost_without_a_note(tmp_path: Path) -> None:
    """A key that would have more rights here is blocked."""
    rows: dict[str, tuple[dict[str, str], tuple[str, bool], str]] = {
        "reader": (
            {"allowed_routes": "{info_routes}"},
            ("read_only", False),
            "as a key of type `read_only`",
        ),
        "manager": (
            {"allowed_routes": "{management_routes}"},
            ("management", False),
            "as a key of type `management`",
        ),
        "caller": ({"allowed_routes": "{llm_api_routes}"}, ("llm_api", False), ""),
        "some": (
            {"allowed_routes": "{/chat/completions,/models}"},
            ("llm_api", True),
            "blocked, because of its allowed_routes",
        ),
        "zero": ({"rpm_limit": "0"}, ("llm_api", True), "blocked, because of its rpm_limit of 0"),
        "inner": (
            {"metadata": '{"guardrails": ["x"], "model_rpm_limit": {"a": 1}, "note": "y"}'},
            ("llm_api", False),
            "without metadata.guardrails, metadata.model_rpm_limit",
        ),
        "columns": (
            {"allowed_cache_controls": "{no-cache}", "agent_id": "a1", "of_a_later_version": "1"},
            ("llm_api", False),
            "without agent_id, allowed_cache_controls, of_a_later_version",
        ),
        "free": ({"updated_at": "2026-11-01", "budget_fallbacks": "{}"}, ("llm_api", False), ""),
        "twin": ({"key_alias": "free"}, ("llm_api", False), "with the alias `free-{token}`"),
    }
    heads = ["token", "key_alias", *{name: 0 for given, _, _ in rows.values() for name in given}]
    text, tokens = StringIO(), {name: sha256(name.encode()).hexdigest() for name in rows}
    writer = csv.DictWriter(text, list(dict.fromkeys(heads)))
    writer.writeheader()
    for name, (given, _, _) in rows.items():
        writer.writerow({"token": tokens[name], "key_alias": name, **given})

    async def run() -> None:
        ledger = KeyLedger(SQLiteStore(tmp_path / "keys.sqlite"), lease=60)
        manager = KeyManager(ledger, "x")
        done = await import_keys(manager, ledger, text.getvalue())
        assert done.created == len(rows)
        found = {name: info_of(await manager.find(token)) for name, token in tokens.items()}
        kinds = {name: (one["key_type"], one["blocked"]) for name, one in found.items()}
        assert kinds == {name: kind for name, (_, kind, _) in rows.items()}
        wanted = [
            f"imported {how.format(token=tokens[name][:8])}"
            for name, (_, _, how) in rows.items()
            if how
        ]
        assert len(done.notes) == len(wanted)
        assert all(text in note for text, note in zip(wanted, done.notes, strict=True))
        again = await import_keys(manager, ledger, text.getvalue())
        assert (again.created, again.present) == (0, len(rows))
        budgets = "budget_id,max_budget,temp_budget_increase\nb,1,5\n"
        noted = await import_budgets(BudgetManager(ledger, "x"), ledger, budgets)
        assert noted.notes == ["`b`: imported without temp_budget_increase"]
        ledger.store.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ann:s3cr3t@127.0.0.1:1/litellm",
        "postgresql://ann:s3cr3t@127.0.0.1:s3cr3t/litellm",
        "postgresql://[s3cr3t",
    ],
)
def test_no_error_of_a_database_has_its_password(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_tables(address)
    assert "s3cr3t" not in str(caught.value)
    assert "database" in str(caught.value)
