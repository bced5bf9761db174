"""A call that a Messages request requires, where no tool is left for it: never a 200 without it."""

from __future__ import annotations

import json
from typing import Any

from tests.support.in_process import HelloEngine, run_in_process

HI = {"role": "user", "content": "Hi"}
TOOLS = {name: {"name": name, "input_schema": {"type": "object"}} for name in "ab"}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
ANY, NAMED = {"type": "any"}, {"type": "tool", "name": "a"}
MODELS = ("cohere/command-a", "gemini/gemini-2.5-flash", "openai/gpt-4o")


def without(*names: str) -> dict[str, Any]:
    """A message after which these tools are no longer there."""
    removed = [{"type": "tool_reference", "name": name} for name in names]
    return {"role": "system", "content": [{"type": "tool_removal", "tool": one} for one in removed]}


REQUIRED: list[tuple[list[Any], list[Any], Any]] = [
    ([TOOLS["a"]], [without("a")], ANY),
    ([TOOLS["a"]], [without("a")], NAMED),
    ([TOOLS["a"], TOOLS["b"]], [without("a", "b")], ANY),
    ([TOOLS["a"], TOOLS["b"]], [without("a")], NAMED),
    ([TOOLS["b"]], [], NAMED),
    ([SEARCH], [], ANY),
    ([SEARCH], [], {"type": "tool", "name": "web_search"}),
    ([SEARCH, TOOLS["a"]], [], {"type": "tool", "name": "web_search"}),
    ([SEARCH, TOOLS["a"]], [without("a")], {**ANY, "disable_parallel_tool_use": True}),
]
FREE: list[tuple[list[Any], list[Any], Any]] = [
    ([TOOLS["a"]], [without("a")], {"type": "auto"}),
    ([TOOLS["a"]], [without("a")], {"type": "none"}),
    ([TOOLS["a"]], [without("a")], None),
    ([SEARCH], [], {"type": "auto"}),
    ([TOOLS["a"], TOOLS["b"]], [without("b")], ANY),
    ([TOOLS["a"], TOOLS["b"]], [without("b")], NAMED),
    ([SEARCH, TOOLS["a"]], [], ANY),
]


def test_a_required_call_that_no_tool_is_left_for_is_a_400() -> None:
    entries = [{"model_name": m, "litellm_params": {"model": m, "api_key": "k"}} for m in MODELS]
    vendors = HelloEngine()
    wrong: list[Any] = []
    with run_in_process(
        {"model_list": entries, "router_settings": {"num_retries": 0}}, vendors
    ) as app:
        for model in MODELS:
            for is_free, rows in ((False, REQUIRED), (True, FREE)):
                for tools, changes, choice in rows:
                    vendors.sent.clear()
                    messages = [HI, *changes]
                    ask = {"model": model, "max_tokens": 9, "messages": messages, "tools": tools}
                    if choice is not None:
                        ask["tool_choice"] = choice
                    found = app.ask("POST", "/v1/messages", [json.dumps(ask).encode()])
                    is_named = found.status == 400 and b"`tool_choice`" in found.body
                    if bool(vendors.sent) != is_free or is_named == is_free:
                        wrong.append((model, tools, changes, choice, found.body))
    assert wrong == []
