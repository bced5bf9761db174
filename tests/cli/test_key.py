"""`fanout key` makes keys for the gateway of this machine, and imports LiteLLM's."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from argparse import Namespace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from fanout.bulk.tables.writers import escaped
from fanout.cli import key_reports
from fanout.cli.key_reports import print_csv
from fanout.keys.ledger import KeyLedger
from fanout.keys.spend import NO_NAME, Sums
from fanout.wire.terminal_text import without_controls
from tests.cli.commands import Command
from tests.support.memory_store import MemoryStore

OLD = "sk-of-litellm-1234"
TOKEN = sha256(OLD.encode()).hexdigest()
METADATA = '"{""tags"": [""t""]}"'
HEADS = (
    "token,key_name,key_alias,spend,expires,models,user_id,team_id,max_parallel_requests,metadata,"
    "blocked,tpm_limit,rpm_limit,max_budget,budget_duration,budget_id,created_at,tags"
)
ABSENT = "that are not here, whose models and limits their keys do not have"
WRONG_WINDOW = "`budget_duration` must be a number with s, m, h, d, w or mo, such as `30d`"
TABLE = f"""{HEADS}
{TOKEN},sk-...1234,search,1.25,,"{{a,""x y""}}",u1,red,3,{METADATA},f,100,10,5,30d,b-1,,{{new}}
not-a-hash,sk-...,bad,0,,{{}},,,,,f,,,,,,
{sha256(b"2").hexdigest()},sk-...0002,yearly,0,,{{}},,,,,f,,,1,1y,,
{sha256(b"3").hexdigest()},sk-...0003,rich,1e300,,{{}},,,,,f,,,1,1d,,
"""


def test_a_key_is_made_changed_listed_and_deleted(fanout: Command) -> None:
    made = fanout("key", "create", "--alias", "ci", "--models", "a, b", "--budget", "5", "--json")
    assert made.code == 0
    assert made.json["key"].startswith("sk-fo_")
    assert (made.json["models"], made.json["max_budget"]) == (["a", "b"], 5.0)
    changed = fanout("key", "update", "ci", "--window", "1mo", "--rpm", "60", "--json").json
    assert (changed["budget_duration"], changed["rpm_limit"], changed["max_budget"]) == (
        "1mo",
        60,
        5,
    )
    cleared = ("--budget", "none", "--rpm", "none", "--window", "none", "--expires", "none")
    changed = fanout("key", "update", "ci", *cleared, "--tpm", "5", "--json").json
    names = ("max_budget", "rpm_limit", "budget_duration", "expires", "tpm_limit")
    assert [changed[name] for name in names] == [None, None, None, None, 5]
    assert "invalid float or none value" in fanout("key", "update", "ci", "--budget", "x").err
    assert fanout("key", "block", made.json["token"], "--json").json["blocked"] is True
    listed = fanout("key", "list")
    assert "ci" in listed.out
    assert "blocked" in listed.out
    assert made.json["key"] not in listed.out
    again = fanout("key", "regenerate", "ci", "--overlap", "1h")
    assert again.out.startswith("sk-fo_")
    token = fanout("key", "info", "ci", "--json").json["token"]
    assert fanout("key", "reset-spend", "ci", "--json").json["spend"] == 0
    assert fanout("key", "delete", "ci").code == 0
    assert fanout("key", "list", "--json").json == {"keys": []}
    changes = fanout("key", "audit", "--json").json["audit"]
    actions = ["delete", "reset_spend", "regenerate", "block", "update", "update", "create"]
    assert [one["action"] for one in changes] == actions
    assert fanout("key", "audit").out.count("reset_spend") == 1
    other = fanout("key", "create", "--json")
    assert "once the config has `general_settings.master_key`" in other.err
    token = other.json["token"]
    missing = fanout("key", "info", "ci")
    assert (missing.code, missing.err) == (2, "fanout: there is no such key\n")
    wrong = [
        ("create", "--window", "1y"),
        ("create", "--window", "999999mo"),
        ("reset-spend", token, "--to", "inf"),
        ("reset-spend", token, "--to", "-1"),
        ("spend", "--to", "9999-12-31"),
    ]
    done = [fanout("key", *arguments) for arguments in wrong]
    assert [(one.code, "Traceback" in one.err) for one in done] == [(2, False)] * len(wrong)
    assert fanout("key", "spend", "--csv").out == (
        "key,alias,spend,requests,prompt_tokens,completion_tokens\n"
    )


def test_a_csv_has_an_empty_cell_for_no_team(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_reports, "add_up", lambda *_: {NO_NAME: Sums(2_000_000, 1, 3, 4)})
    ledger = KeyLedger(MemoryStore(), lease=60)
    options = Namespace(start=None, end=None, by="team", json=False, csv=True)
    asyncio.run(key_reports.show_spend(options, ledger))
    assert capsys.readouterr().out.splitlines()[1].split(",") == ["", "0.002", "1", "3", "4"]


def test_the_spend_of_a_key_has_its_hash_and_its_latest_alias(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def row(token: str, alias: str) -> dict[str, Any]:
        counts = {"cost": 1_000_000, "prompt_tokens": 1, "completion_tokens": 2}
        return {"token": token, "alias": alias, "by_model": {}, "status": "settled", **counts}

    async def collect(*_: object) -> list[dict[str, Any]]:
        return [row("h1", ""), row("h1", "old"), row("h2", ""), row("h1", "new")]

    monkeypatch.setattr(key_reports, "collect", collect)
    ledger = KeyLedger(MemoryStore(), lease=60)
    for options in ({"csv": True, "json": False}, {"csv": False, "json": True}):
        given = Namespace(start=None, end=None, by="key", **options)
        asyncio.run(key_reports.show_spend(given, ledger))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == ["h1,new,0.003,3,3,6", "h2,,0.001,1,1,2"]
    assert [(one["key"], one["alias"]) for one in json.loads("".join(lines[3:]))["spend"]] == [
        ("h1", "new"),
        ("h2", ""),
    ]


@pytest.mark.parametrize("kind", ["key", "team", "user", "budget"])
def test_no_budget_is_listed_as_zero(fanout: Command, kind: str) -> None:
    names = ("--alias", "small") if kind == "key" else ("--id", "small")
    assert fanout(kind, "create", *names, "--budget", "0.0003").code == 0
    assert "$0.0003" in fanout(kind, "list").out


def test_no_cell_of_a_csv_for_people_is_a_formula(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv([("tag", "spend"), ("=1+1", 0.5), ("@a", -2), ("plain", 1e-9)])
    assert capsys.readouterr().out == "tag,spend\n'=1+1,0.5\n'@a,-2\nplain,0.000000001\n"
    signs = [*"=+-@", *(chr(ord(sign) + 0xFEE0) for sign in "=+-@")]  # also the wide forms
    before = ["", "\t", "\r", "\n", "\r\n", "\0", "\x1b", "\x85", "\u202e"]
    cells = [f"{text}{sign}cmd" for text in before for sign in signs]
    print_csv([("tag",), *((cell,) for cell in cells)])
    _, *found = csv.reader(io.StringIO(capsys.readouterr().out, newline=""))
    assert found == [[f"'{without_controls(cell)}"] for cell in cells]
    assert [cell for cell in cells[: -len(signs) * 2] if not escaped(cell).startswith("'")] == []


def test_litellms_keys_are_imported_once_and_what_is_left_out_is_named(
    fanout: Command, tmp_path: Path
) -> None:
    table = tmp_path / "keys.csv"
    table.write_text(TABLE)
    done = fanout("key", "import", table, "--json").json
    assert (done["imported"], done["present"]) == (1, 0)
    assert done["notes"] == [
        "`search`: imported without budget_id",
        "line 3 (`bad`): `token` is no SHA-256 hash: left out",
        f"line 4 (`yearly`): {WRONG_WINDOW}: left out",
        "line 5 (`rich`): `spend` must be an amount from 0 to 100000000 US dollars: left out",
        f"teams {ABSENT}: red",
        f"users {ABSENT}: u1",
    ]
    info = fanout("key", "info", OLD, "--json").json
    expected = {
        "token": TOKEN,
        "key_alias": "search",
        "spend": 1.25,
        "models": ["a", "x y"],
        "team_id": "red",
        "max_parallel_requests": 3,
        "tags": ["new", "t"],
        "rpm_limit": 10,
        "max_budget": 5.0,
        "budget_duration": "30d",
        "blocked": False,
    }
    assert {name: info[name] for name in expected} == expected
    again = fanout("key", "import", table, "--json").json
    assert (again["imported"], again["present"]) == (0, 1)
    table.write_text("a,b\n1,2\n")
    assert "has no column `token`" in fanout("key", "import", table).err
    refused = fanout("key", "import", "mysql://x:secretpw@y/z")
    assert (refused.code, "secretpw" in refused.err) == (2, False)
    assert "must be Postgres" in refused.err


def test_teams_users_and_budgets_are_made_changed_and_deleted(fanout: Command) -> None:
    made = fanout("budget", "create", "--id", "gold", "--budget", "5", "--window", "1mo", "--json")
    assert (made.json["budget_id"], made.json["max_budget"]) == ("gold", 5)
    email = ("--email", "ann@example.com")
    for kind, more in (("team", ()), ("user", email)):
        alias = ("--alias", "Search", "--models", "a, b", "--budget-id", "gold")
        one = fanout(kind, "create", "--id", "x", *alias, *more, "--json").json
        shown = [one[name] for name in (f"{kind}_id", f"{kind}_alias", "models", "max_budget")]
        assert shown == ["x", "Search", ["a", "b"], 5]
        assert fanout(kind, "block", "x", "--json").json["blocked"] is True
        assert "blocked" in fanout(kind, "list").out
        assert fanout(kind, "update", "x", "--rpm", "5").code == 2
    key = fanout("key", "create", "--alias", "k", "--team", "x", "--budget-id", "gold", "--json")
    assert key.json["max_budget"] == 5
    assert fanout("budget", "update", "gold", "--budget", "7").code == 0
    assert fanout("team", "info", "x", "--json").json["max_budget"] == 7
    assert fanout("key", "info", "k", "--json").json["max_budget"] == 7
    printed = fanout("team", "info", "x").out + fanout("key", "info", "k").out
    assert "tpm_limit: none\n" in printed
    assert 'models: ["a","b"]\n' in printed
    assert "None" not in printed
    assert fanout("user", "info", "x", "--json").json["user_email"] == "ann@example.com"
    assert fanout("budget", "list", "--json").json["budgets"][0]["max_budget"] == 7
    assert fanout("team", "delete", "x").out == "deleted x\n"
    assert fanout("key", "list", "--json").json == {"keys": []}
    assert fanout("budget", "delete", "gold").code == 0
    assert fanout("user", "update", "x", "--budget-id", "", "--rpm", "5").code == 0
    assert fanout("user", "info", "y").err == "fanout: there is no such user\n"
