"""A parameter that a path does not have, or a value that there is not, is a 400 that names it."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from fanout.http.key_management.routes import KEY_ROUTES
from fanout.http.routes import ROUTES
from tests.keys.test_keys_over_http import ADMIN
from tests.keys.test_keys_over_http import gateway as gateway  # noqa: PLC0414 -- fixtures
from tests.keys.test_keys_over_http import home as home  # noqa: PLC0414
from tests.support.gateway_server import RunningGateway

INFO = [(route.method, route.path) for route in ROUTES if route.path.endswith("/info")]
MANAGED = [
    (route.method, f"{route.path}sk-x/regenerate" if route.has_tail else route.path)
    for route in KEY_ROUTES
]


def test_each_path_rejects_a_parameter_that_it_does_not_have(gateway: RunningGateway) -> None:
    assert len(INFO) == 2
    faults = []
    for method, path in [*INFO, *MANAGED]:
        for start in ("", "/v1"):
            body: object = {} if method == "POST" else None
            status, _, found = gateway.json(body, f"{start}{path}?zzz=1", method, ADMIN)
            error = found["error"] if isinstance(found, dict) and "error" in found else {}
            if (status, error.get("code"), error.get("param")) != (
                400,
                "unsupported_parameter",
                "zzz",
            ):
                faults.append((method, path, status, found))
    assert faults == []


@pytest.mark.parametrize(
    ("path", "name", "values"),
    [
        ("/key/list", "return_full_object", ("true", "false")),
        ("/key/list", "include_team_keys", ("true", "false")),
        ("/key/list", "sort_order", ("asc", "desc")),
        ("/v2/team/list", "sort_order", ("asc", "desc")),
        ("/user/list", "role", ("proxy_admin", "internal_user")),
        ("/user/list", "sort_order", ("asc", "desc")),
        ("/spend/logs", "summarize", ("true", "false")),
        ("/global/spend/report", "group_by", ("team", "customer", "api_key")),
        ("/audit", "action", ("create", "update_team")),
        ("/audit", "table_name", ("LiteLLM_BudgetTable",)),
        ("/user/daily/activity", "timezone", ("0",)),
    ],
)
def test_each_parameter_of_some_values_rejects_another_one(
    gateway: RunningGateway, path: str, name: str, values: tuple[str, ...]
) -> None:
    for value in values:
        assert gateway.json(None, f"{path}?{name}={value}", "GET", ADMIN)[0] == 200
    status, _, found = gateway.json(None, f"{path}?{name}=bogus", "GET", ADMIN)
    assert (status, found["error"]["param"]) == (400, name)
    assert all(value in found["error"]["message"] for value in values)


def test_a_model_and_a_deployment_are_chosen_by_their_parameter(gateway: RunningGateway) -> None:
    groups = gateway.json(None, "/model_group/info?model_group=a", "GET", ADMIN)[2]["data"]
    assert [one["model_group"] for one in groups] == ["a"]
    whole = gateway.json(None, "/model/info?litellm_model_id=", "GET", ADMIN)[2]["data"]
    one = whole[0]["model_info"]["id"]
    chosen = gateway.json(None, f"/v1/model/info?litellm_model_id={quote(one)}", "GET", ADMIN)[2][
        "data"
    ]
    assert chosen == whole[:1]
