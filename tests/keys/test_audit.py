"""The audit of changes has the names and units of `/key/info`, and each action that there is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fanout.keys.audit import ACTIONS, shown_changes, write_audit
from fanout.keys.ledger import KeyLedger
from fanout.keys.sqlite_store import SQLiteStore
from tests.cli.commands import CommandResult, code_of
from tests.keys.test_keys_over_http import ADMIN, manage
from tests.keys.test_keys_over_http import gateway as gateway  # noqa: PLC0414 -- fixtures
from tests.keys.test_keys_over_http import home as home  # noqa: PLC0414
from tests.keys.test_keys_over_http import willing as willing  # noqa: PLC0414
from tests.support.gateway_server import RunningGateway

SET: dict[str, Any] = {
    "key_alias": "audited",
    "duration": "30d",
    "models": ["a"],
    "max_budget": 12.5,
    "soft_budget": 0.000001,
    "budget_duration": "1mo",
    "rpm_limit": 5,
    "tpm_limit": 6,
    "max_parallel_requests": 7,
    "metadata": {"a": 1},
    "tags": ["t"],
    "team_id": "audited-team",
    "user_id": "audited-user",
    "blocked": True,
    "key_type": "info",
}
SHOWN = {"duration": "expires"}


def changes(gateway: RunningGateway, object_id: str) -> list[dict[str, Any]]:
    found = manage(gateway, f"/audit?object_id={object_id}&page_size=100")
    return [row["updated_values"] for row in found["audit_logs"]]


def test_each_field_is_logged_as_it_is_shown(gateway: RunningGateway, home: Path) -> None:
    made = manage(gateway, "/key/generate", SET)
    token = made["token"]
    info = manage(gateway, f"/key/info?key={token}")["info"]
    (created,) = changes(gateway, token)
    assert created == {name: info[name] for name in created}
    assert created.keys() == {SHOWN.get(name, name) for name in SET}
    assert created["max_budget"] == 12.5
    assert created["soft_budget"] == 0.000001
    assert created["expires"].endswith("+00:00")
    removed = {name: None for name in SET if name != "key_type"}
    manage(gateway, "/key/update", {"key": token, **removed})
    info = manage(gateway, f"/key/info?key={token}")["info"]
    cleared, _ = changes(gateway, token)
    assert cleared == {name: info[name] for name in cleared}
    for name in ("max_budget", "rpm_limit", "expires", "key_alias", "budget_duration", "team_id"):
        assert cleared[name] is None
    manage(gateway, f"/key/{token}/reset_spend", {"reset_to": 2.5})
    manage(gateway, f"/key/{token}/regenerate", {"grace_period": "1h"})
    replaced, reset, *_ = changes(gateway, token)
    assert reset == {"spend": 2.5}
    assert replaced["previous_key_expires"].startswith("20")
    assert replaced.keys() == {"token", "key_name", "previous_key_expires"}
    assert made["key"] not in str(changes(gateway, token))


def test_each_action_is_one_that_may_be_asked_for(gateway: RunningGateway) -> None:
    key = manage(gateway, "/key/generate", {"key_alias": "acted"})["token"]
    for path in ("/key/block", "/key/unblock", "/key/update"):
        manage(gateway, path, {"key": key, **({"rpm_limit": 1} if "update" in path else {})})
    manage(gateway, f"/key/{key}/reset_spend", {})
    manage(gateway, "/budget/new", {"budget_id": "acted", "rpm_limit": 3})
    manage(gateway, "/key/generate", {"budget_id": "acted"})
    manage(gateway, "/budget/update", {"budget_id": "acted", "rpm_limit": 4})
    manage(gateway, "/budget/delete", {"id": "acted"})
    for kind in ("team", "user"):
        named = {f"{kind}_id": f"acted-{kind}"}
        manage(gateway, f"/{kind}/new", {**named, f"{kind}_alias": "Acted"})
        manage(gateway, f"/{kind}/update", {**named, "max_budget": 3, f"{kind}_alias": None})
        logged = changes(gateway, f"acted-{kind}")
        assert logged[0] == {"max_budget": 3.0, f"{kind}_alias": None}
        assert logged[1][f"{kind}_alias"] == "Acted"
    manage(gateway, "/team/block", {"team_id": "acted-team"})
    manage(gateway, "/team/unblock", {"team_id": "acted-team"})
    manage(gateway, "/team/delete", {"team_ids": ["acted-team"]})
    manage(gateway, "/user/delete", {"user_ids": ["acted-user"]})
    manage(gateway, f"/key/{key}/regenerate", {})
    manage(gateway, "/key/delete", {"keys": [key]})
    page, found = 1, set()
    while rows := manage(gateway, f"/audit?page={page}&page_size=100")["audit_logs"]:
        found |= {row["action"] for row in rows}
        for row in rows:
            shown = row["updated_values"]
            assert not {"alias", "name", "expires_at", "parallel_limit", "spent"} & shown.keys()
            assert 10**18 not in shown.values()
        page += 1
    assert found <= set(ACTIONS)
    assert set(ACTIONS) - found == {"import", "block_user", "unblock_user"}, "not over HTTP"
    for action in ACTIONS:
        assert manage(gateway, f"/audit?action={action}")["page"] == 1


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("action", "bogus", "reset_spend"),
        ("table_name", "bogus", "LiteLLM_TeamTable"),
        ("sort_by", "action", "updated_at"),
        ("sort_order", "up", "asc"),
    ],
)
def test_a_wrong_value_is_rejected_with_what_there_is(
    gateway: RunningGateway, name: str, value: str, known: str
) -> None:
    status, _, body = gateway.json(None, f"/audit?{name}={value}", "GET", ADMIN)
    assert (status, body["error"]["param"]) == (400, name)
    assert known in body["error"]["message"]


def test_the_command_prints_dollars_times_and_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FANOUT_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")

    def fanout(*words: str) -> CommandResult:
        return CommandResult(code_of(*words), *capsys.readouterr())

    set_ = ("--budget", "2.5", "--parallel", "3", "--expires", "30d", "--alias", "k")
    assert fanout("key", "create", *set_).code == 0
    cleared = ("--budget", "none", "--parallel", "none", "--expires", "none")
    assert fanout("key", "update", "k", *cleared).code == 0
    last, first = fanout("key", "audit", "--json").json["audit"]
    assert first["changes"]["max_budget"] == 2.5
    assert first["changes"]["expires"].startswith("20")
    assert last["changes"] == {
        "max_budget": None,
        "max_parallel_requests": None,
        "expires": None,
    }
    for words in ((), ("--csv",)):
        printed = fanout("key", "audit", *words).out.replace('""', '"')
        assert '"max_budget":null' in printed
        assert '"max_budget":2.5' in printed
        assert "000000000" not in printed


def test_rows_from_before_are_read_too(tmp_path: Path) -> None:
    """Rows are stored in the account's own units, as before."""

    async def run() -> None:
        ledger = KeyLedger(SQLiteStore(tmp_path / "keys.sqlite"), lease=60)
        fields = {"name": "Search", "max_budget": 10**18, "expires_at": 253_402_300_799}
        await write_audit(ledger.store, 1.0, "x", "update_team", "team:t", fields)
        ((_, row),) = await ledger.store.items("audit#197001", after="", limit=9)
        assert '"max_budget":1000000000000000000' in row["changes"]
        assert shown_changes(row) == {"team_alias": "Search", "max_budget": None, "expires": None}
        ledger.store.close()

    asyncio.run(run())
