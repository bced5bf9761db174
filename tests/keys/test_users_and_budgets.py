"""Users and budgets over HTTP: managed with LiteLLM's calls, and what a user's keys may spend."""

from __future__ import annotations

from typing import Any

from tests.keys.test_keys_over_http import PRICE, bearer, manage, spent
from tests.keys.test_keys_over_http import gateway as gateway  # noqa: PLC0414 -- fixtures
from tests.keys.test_keys_over_http import home as home  # noqa: PLC0414
from tests.keys.test_keys_over_http import willing as willing  # noqa: PLC0414
from tests.keys.test_teams import COST, ask
from tests.support.gateway_server import RunningGateway

LIMITS = ("max_budget", "budget_duration", "rpm_limit", "max_parallel_requests")


def test_users_are_managed_with_litellms_calls(gateway: RunningGateway) -> None:
    asked = {
        "user_id": "u-1",
        "user_alias": "Ann",
        "user_email": "ann@example.com",
        "user_role": "internal_user",
        "models": ["a"],
        "max_budget": 1,
        "budget_duration": "30d",
        "tpm_limit": 10_000,
        "metadata": {"floor": 2},
        "teams": [],
        "send_invite_email": False,
    }
    made = manage(gateway, "/user/new", asked)
    shown = {name: value for name, value in asked.items() if name != "send_invite_email"}
    assert {name: made[name] for name in shown} == shown
    key = made["key"]
    own = manage(gateway, "/user/info", None, **bearer(key))
    assert (own["user_id"], [one["user_id"] for one in own["keys"]]) == ("u-1", ["u-1"])
    assert key not in str(own)
    assert manage(gateway, "/v2/user/info?user_id=u-1")["user_email"] == "ann@example.com"
    updated = manage(gateway, "/user/update", {"user_email": "ann@example.com", "max_budget": 2})
    assert (updated["user_id"], updated["data"]["max_budget"]) == ("u-1", 2)
    other = manage(gateway, "/user/new", {"user_id": "u-2", "auto_create_key": False})
    assert other["key"] == ""
    listed = manage(gateway, "/user/list?page_size=1")
    assert (listed["total"], listed["total_pages"], len(listed["users"])) == (2, 2, 1)
    found = manage(gateway, "/user/list?user_email=ANN@")["users"]
    assert [(one["user_id"], one["key_count"]) for one in found] == [("u-1", 1)]
    team = {"user_id": "u", "teams": ["t"]}
    wrong: list[tuple[str, object, dict[str, str], tuple[int, str]]] = [
        ("/user/new", {"user_id": "u-1"}, {}, (400, "user_exists")),
        ("/user/new", {"user_email": "ann@example.com"}, {}, (400, "user_exists")),
        ("/user/new", {"user_role": "proxy_admin"}, {}, (400, "invalid_value")),
        ("/user/new", team, {}, (400, "unsupported_parameter")),
        ("/user/update", {"max_budget": 1}, {}, (400, "invalid_value")),
        ("/user/update", {"user_id": "none"}, {}, (404, "not_found")),
        ("/user/delete", {}, {}, (400, "invalid_value")),
        ("/user/new", {}, bearer(key), (403, "key_not_allowed")),
        ("/user/list", None, bearer(key), (403, "key_not_allowed")),
        ("/user/info?user_id=u-2", None, bearer(key), (403, "key_not_allowed")),
        ("/v2/user/info?user_id=u-2", None, bearer(key), (403, "key_not_allowed")),
        ("/spend/users?user_id=u-2", None, bearer(key), (403, "key_not_allowed")),
    ]
    faults = [
        (path, body, answer)
        for path, body, headers, expected in wrong
        if (answer := manage(gateway, path, body, **headers)) != expected
    ]
    assert faults == []
    manage(gateway, "/key/generate", {"key_alias": "taken"})
    for _ in range(2):  # the user is not kept without its key
        body = {"user_id": "u-9", "key_alias": "taken"}
        assert manage(gateway, "/user/new", body) == (400, "alias_exists")
    many = [
        {"key": key, "tags": ["x"]},
        {"key": "sk-unknown-1234567"},
        {"key": key, "rpm_limit": -1},
    ]
    updated = manage(gateway, "/key/bulk_update", {"keys": many})
    assert (updated["total_requested"], len(updated["successful_updates"])) == (3, 1)
    assert updated["successful_updates"][0]["key_info"]["tags"] == ["x"]
    reasons = [one["failed_reason"] for one in updated["failed_updates"]]
    too_low = "`rpm_limit` must be at least 1: set `blocked: true` to reject all requests"
    assert reasons == ["there is no such key", too_low]
    assert "sk-unknown" not in str(updated)
    assert manage(gateway, "/key/health", {}, **bearer(key))["key"] == "healthy"
    assert ask(gateway, key, "b") == "model_not_allowed"
    assert ask(gateway, key) is None
    users = manage(gateway, "/spend/users")
    assert [(one["user_id"], round(one["spend"], 9)) for one in users] == [
        ("u-1", COST),
        ("u-2", 0),
    ]
    assert len(manage(gateway, "/spend/users", None, **bearer(key))) == 1
    assert manage(gateway, "/user/delete", {"user_ids": ["u-1", "u-2"]}) == 2
    assert ask(gateway, key) == "invalid_api_key"


