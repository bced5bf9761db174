"""Teams over HTTP: managed with LiteLLM's calls, with a budget and models for all their keys."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai

from tests.keys.test_keys_over_http import HI, PRICE, bearer, client, manage, spent
from tests.keys.test_keys_over_http import gateway as gateway  # noqa: PLC0414 -- fixtures
from tests.keys.test_keys_over_http import home as home  # noqa: PLC0414
from tests.keys.test_keys_over_http import willing as willing  # noqa: PLC0414
from tests.support.gateway_server import RunningGateway

COST = 12 * PRICE


def ask(gateway: RunningGateway, key: str, model: str = "a") -> str | None:
    """The `code` of the error, `None` if the request succeeds."""
    with client(gateway, key) as sdk:
        try:
            sdk.chat.completions.create(model=model, messages=HI, max_tokens=11)
        except openai.APIStatusError as error:
            return error.code
    return None


def test_teams_are_managed_with_litellms_calls(gateway: RunningGateway) -> None:
    asked = {
        "team_alias": "search",
        "team_id": "t-1",
        "models": ["a"],
        "max_budget": 10,
        "budget_duration": "30d",
        "tpm_limit": 10_000,
        "metadata": {"floor": 2},
        "members_with_roles": [],
    }
    made = manage(gateway, "/team/new", asked)
    shown = {name: value for name, value in asked.items() if name != "members_with_roles"}
    assert {name: made[name] for name in shown} == shown
    updated = manage(gateway, "/team/update", {"team_id": "t-1", "max_budget": 20})
    assert (updated["team_id"], updated["data"]["max_budget"]) == ("t-1", 20)
    assert [one["team_id"] for one in manage(gateway, "/team/list")] == ["t-1"]
    key = manage(gateway, "/key/generate", {"team_id": "t-1"})["key"]
    found = manage(gateway, "/team/info?team_id=t-1")
    assert found["team_info"]["team_alias"] == "search"
    assert [one["team_id"] for one in found["keys"]] == ["t-1"]
    assert key not in str(found)
    assert manage(gateway, "/team/info?team_id=t-1", None, **bearer(key))["keys"] == []
    wrong: list[tuple[str, object, dict[str, str], tuple[int, str]]] = [
        ("/team/new", {"team_id": "t-1"}, {}, (400, "team_exists")),
        (
            "/team/new",
            {"members_with_roles": [{"user_id": "u"}]},
            {},
            (400, "unsupported_parameter"),
        ),
        ("/team/update", {"max_budget": 1}, {}, (400, "invalid_value")),
        (
            "/team/permissions_update",
            {"team_id": "t-1", "team_member_permissions": ["/key/generate"]},
            {},
            (404, "not_found"),
        ),
        ("/team/update", {"team_id": "none"}, {}, (404, "not_found")),
        ("/team/new", {}, bearer(key), (403, "key_not_allowed")),
        ("/team/list", None, bearer(key), (403, "key_not_allowed")),
        ("/team/info?team_id=t-2", None, bearer(key), (403, "key_not_allowed")),
    ]
    faults = [
        (path, body, answer)
        for path, body, headers, expected in wrong
        if (answer := manage(gateway, path, body, **headers)) != expected
    ]
    assert faults == []
    assert ask(gateway, key, "b") == "model_not_allowed"
    manage(gateway, "/team/block", {"team_id": "t-1"})
    assert ask(gateway, key) == "invalid_api_key"
    manage(gateway, "/team/unblock", {"team_id": "t-1"})
    assert ask(gateway, key) is None
    assert manage(gateway, "/team/delete", {"team_ids": ["t-1"]}) == {"deleted_teams": ["t-1"]}
    assert ask(gateway, key) == "invalid_api_key"


def test_a_team_never_spends_more_than_its_budget(gateway: RunningGateway) -> None:
    """With parallel requests of several keys, of which one has less than the team."""
    manage(gateway, "/team/new", {"team_id": "t-2", "max_budget": 20 * COST})
    keys: list[str] = []
    for budget in (None, None, 3 * COST):
        body: dict[str, Any] = {"team_id": "t-2", "max_budget": budget}
        keys.append(manage(gateway, "/key/generate", body)["key"])
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda number: ask(gateway, keys[number % 3]), range(60)))
    amounts = [spent(gateway, key) for key in keys]
    info = manage(gateway, "/team/info?team_id=t-2")["team_info"]
    assert info["reserved"] == 0
    assert [reserved for _, reserved in amounts] == [0, 0, 0]
    total = round(sum(cost for cost, _ in amounts), 9)
    assert round(info["spend"], 9) == total == round(codes.count(None) * COST, 9)
    assert total <= 20 * COST
    assert amounts[2][0] <= 3 * COST
    held = {None, "budget_exceeded", "in_flight_budget_exhausted"}
    assert set(codes) <= held
    while ask(gateway, keys[0]) is None:
        total += COST
    assert round(total / COST) in {18, 19, 20}
