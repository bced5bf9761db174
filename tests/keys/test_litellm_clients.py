"""
The requests of LiteLLM's own clients and of a Terraform provider, as they were recorded.

Source: litellm 1.110.2, `proxy/client` (its `Client`, and those of users and teams), recorded
2026-11; github.com/ncecere/terraform-provider-litellm 82b1d0e (2026-06), the requests of
`internal/provider/resource_*.go` and the fields that they read.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.keys.test_keys_over_http import MASTER
from tests.keys.test_keys_over_http import gateway as gateway  # noqa: PLC0414 -- fixtures
from tests.keys.test_keys_over_http import home as home  # noqa: PLC0414
from tests.keys.test_keys_over_http import willing as willing  # noqa: PLC0414
from tests.support.gateway_server import RunningGateway

ADMIN = {"authorization": f"Bearer {MASTER}"}
TERRAFORM = {**ADMIN, "x-api-key": MASTER, "litellm-changed-by": "terraform"}
KEY = "<key>"
"""Stands for the key that the last request for one has got."""

ANN = {
    "user_email": "ann@example.com",
    "user_role": "internal_user",
    "user_alias": "Ann",
    "max_budget": 5.0,
    "user_id": "ann",
}
GENERATE = {
    "models": ["a"],
    "aliases": {},
    "spend": 0.5,
    "duration": "30d",
    "key_alias": "one",
    "user_id": "ann",
    "config": {},
}
UPDATE = {
    "key": KEY,
    "key_alias": "two",
    "models": ["a"],
    "spend": 0.25,
    "duration": "7d",
    "aliases": {},
}

Step = tuple[str, Any, list[Any]]
"""A path with its query; the body, `None` for a GET; and fields of the response."""

PYTHON: list[Step] = [
    ("/user/new", ANN, [("user_id", "ann"), ("user_role", "internal_user"), ("max_budget", 5.0)]),
    ("/user/info?user_id=ann", None, [("user_id", "ann"), ("teams", [])]),
    ("/v2/user/info?user_id=ann", None, [("user_email", "ann@example.com"), ("spend", 0.0)]),
    ("/user/list", None, [("total", 1), ("page", 1), ("page_size", 25), ("total_pages", 1)]),
    ("/key/generate", GENERATE, [("key_alias", "one"), ("spend", 0.5), ("user_id", "ann")]),
    ("/key/update", UPDATE, [("key_alias", "two"), ("spend", 0.25)]),
    ("/key/info?key=<key>", None, ["key", "info"]),
    ("/key/list", None, ["keys", "total_count", ("current_page", 1), ("total_pages", 1)]),
    (
        "/key/list?page=1&size=5&user_id=ann&return_full_object=true&include_team_keys=true",
        None,
        [("total_count", 2)],
    ),
    ("/key/list?key_hash=ab&sort_by=spend&sort_order=desc", None, [("total_count", 0)]),
    ("/key/delete", {"keys": [KEY], "key_aliases": None}, ["deleted_keys"]),
    ("/team/list", None, []),
    ("/model_group/info", None, [("data.0.model_group", "a"), ("data.0.providers", ["openai"])]),
    (
        "/audit?object_id=ann&page_size=1",
        None,
        [("total", 1), ("audit_logs.0.action", "create_user")],
    ),
    (
        "/v2/team/list?page=1&page_size=10&sort_order=asc",
        None,
        ["teams", "total", ("page", 1), ("page_size", 10), "total_pages"],
    ),
    ("/team/available", None, []),
    ("/user/delete", {"user_ids": ["ann"]}, []),
]

TEAM = {
    "team_id": "t-tf",
    "team_alias": "terraform",
    "budget_duration": "30d",
    "max_budget": 10.0,
    "tpm_limit": 1000,
    "models": ["a"],
    "metadata": {"cost_center": "7"},
    "router_settings": {},
}
CLEARED: dict[str, Any] = {
    "team_id": "t-tf",
    "team_alias": "terraform",
    "router_settings": {},
    "max_budget": None,
    "budget_duration": None,
    "tpm_limit": None,
    "team_member_budget": None,
}
BUDGET = {"budget_id": "b-tf", "budget_duration": "30d", "max_budget": 2.5, "rpm_limit": 60}
USER = {
    "user_id": "u-tf",
    "user_alias": "U",
    "user_role": "internal_user",
    "max_budget": 1.0,
    "auto_create_key": False,
    "models": ["a"],
    "metadata": {"x": "1"},
}
OF_TEAM = {
    "team_id": "t-tf",
    "key_alias": "tf",
    "duration": "30d",
    "budget_id": "b-tf",
    "blocked": False,
    "models": ["all-team-models"],
    "metadata": {"service_account_id": "sa"},
}
FRESH_KEY = {"key": KEY, **OF_TEAM, "key_alias": "tf-2"}

RESOURCES: list[Step] = [
    ("/team/new", TEAM, [("team_id", "t-tf")]),
    (
        "/team/info?team_id=t-tf",
        None,
        [("team_info.max_budget", 10.0), ("team_info.blocked", False)],
    ),
    ("/budget/new", BUDGET, [("budget_id", "b-tf")]),
    ("/budget/info", {"budgets": ["b-tf"]}, [("0.max_budget", 2.5), ("0.rpm_limit", 60)]),
    ("/budget/settings?budget_id=b-tf", None, [("0.field_name", "max_parallel_requests")]),
    ("/team/permissions_list?team_id=t-tf", None, [("team_member_permissions", [])]),
    (
        "/team/permissions_update",
        {"team_id": "t-tf", "team_member_permissions": []},
        [("team_id", "t-tf"), ("team_member_permissions", [])],
    ),
    ("/budget/update", {**BUDGET, "max_budget": 3.0}, [("max_budget", 3.0)]),
    ("/user/new", USER, [("user_id", "u-tf"), ("key", "")]),
    ("/user/info?user_id=u-tf", None, [("user_info.user_alias", "U"), ("user_info.models", ["a"])]),
    ("/user/update", {**USER, "max_budget": 2.0}, [("data.max_budget", 2.0)]),
    ("/key/service-account/generate", OF_TEAM, [("budget_id", "b-tf"), ("max_budget", 3.0)]),
    (
        "/key/info?key=<key>",
        None,
        [("info.team_id", "t-tf"), ("info.key_alias", "tf"), "info.token"],
    ),
    ("/key/update", FRESH_KEY, [("key_alias", "tf-2")]),
    ("/key/block", {"key": KEY}, [("blocked", True)]),
    ("/key/unblock", {"key": KEY}, [("blocked", False)]),
    ("/team/block", {"team_id": "t-tf"}, [("blocked", True)]),
    ("/team/unblock", {"team_id": "t-tf"}, [("blocked", False)]),
    ("/team/update", CLEARED, [("data.max_budget", None), ("data.models", ["a"])]),
    ("/budget/list", None, []),
    ("/key/delete", {"keys": [KEY]}, ["deleted_keys"]),
    ("/user/delete", {"user_ids": ["u-tf"]}, []),
    ("/team/delete", {"team_ids": ["t-tf"]}, []),
    ("/budget/delete", {"id": "b-tf"}, []),
]


def test_litellms_clients_and_a_terraform_provider_work(gateway: RunningGateway) -> None:
    faults: list[object] = []
    for steps, headers in ((PYTHON, ADMIN), (RESOURCES, TERRAFORM)):
        key = ""
        for path, body, fields in steps:
            sent = with_key(body, key)
            method = "GET" if body is None else "POST"
            status, _, answer = gateway.json(sent, path.replace(KEY, quote(key)), method, headers)
            key = answer.get("key") or key if path.endswith("/generate") else key
            if status != 200 or any(not has(answer, field) for field in fields):
                faults.append((path, status, answer))
    assert faults == []


def with_key(body: Any, key: str) -> Any:
    """The body with the key in its places."""
    if isinstance(body, dict):
        return {name: with_key(value, key) for name, value in body.items()}
    if isinstance(body, list):
        return [with_key(value, key) for value in body]
    return key if body == KEY else body


def has(answer: Any, field: Any) -> bool:
    """Whether the response has the field (`info.token`), with this value if there is one."""
    name, *wanted = field if isinstance(field, tuple) else (field,)
    for part in name.split("."):
        if isinstance(answer, list):
            answer = answer[int(part)]
        elif part in answer:
            answer = answer[part]
        else:
            return False
    return not wanted or answer == wanted[0]
