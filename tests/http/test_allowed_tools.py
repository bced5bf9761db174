"""A choice among some of the tools: what is offered, and what the header says of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.in_process import AppResponse, HelloEngine, InProcess, run_in_process

HI = [{"role": "user", "content": "Hi"}]
SCHEMA = {"type": "object", "properties": {}}
LISTED = [
    {"model_name": "chat", "litellm_params": {"model": "hosted_vllm/chat", "api_key": "k"}},
]
CHAT: dict[str, Any] = {
    "messages": HI,
    "tools": [{"type": "function", "function": {"name": n, "parameters": SCHEMA}} for n in "ab"],
}
IN_SPACE = [{"type": "function", "name": name, "parameters": SCHEMA} for name in ("x", "y")]
RESPONSES: dict[str, Any] = {
    "input": HI,
    "tools": [
        {"type": "function", "name": "a", "parameters": SCHEMA},
        {"type": "namespace", "name": "ns", "tools": IN_SPACE},
    ],
}


def chat_choice(tools: list[Any], mode: str) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def own_choice(tools: list[Any], mode: str) -> dict[str, Any]:
    return {"type": "allowed_tools", "mode": mode, "tools": tools}


def ask(app: InProcess, path: str, choice: dict[str, Any]) -> AppResponse:
    body = CHAT if path.endswith("completions") else RESPONSES
    data = json.dumps({"model": "chat", **body, "tool_choice": choice}).encode()
    return app.ask("POST", path, [data])


def offered(engine: HelloEngine) -> list[str]:
    tools = json.loads(engine.sent[-1].body).get("tools", [])
    return [tool["function"]["name"] for tool in tools]


CHOICES = [("/v1/chat/completions", chat_choice), ("/v1/responses", own_choice)]


@pytest.mark.parametrize(("path", "made"), CHOICES)
def test_a_list_that_allows_nothing_is_named(path: str, made: Any) -> None:
    engine = HelloEngine()
    with run_in_process({"model_list": LISTED}, engine) as app:
        for tools in ([], [{"type": "function", "name": "z"}]):
            found = ask(app, path, made(tools, "auto"))
            assert found.status == 200, found.body
            assert "tools" in found.headers["x-fanout-dropped"].split(", ")
            assert offered(engine) == []
            rejected = ask(app, path, made(tools, "required"))
            assert (rejected.status, rejected.error["param"]) == (400, "tool_choice")


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_the_functions_of_an_allowed_namespace_are_offered(mode: str) -> None:
    engine = HelloEngine()
    with run_in_process({"model_list": LISTED}, engine) as app:
        choice = own_choice([{"type": "namespace", "name": "ns"}], mode)
        found = ask(app, "/v1/responses", choice)
        assert found.status == 200, found.body
        assert "tools" not in found.headers.get("x-fanout-dropped", "").split(", ")
        assert offered(engine) == ["ns__x", "ns__y"]


@pytest.mark.parametrize(
    ("path", "made", "param"),
    [(*CHOICES[0], "tool_choice.allowed_tools"), (*CHOICES[1], "tool_choice")],
)
def test_a_choice_has_one_of_two_modes_and_a_list(path: str, made: Any, param: str) -> None:
    with run_in_process({"model_list": LISTED}) as app:
        found = [ask(app, path, choice) for choice in (made([], "sometimes"), made({}, "auto"))]
    assert [one.status for one in found] == [400, 400]
    assert [one.error["param"] for one in found] == [f"{param}.mode", f"{param}.tools"]
    assert f"`{param}.mode`" in found[0].error["message"]
