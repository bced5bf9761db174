"""Functions of namespaces: each has a name of its own, and comes back by the client's."""

from __future__ import annotations

import json
import random
import re
from typing import Any

from fanout.endpoints.responses.function_names import MOST_LETTERS, FunctionNames
from tests.http.responses_scripts import responds
from tests.support.gateway_server import RunningGateway
from tests.support.scripted_provider import Upstream


def function(name: str) -> dict[str, Any]:
    return {"type": "function", "name": name, "parameters": {"type": "object"}}


def namespace(name: str, *functions: str) -> dict[str, Any]:
    return {"type": "namespace", "name": name, "tools": [function(one) for one in functions]}


LONG = "x" * 60
TOOLS = [
    function("a__b"),
    namespace("a", "b", "b__c"),
    namespace("a__b", "c"),
    namespace(f"mcp_{LONG}", "search", "open"),
    namespace(f"mcq_{LONG}", "search", "open"),
    namespace("first", LONG),
    namespace("second", LONG),
    namespace("short", "search"),
]
PAIRS = [(tool["name"], one["name"]) for tool in TOOLS[1:] for one in tool["tools"]]


def test_each_function_of_a_namespace_has_a_name_and_comes_back_by_its_own(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", responds({"content": "Hi"}))
    body: dict[str, Any] = {"model": "a", "input": "Hi", "tools": TOOLS}
    assert server.json(body, "/v1/responses")[0] == 200
    sent = [tool["function"]["name"] for tool in upstream.calls[-1].body["tools"]]
    assert len(set(sent)) == len(sent) == 1 + len(PAIRS)
    assert all(re.fullmatch(rf"[a-zA-Z0-9_-]{{1,{MOST_LETTERS}}}", name) for name in sent)
    assert {"a__b", "short__search"} <= set(sent)
    wrong: list[Any] = []
    for (space, name), flat in zip(PAIRS, sent[1:], strict=True):
        called = {"name": flat, "arguments": "{}"}
        call = {"id": "call_1", "type": "function", "function": called}
        upstream.script("a", responds({"content": None, "tool_calls": [call]}, "tool_calls"))
        for stream in (False, True):
            [item] = _output(server, {**body, "stream": stream})
            result = {"type": "function_call_output", "call_id": "call_1", "output": "ok"}
            choice = {"type": "function", "name": name, "namespace": space}
            again = {**body, "input": [item, result], "tool_choice": choice}
            assert server.json(again, "/v1/responses")[0] == 200
            got = upstream.calls[-1].body
            back = got["messages"][0]["tool_calls"][0]["function"]["name"]
            chosen = got["tool_choice"]["function"]["name"]
            found = item["namespace"], item["name"], back, chosen
            if found != (space, name, flat, flat):
                wrong.append((stream, space, name, found))
    assert wrong == []


def _output(server: RunningGateway, body: dict[str, Any]) -> list[Any]:
    with server.ask(body, "/v1/responses") as response:
        raw = response.read()
    if not body["stream"]:
        output: list[Any] = json.loads(raw)["output"]
        return output
    last = next(
        json.loads(line[6:])
        for line in raw.split(b"\n")
        if line.startswith(b'data: {"type":"response.completed"')
    )
    found: list[Any] = last["response"]["output"]
    return found


def test_names_of_functions_never_collide() -> None:
    chosen = random.Random(6)  # noqa: S311 -- the same ones each time
    words = ["a", "b", "a__b", "_", "__", "x" * 40, "x" * 64, "x" * 64 + "y"]
    for _ in range(300):
        tools: list[Any] = [function(chosen.choice(words)) for _ in range(2)]
        spaces = {chosen.choice(words) for _ in range(4)}
        tools += [namespace(space, *{chosen.choice(words) for _ in range(4)}) for space in spaces]
        pairs = [(one["name"], tool["name"]) for tool in tools[2:] for one in tool["tools"]]
        names = FunctionNames(tools)
        flat = [names.of(*pair) for pair in pairs]
        plain = {tool["name"] for tool in tools[:2]}
        assert len({*flat, *plain}) == len(flat) + len(plain)
        assert all(len(name) <= MOST_LETTERS for name in flat)
