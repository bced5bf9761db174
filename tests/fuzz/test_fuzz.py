"""A few of `make fuzz`'s requests, and the description held to the routes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fanout.http.app import ROUTES, find
from fanout.schema.request import ChatRequest

from .fuzzing import DESCRIPTION, Asker, fuzz, operations, running

COUNT, CHATS = 8, 2
SAID: dict[str, Any] = json.loads(DESCRIPTION.read_text())


def test_no_request_made_of_the_description_is_a_500_or_comes_out_again(tmp_path: Path) -> None:
    with running(tmp_path) as (app, notes):
        asker = Asker(app, notes)
        for label, operation in operations().items():
            fuzz(operation, CHATS if "chat" in label else COUNT, asker)
    assert asker.asked > 60


def test_every_route_is_described_and_everything_described_is_a_route() -> None:
    found = {
        find(method.upper(), path.replace("{id}", "x"))[0]
        for path, methods in SAID["paths"].items()
        for method in methods
    }
    assert found == set(ROUTES)


def test_every_field_of_a_request_is_described() -> None:
    fields = SAID["components"]["schemas"]["ChatCompletionRequest"]["properties"]
    assert set(ChatRequest.__struct_fields__) - {"body"} <= set(fields)


@pytest.mark.parametrize("path", ["/openapi.json", "/v1/openapi.json"])
def test_the_description_is_served_as_it_is_written_and_needs_no_key(
    tmp_path: Path, path: str
) -> None:
    with running(tmp_path) as (app, _):
        heard = app.ask("GET", path)
    assert (heard.status, heard.headers["content-type"]) == (200, "application/json")
    assert heard.body == DESCRIPTION.read_bytes()
