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
from hypothesis import given
from hypothesis import strategies as st

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


def test_no_limit_is_lost_without_a_note(tmp_path: Path) -> None:
    rows: dict[str, tuple[dict[str, str], tuple[str, bool], str]] = {
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
        "free": (
            {"settings_updated_at": "2026-11-01", "budget_fallbacks": "{}"},
            ("llm_api", False),
            "",
        ),
        "twin": ({"key_alias": "free"}, ("llm_api", False), "with the alias `free-{token}`"),
    }
    heads = ["token", "key_alias", *{name: 0 for given, _, _ in rows.values() for name in given}]
    text, tokens = StringIO(), {name: sha256(name.encode()).hexdigest() for name in rows}
    writer = csv.DictWriter(text, list(dict.fromkeys(heads)))
    writer.writeheader()
    for name, (cells, _, _) in rows.items():
        writer.writerow({"token": tokens[name], "key_alias": name, **cells})

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


LISTS = "which may list no keys, teams or users, for its allowed_routes info_routes"
MANAGES = "which may manage no keys, teams or users, for its allowed_routes"
ROUTES: dict[str, tuple[str, bool, str]] = {
    "": ("llm_api", False, ""),
    "llm_api_routes": ("llm_api", False, ""),
    "llm_api_routes_without_mcp": ("llm_api", False, ""),
    "info_routes": ("info", False, f"as a key of type `info`, {LISTS}"),
    "management_routes": ("info", False, f"as a key of type `info`, {MANAGES} management_routes"),
    "info_routes,management_routes": (
        "info",
        False,
        f"as a key of type `info`, {MANAGES} info_routes, management_routes",
    ),
    "llm_api_routes,info_routes": ("llm_api", False, f"as a key of type `llm_api`, {LISTS}"),
    "llm_api_routes,management_routes": (
        "llm_api",
        False,
        f"as a key of type `llm_api`, {MANAGES} management_routes",
    ),
    "llm_api_routes,/x": ("llm_api", False, "without its allowed_routes /x"),
    "management_routes,/x/*": (
        "info",
        False,
        f"as a key of type `info`, {MANAGES} management_routes; without its allowed_routes /x/*",
    ),
    "openai_routes": ("llm_api", True, "blocked, because of its allowed_routes openai_routes"),
    "spend_tracking_routes": (
        "llm_api",
        True,
        "blocked, because of its allowed_routes spend_tracking_routes",
    ),
    "/chat/completions,/models": (
        "llm_api",
        True,
        "blocked, because of its allowed_routes /chat/completions, /models",
    ),
    "/key/info": ("llm_api", True, "blocked, because of its allowed_routes /key/info"),
    "/*": ("llm_api", True, "blocked, because of its allowed_routes /*"),
}
"""LiteLLM's `allowed_routes`: the key's type, whether it is blocked, and what is said of it."""


@pytest.mark.parametrize("kind", ["", "default", "management", "read_only", "llm_api"])
def test_no_key_manages_or_reads_others_after_an_import(tmp_path: Path, kind: str) -> None:
    """What a key of LiteLLM manages depends on its user's role, whatever its `key_type` says."""
    text, tokens = StringIO(), {name: sha256(name.encode()).hexdigest() for name in ROUTES}
    writer = csv.writer(text)
    writer.writerow(["token", "key_alias", "allowed_routes", "key_type"])
    for number, (name, token) in enumerate(tokens.items()):
        writer.writerow([token, f"key-{number}", f"{{{name}}}", kind])

    async def run() -> None:
        ledger = KeyLedger(SQLiteStore(tmp_path / "keys.sqlite"), lease=60)
        manager = KeyManager(ledger, "x")
        done = await import_keys(manager, ledger, text.getvalue())
        assert done.created == len(ROUTES)
        found = {name: info_of(await manager.find(token)) for name, token in tokens.items()}
        notes = dict(note.split(": imported ", 1) for note in done.notes)
        shown = {
            name: (one["key_type"], one["blocked"], notes.get(f"`{one['key_alias']}`", ""))
            for name, one in found.items()
        }
        assert shown == ROUTES
        ledger.store.close()

    asyncio.run(run())


def test_absent_teams_and_users_of_keys_are_named_once(tmp_path: Path) -> None:
    text = "token,team_id,user_id,spend,total_spend\n" + "".join(
        f"{sha256(bytes([number])).hexdigest()},t{number % 30},u,1,7.5\n" for number in range(60)
    )

    async def run() -> None:
        ledger = KeyLedger(SQLiteStore(tmp_path / "keys.sqlite"), lease=60)
        await GroupManager(ledger, "x", KINDS[0]).create("t0", {})
        manager = KeyManager(ledger, "x")
        done = await import_keys(manager, ledger, text)
        teams, users = done.notes
        words = "that are not here, whose models and limits their keys do not have:"
        assert teams.startswith(f"teams {words} t1, t2, ")
        assert teams.endswith(" t20 and 9 more")
        assert users == f"users {words} u"
        info = info_of(await manager.find(sha256(b"\0").hexdigest()))
        assert (info["spend"], info["total_spend"]) == (1.0, 7.5)
        ledger.store.close()

    asyncio.run(run())


MARKER = "s3cr3tM"
SAID = [
    'connection to server at "{}", port 1 failed: Connection refused',
    'invalid integer value "{}" for connection option "port"',
    'missing "=" after "{}" in connection info string',
    'FATAL:  password authentication failed for user "{}"',
    'FATAL:  database "{}" does not exist',
    "{}",
]
"""What libpq says, with a part of the address."""


class Talkative:
    """A database whose error repeats a part of its address."""

    Error = psycopg.Error

    def __init__(self, said: str) -> None:
        self._said = said

    def connect(self, address: str) -> Any:
        raise psycopg.OperationalError(self._said.format(address[address.find(MARKER) :]))


@given(
    before=st.text("ab:/@?#[]%=& '", max_size=12),
    after=st.text("ab:/@?#[]%=& '", max_size=12),
    said=st.sampled_from(SAID),
)
def test_no_error_of_a_database_has_a_part_of_its_address(
    before: str, after: str, said: str
) -> None:
    with pytest.raises(ConfigError, match="database") as caught:
        read_tables(f"postgresql://{before}{MARKER}{after}", Talkative(said))
    assert MARKER not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("postgresql://ann:s3cr3tM@127.0.0.1:1/litellm", "connection refused"),
        ("postgresql://ann:s3cr3tM@127.0.0.1:s3cr3tM/litellm", "its address"),
        ("postgresql://[s3cr3tM", "not valid"),
    ],
)
def test_the_drivers_own_errors_have_no_password(address: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        read_tables(address)
    assert MARKER not in str(caught.value)
