"""LiteLLM's `allowed_routes` in requests for keys: as a key's type, or a 400."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.errors import RequestError
from fanout.keys.import_rows import rights_of
from fanout.keys.litellm import changes_of, read_fields

SAME = {
    "llm_api_routes": "llm_api",
    "llm_api_routes_without_mcp": "llm_api",
    "info_routes": "info",
    "management_routes": "info",
}
"""Each group of routes, and the type of a key with them: the one that an import gives it."""


def type_of(**fields: Any) -> Any:
    return changes_of(read_fields(fields), 0.0).get("key_type")


@pytest.mark.parametrize("routes", SAME)
def test_a_group_of_routes_is_the_type_that_an_import_gives(routes: str) -> None:
    assert type_of(allowed_routes=[routes]) == SAME[routes]
    imported, _ = rights_of({"allowed_routes": f"{{{routes}}}"})
    assert imported == {"key_type": SAME[routes]}


def test_the_routes_that_litellm_gives_to_a_type_may_come_with_it() -> None:
    assert type_of(allowed_routes=["llm_api_routes"], key_type="llm_api") == "llm_api"
    assert type_of(allowed_routes=["management_routes"], key_type="management") == "management"
    assert type_of(allowed_routes=["info_routes"], key_type="read_only") == "read_only"
    assert type_of(allowed_routes=[], key_type="management") == "management"
    assert type_of(allowed_routes=None) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"allowed_routes": ["/chat/completions"]},
        {"allowed_routes": ["llm_api_routes", "/key/generate"]},
        {"allowed_routes": ["llm_api_routes", "management_routes"]},
        {"allowed_routes": ["llm_api_routes"], "key_type": "management"},
        {"allowed_routes": ["info_routes"], "key_type": "management"},
        {"allowed_routes": ["management_routes"], "key_type": "llm_api"},
        {"allowed_routes": "llm_api_routes"},
        {"allowed_routes": [1]},
    ],
    ids=str,
)
def test_other_routes_and_another_type_are_rejected(fields: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as error:
        read_fields(fields)
    assert error.value.param == "allowed_routes"


def test_teams_have_no_routes() -> None:
    with pytest.raises(RequestError, match="not supported for teams"):
        read_fields({"allowed_routes": ["llm_api_routes"]}, whose="teams")
