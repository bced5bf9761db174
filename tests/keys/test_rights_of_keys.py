"""Each route for keys and spend is closed to who may not use it, and shows no other key's data."""

from __future__ import annotations

from typing import Any

from fanout.http.key_management.routes import KEY_ROUTES
from tests.keys.test_keys_over_http import APP, HI, bearer, manage
from tests.keys.test_keys_over_http import gateway as gateway  # noqa: PLC0414 -- fixtures
from tests.keys.test_keys_over_http import home as home  # noqa: PLC0414
from tests.keys.test_keys_over_http import willing as willing  # noqa: PLC0414
from tests.support.gateway_server import RunningGateway

OWN = {
    "/key/info",
    "/spend/logs",
    "/spend/logs/v2",
    "/spend/keys",
    "/spend/users",
    "/spend/tags",
    "/global/spend",
    "/global/spend/report",
    "/global/spend/keys",
    "/global/spend/models",
    "/global/spend/tags",
    "/global/spend/teams",
    "/global/spend/provider",
    "/user/info",
    "/user/daily/activity",
    "/team/daily/activity",
}
"""Where an ordinary key reads about itself."""

BY_ID = {"/team/info", "/v2/user/info"}
"""What is a 400 without an id."""

UNKNOWN = "is not a parameter of this path"

OPEN = {"/spend/calculate", "/team/available", "/key/health"}
"""What has nothing of any key."""


WRONG = ("sk-wrong", 401)


def test_a_key_of_type_info_reads_about_itself_and_calls_nothing(gateway: RunningGateway) -> None:
    made = manage(gateway, "/key/generate", {"key_type": "info", "models": ["a"]})
    own = bearer(made["key"])
    assert gateway.json(None, "/key/info", "GET", own)[2]["key"] == made["token"]
    assert gateway.json(None, "/models", "GET", own)[2]["data"] == []
    assert gateway.json({"model": "a", "messages": HI}, headers=own)[0] == 403
    assert gateway.json({"model": "a", "input": "x"}, "/embeddings", "POST", own)[0] in {403, 404}
    assert gateway.json(None, "/files", "GET", own)[0] == 403
    for body in ({"input_file_id": "file-x", "endpoint": "/v1/chat/completions"}, {}):
        assert gateway.json(body, "/batches", "POST", own)[0] == 403


def test_no_key_reads_or_changes_what_is_anothers(gateway: RunningGateway) -> None:
    secret = {"team_id": "team-marker", "user_id": "user-marker", "budget_id": "budget-marker"}
    for path, name in (("/team/new", "team_id"), ("/budget/new", "budget_id")):
        manage(gateway, path, {name: secret[name]})
    manage(gateway, "/user/new", {"user_id": "user-marker", "auto_create_key": False})
    made = manage(
        gateway, "/key/generate", {**secret, "key_alias": "alias-marker", "tags": ["tag-marker"]}
    )
    chat = {"model": "a", "messages": HI, "max_tokens": 9}
    assert gateway.json(chat, headers=bearer(made["key"]))[0] == 200
    own = manage(gateway, "/key/generate", {"key_alias": "own"})["key"]
    reader = manage(gateway, "/key/generate", {"key_type": "read_only"})["key"]
    manager = manage(gateway, "/key/generate", {"key_type": "management"})["key"]
    info = manage(gateway, "/key/generate", {"key_type": "info"})["key"]
    asked = {
        **secret,
        "key": made["token"],
        "keys": [made["token"]],
        "team_ids": ["team-marker"],
        "user_ids": ["user-marker"],
        "budgets": ["budget-marker"],
        "id": "budget-marker",
    }
    queries = ["", *(f"?{name}={made['token']}" for name in ("api_key", "key", "key_hash"))]
    queries += [f"?{name}=user-marker" for name in ("user_id", "internal_user_id")]
    queries += [f"?{name}=team-marker" for name in ("team_id", "team_ids")]
    queries += ["?request_id=x", "?budget_id=budget-marker"]
    faults: list[object] = []
    for route in KEY_ROUTES:
        path = f"{route.path}{made['token']}/regenerate" if route.has_tail else route.path
        body: Any = asked if route.method == "POST" else None
        for shown in ("",) if body else queries:
            for key, expected in ((APP, 403), (own, 403), (info, 403), (reader, 403), WRONG):
                status, _, answer = gateway.json(body, path + shown, route.method, bearer(key))
                is_reader = key == reader and (not body or path == "/budget/info")
                if is_reader or (path in OPEN and key != "sk-wrong"):
                    allowed = {200, 400, 404}
                elif path in OWN and key in {own, info}:
                    allowed = {200, 403}
                else:
                    allowed = {expected}
                is_unknown = isinstance(answer, dict) and UNKNOWN in str(answer.get("error"))
                allowed |= {400} if path in BY_ID or is_unknown else set()
                is_other = key != reader and (
                    "marker" in str(answer) or made["token"] in str(answer)
                )
                if status not in allowed or is_other:
                    faults.append((path, shown, key, status, answer))
    assert faults == [], "\n".join(map(str, faults))
    assert manage(gateway, "/key/block", {"key": made["key"]}, **bearer(manager))["blocked"]
    logged = str([*gateway.observer.requests, *gateway.observer.attempts])
    assert [key for key in (made["key"], own, info, reader, manager) if key in logged] == []
    long = "x" * 5_000
    for path, name in (("/team/block", "team_id"), ("/budget/update", "budget_id")):
        assert manage(gateway, path, {name: long}) == (404, "not_found")
    assert manage(gateway, "/key/delete", {"key_aliases": [long]}) == (404, "not_found")
