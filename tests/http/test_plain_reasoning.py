"""Reasoning without `encrypted_content` goes only to the one account that may have stored it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.in_process import HelloEngine, InProcess, run_in_process

U = {"role": "user", "content": "Hi"}
BARE = {"type": "reasoning", "id": "rs_1", "summary": []}
SUMMARY = {**BARE, "summary": [{"type": "summary_text", "text": "Hmm"}]}
CONTENT = {**BARE, "content": [{"type": "reasoning_text", "text": "Hmm"}]}
SEALED = {**BARE, "encrypted_content": "gAAA"}
MESSAGE: dict[str, Any] = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c", "output": "1"}
AFTER: list[dict[str, Any]] = [MESSAGE, CALL, RESULT, U]
WITHOUT_IDS = [{k: v for k, v in one.items() if k != "id"} for one in AFTER]
SERVER = {"api_base": "http://127.0.0.1:1/v1", "api_key": "k"}
PARAMS: dict[str, list[dict[str, str]]] = {
    "openai": [{"model": "openai/gpt-5", "api_key": "k"}],
    "two accounts": [{"model": "openai/gpt-5", "api_key": key} for key in ("k", "other")],
    "proxy": [{"model": "openai/o3-pro", **SERVER}],
    "azure": [
        {"model": "azure/gpt-5", "api_base": "https://x.openai.azure.com", "api_key": "k"},
    ],
    "server": [{"model": "openai/responses/gpt-oss", **SERVER}],
    "two servers": [
        {"model": "openai/responses/gpt-oss", **SERVER, "api_key": key} for key in ("k", "other")
    ],
    "chat": [{"model": "openai/gpt-oss", **SERVER}],
}
LISTED = [
    {"model_name": name, "litellm_params": one} for name, all_ in PARAMS.items() for one in all_
]
OPENAI = ("openai", "two accounts", "proxy", "azure")


@pytest.fixture(scope="module")
def engine() -> HelloEngine:
    return HelloEngine()


@pytest.fixture(scope="module")
def app(engine: HelloEngine) -> Iterator[InProcess]:
    with run_in_process({"model_list": LISTED}, engine) as found:
        yield found


def ask(app: InProcess, engine: HelloEngine, body: dict[str, Any]) -> tuple[str, list[Any]]:
    """The header of what was dropped, and the `input` of each call."""
    engine.sent.clear()
    response = app.ask("POST", "/v1/responses", [json.dumps(body).encode()])
    assert response.status == 200, response.body
    sent = [json.loads(one.body).get("input") for one in engine.sent]
    return response.headers.get("x-fanout-dropped", ""), sent


@pytest.mark.parametrize("fields", [{}, {"store": True}])
@pytest.mark.parametrize("null", [{}, {"encrypted_content": None}])
def test_a_single_account_gets_the_reasoning_that_it_has_stored(
    app: InProcess, engine: HelloEngine, fields: dict[str, Any], null: dict[str, Any]
) -> None:
    for item in (BARE, SUMMARY, CONTENT):
        for model in ("openai", "proxy", "azure", "server"):
            body = {"model": model, "input": [U, {**item, **null}, *AFTER], **fields}
            assert ask(app, engine, body) == ("", [body["input"]]), (item, model)


@pytest.mark.parametrize("fields", [{}, {"store": False}, {"store": True}])
@pytest.mark.parametrize("null", [{}, {"encrypted_content": None}])
def test_openai_gets_no_reasoning_that_is_not_stored_and_no_id_that_requires_it(
    app: InProcess, engine: HelloEngine, fields: dict[str, Any], null: dict[str, Any]
) -> None:
    for item in (BARE, SUMMARY, CONTENT):
        alone = () if fields.get("store", True) else OPENAI
        for model in (*alone, "two accounts", "openai, azure"):
            body = {"model": model, "input": [U, {**item, **null}, *AFTER], **fields}
            dropped, sent = ask(app, engine, body)
            assert dropped == "input[].reasoning", (item, model)
            assert sent == [[U, *WITHOUT_IDS]] * len(sent), (item, model)


def test_a_server_gets_plain_reasoning_that_has_text(app: InProcess, engine: HelloEngine) -> None:
    for item in (SUMMARY, CONTENT):
        for model in ("server", "two servers"):
            body = {"model": model, "input": [U, item, *AFTER]}
            assert ask(app, engine, body) == ("", [body["input"]])
    several = {"model": "two servers", "input": [U, BARE, *AFTER]}
    assert ask(app, engine, several) == ("input[].reasoning", [[U, *AFTER]])
    unstored = {"model": "server", "input": [U, BARE, *AFTER], "store": False}
    assert ask(app, engine, unstored) == ("input[].reasoning", [[U, *AFTER]])


def test_encrypted_reasoning_keeps_the_ids_that_require_it(
    app: InProcess, engine: HelloEngine
) -> None:
    body = {"model": "openai", "input": [U, SEALED, *AFTER]}
    assert ask(app, engine, body) == ("", [body["input"]])
    dropped, sent = ask(app, engine, {**body, "model": "two accounts"})
    assert (dropped, sent) == ("input[].reasoning", [[U, *WITHOUT_IDS]])


def test_a_translated_request_names_the_reasoning_that_it_does_not_have(
    app: InProcess, engine: HelloEngine
) -> None:
    for item in (BARE, SUMMARY, CONTENT, SEALED):
        dropped, _ = ask(app, engine, {"model": "chat", "input": [U, item, *AFTER]})
        assert dropped == "input[].reasoning", item
