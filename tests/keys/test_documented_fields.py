"""What docs/keys.md says of fields and calls is so: its tables are the cases."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fanout.http.key_management.routes import KEY_ROUTES
from fanout.keys.litellm import FIELDS
from tests.keys.test_keys_over_http import ADMIN, manage
from tests.keys.test_keys_over_http import gateway as gateway  # noqa: PLC0414 -- fixtures
from tests.keys.test_keys_over_http import home as home  # noqa: PLC0414
from tests.support.gateway_server import RunningGateway

DOCS = (Path(__file__).parents[2] / "docs/keys.md").read_text(encoding="utf-8")


def first_cells(head: str) -> list[str]:
    """The names in the first column of the table with this head."""
    rows = DOCS[DOCS.index(head) :].split("\n\n")[0].splitlines()[2:]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]


OURS = first_cells("| field | is |")
REJECTED = first_cells("| LiteLLM's field | use instead |")
EMPTY: list[Any] = [None, "", 0, False, [], {}]
VALUES: dict[str, Any] = {
    "key_alias": "documented",
    "key": "sk-documented-key-1",
    "models": ["a"],
    "max_budget": 3.0,
    "budget_duration": "1d",
    "soft_budget": 2.0,
    "rpm_limit": 1,
    "tpm_limit": 2,
    "max_parallel_requests": 3,
    "duration": "30d",
    "tags": ["t"],
    "team_id": "documented-team",
    "user_id": "documented-user",
    "metadata": {"a": 1},
    "spend": 1.5,
    "key_type": "read_only",
    "blocked": True,
}


def test_each_documented_field_is_set_and_shown(gateway: RunningGateway) -> None:
    assert set(OURS) == FIELDS
    made = manage(gateway, "/key/generate", VALUES)
    shown = {**VALUES, "duration": None}
    assert {name: made.get(name) for name in VALUES} == shown
    assert made["expires"] is not None
    manage(gateway, "/budget/new", {"budget_id": "documented", "max_budget": 4})
    assert manage(gateway, "/key/generate", {"budget_id": "documented"})["max_budget"] == 4.0


@pytest.mark.parametrize("path", ["/key/generate", "/team/new", "/user/new", "/budget/new"])
def test_each_other_field_of_litellm_is_named_unless_it_is_empty(
    gateway: RunningGateway, path: str
) -> None:
    faults = []
    for name in REJECTED:
        for value in ({"a": 1}, ["x"], "x", 1):
            status, _, body = gateway.json({name: value}, path, "POST", ADMIN)
            error = body.get("error", {})
            if (status, error.get("param")) != (400, name) or name not in error["message"]:
                faults.append((name, value, status, body))
    empty = {name: EMPTY[number % len(EMPTY)] for number, name in enumerate(REJECTED)}
    status, _, body = gateway.json(empty, path, "POST", ADMIN)
    assert (status, faults) == (200, []), body


def test_each_call_is_documented() -> None:
    inside = set(re.findall(r"[\w/{}.-]+", " ".join(re.findall(r"`[^`\n]+`", DOCS))))
    heads = {"/global/spend/": {"models", "tags", "teams", "provider"}}
    for head, names in heads.items():
        inside |= {f"{head}{name}" for name in names if f"`{name}`" in DOCS}
    assert [one.path for one in KEY_ROUTES if one.path not in inside | {"/key/"}] == []
