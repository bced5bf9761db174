"""Sends some of the requests of `make fuzz`, and compares the description with the routes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fanout.http.key_management.routes import KEY_ROUTES
from fanout.http.routes import ROUTES, find_route
from fanout.schema.request import ChatRequest

from .__main__ import fuzz_management
from .fuzzing import DESCRIPTION, FuzzClient, fuzz, operations, run_app

COUNT, CHATS = 8, 2
SPEC: dict[str, Any] = json.loads(DESCRIPTION.read_text())


@pytest.mark.timeout(600)  # hypothesis needs 15 s on a quiet machine
def test_no_generated_request_is_a_500_or_appears_in_the_output(tmp_path: Path) -> None:
    with run_app(tmp_path) as (app, observer):
        client = FuzzClient(app, observer)
        for label, operation in operations().items():
            fuzz(operation, CHATS if "chat" in label else COUNT, client)
    assert client.sent > 60


def test_no_generated_request_with_a_master_key_is_a_500(tmp_path: Path) -> None:
    assert fuzz_management(2) > 60


def test_every_route_is_described_and_everything_described_is_a_route() -> None:
    found = {
        find_route(method.upper(), path.replace("{id}", "x"), (*ROUTES, *KEY_ROUTES))[0]
        for path, methods in SPEC["paths"].items()
        for method in methods
    }
    assert found == {*ROUTES, *KEY_ROUTES}


def test_every_field_of_a_request_is_described() -> None:
    fields = SPEC["components"]["schemas"]["ChatCompletionRequest"]["properties"]
    assert set(ChatRequest.__struct_fields__) - {
        "body",
        "extensions",
        "left_out",
        "names",
        "original",
        "places",
    } <= set(fields)


@pytest.mark.parametrize("path", ["/openapi.json", "/v1/openapi.json"])
def test_the_description_is_served_as_it_is_written_and_needs_no_key(
    tmp_path: Path, path: str
) -> None:
    with run_app(tmp_path) as (app, _):
        response = app.ask("GET", path)
    assert (response.status, response.headers["content-type"]) == (200, "application/json")
    assert response.body == DESCRIPTION.read_bytes()