def test_a_users_keys_share_its_budget_unless_they_have_a_team(gateway: RunningGateway) -> None:
    """As in LiteLLM, where a user's budget is for keys without a team."""
    manage(gateway, "/user/new", {"user_id": "u-3", "max_budget": 2.5 * COST})
    manage(gateway, "/team/new", {"team_id": "t-3"})
    asked: list[dict[str, Any]] = [{}, {}, {"team_id": "t-3"}, {"team_id": "t-unknown"}]
    keys = [manage(gateway, "/key/generate", {"user_id": "u-3", **one})["key"] for one in asked]
    assert [ask(gateway, key) for key in keys[:2]] == [None, None]
    assert [ask(gateway, key) for key in (keys[0], keys[3])] == ["budget_exceeded"] * 2
    assert ask(gateway, keys[2]) is None
    user = manage(gateway, "/user/info?user_id=u-3")["user_info"]
    assert (round(user["spend"], 9), user["reserved"]) == (round(2 * COST, 9), 0)
    assert spent(gateway, keys[2]) == (COST, 0)
    manage(gateway, "/user/update", {"user_id": "u-3", "spend": 0})
    assert ask(gateway, keys[0]) is None
    manage(gateway, "/user/update", {"user_id": "u-3", "blocked": True})
    assert [ask(gateway, keys[0]), ask(gateway, keys[2])] == ["invalid_api_key", None]


def test_a_budget_gives_its_limits_to_all_that_have_its_id(gateway: RunningGateway) -> None:
    asked = {
        "budget_id": "b-1",
        "max_budget": 2.5 * COST,
        "budget_duration": "30d",
        "rpm_limit": 600,
        "max_parallel_requests": 9,
    }
    made = manage(gateway, "/budget/new", asked)
    assert {name: made[name] for name in asked} == asked
    assert made["budget_reset_at"]
    key = manage(gateway, "/key/generate", {"budget_id": "b-1", "max_budget": None})
    assert {name: key[name] for name in asked} == asked
    other = manage(gateway, "/key/generate", {})["key"]
    owners = [
        manage(gateway, "/key/update", {"key": other, "budget_id": "b-1"}),
        manage(gateway, "/team/new", {"team_id": "t-4", "budget_id": "b-1"}),
        manage(gateway, "/user/new", {"user_id": "u-4", "budget_id": "b-1"}),
    ]
    assert [[one[name] for name in LIMITS] for one in owners] == [
        [asked[name] for name in LIMITS]
    ] * 3
    codes = [ask(gateway, one) for one in (key["key"], key["key"], key["key"], other)]
    assert codes == [None, None, "budget_exceeded", None]
    changed = manage(gateway, "/budget/update", {"budget_id": "b-1", "max_budget": 3.5 * COST})
    assert (changed["max_budget"], changed["rpm_limit"]) == (round(3.5 * COST, 9), 600)
    assert ask(gateway, key["key"]) is None
    team = manage(gateway, "/team/info?team_id=t-4")["team_info"]
    assert (team["max_budget"], team["budget_id"]) == (round(3.5 * COST, 9), "b-1")
    wrong: list[tuple[str, object, tuple[int, str]]] = [
        ("/budget/new", {"budget_id": "b-1"}, (400, "budget_exists")),
        ("/budget/new", {"model_max_budget": {"a": 1}}, (400, "unsupported_parameter")),
        ("/budget/update", {"budget_id": "none"}, (404, "not_found")),
        ("/budget/info", {}, (400, "invalid_value")),
        ("/key/generate", {"budget_id": "none"}, (400, "invalid_value")),
        ("/key/update", {"key": other, "rpm_limit": 5}, (400, "invalid_value")),
        ("/key/generate", {"budget_id": "b-1", "max_budget": 7}, (400, "invalid_value")),
    ]
    faults = [
        (path, answer)
        for path, body, expected in wrong
        if (answer := manage(gateway, path, body)) != expected
    ]
    assert faults == []
    assert [one["budget_id"] for one in manage(gateway, "/budget/list")] == ["b-1"]
    assert manage(gateway, "/budget/info", {"budgets": ["b-1", "none"]}) == [changed]
    for path, body in (("/budget/list", None), ("/budget/delete", {"id": "b-1"})):
        assert manage(gateway, path, body, **bearer(other)) == (403, "key_not_allowed")
    again = {"key": other, "budget_id": "b-1", "grace_period": "1h"}
    assert manage(gateway, "/key/regenerate", again)["budget_id"] == "b-1"
    again["max_budget"] = 1
    assert manage(gateway, "/key/regenerate", again) == (400, "invalid_value")
    freed = manage(gateway, "/key/update", {"key": other, "budget_id": None})
    assert [freed[name] for name in ("budget_id", *LIMITS)] == [None] * 5
    assert manage(gateway, "/budget/delete", {"id": "b-1"})["budget_id"] == "b-1"
    kept = manage(gateway, f"/key/info?key={key['key']}")["info"]
    assert (kept["budget_id"], kept["rpm_limit"]) == (None, 600)
    assert kept["max_budget"] == round(42 * PRICE, 9)
