"""Names of functions in earlier calls and in `tools`: each vendor gets those that it accepts."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.errors import Unsupported
from fanout.providers import registry
from fanout.providers.base import NameRule, Target
from fanout.providers.call_names import fit_name
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest

U = {"role": "user", "content": "Hello."}
NOVA, CLAUDE = "us.amazon.nova-2-lite-v1:0", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
PLAIN = "[a-zA-Z0-9_-]{1,64}"
DOTS = "[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}"
PATTERNS = [
    ("openai", "gpt-4o", PLAIN),
    ("azure", "gpt-4o", PLAIN),
    ("anthropic", "claude-sonnet-4-5", PLAIN),
    ("bedrock", CLAUDE, PLAIN),
    ("bedrock", NOVA, PLAIN),
    ("bedrock", "openai.gpt-oss-20b-1:0", PLAIN),
    ("gemini", "gemini-3-pro-preview", DOTS),
    ("vertex_ai", "gemini-2.5-flash", DOTS),
    ("vertex_ai", "claude-opus-4-7", PLAIN),
    ("cohere", "command-a-03-2025", "[a-zA-Z_][a-zA-Z0-9_]{0,63}"),
    ("deepseek", "m", PLAIN),
    ("groq", "m", PLAIN),
    ("mistral", "m", PLAIN),
    ("openai_like", "m", PLAIN),
    ("xai", "m", PLAIN),
]
NAMES = ["$READFILE", "container.exec", "a:b", "x" * 70, "Ä Ö", "1st", "", "get-weather", "ok"]


def encode(provider: str, model: str, *messages: dict[str, Any], **more: Any) -> WireRequest:
    request = parse_chat({"model": "our-name", "messages": [*messages], **more})
    return registry.find(provider).chat.encode(request, Target("our-name", model), False)


def called(*names: str) -> list[dict[str, Any]]:
    """A message with a call of each, and the results."""
    calls = [
        {"id": f"c{i}", "type": "function", "function": {"name": name, "arguments": "{}"}}
        for i, name in enumerate(names)
    ]
    results = [
        {"role": "tool", "tool_call_id": f"c{i}", "name": name, "content": "1"}
        for i, name in enumerate(names)
    ]
    return [{"role": "assistant", "content": None, "tool_calls": calls}, *results]


def names_in(value: Any, *, inside: str = "") -> list[str]:
    """The name of each call in a body, in order: of OpenAI's, and of the others' forms."""
    if isinstance(value, list):
        return [name for one in value for name in names_in(one)]
    if not isinstance(value, dict):
        return []
    own = inside in {"function", "toolUse", "functionCall"} or value.get("type") == "tool_use"
    found = [value["name"]] if own and "name" in value else []
    return found + [name for key, one in value.items() for name in names_in(one, inside=key)]


def names_of(wire: WireRequest) -> list[str]:
    body = json.loads(wire.body)
    return names_in(body.get("contents") or body["messages"])


@pytest.mark.parametrize(("provider", "model", "pattern"), PATTERNS)
def test_a_call_of_a_name_that_the_vendor_rejects_gets_one_that_it_accepts(
    provider: str, model: str, pattern: str
) -> None:
    for name in NAMES:
        wire = encode(provider, model, U, *called(name), U)
        (sent,) = names_of(wire)
        assert re.fullmatch(pattern, sent), (name, sent)
        assert (sent == name) == bool(re.fullmatch(pattern, name))
        noted = "messages[].tool_calls[].function.name" in wire.dropped
        assert noted == (sent != name)
        assert wire == encode(provider, model, U, *called(name), U)


def test_calls_of_the_older_functions_keep_the_names_of_these() -> None:
    """The vendor decides about a name that the request itself declares, here as in `tools`."""
    call = {"name": "get.weather", "arguments": "{}"}
    history: list[Any] = [
        U,
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": "get.weather", "content": "1"},
    ]
    functions = [{"name": "get.weather", "parameters": {"type": "object", "properties": {}}}]
    wire = encode("openai", "gpt-4o", *history, functions=functions)
    sent = json.loads(wire.body)
    assert sent["functions"] == functions
    assert sent["messages"][1]["function_call"]["name"] == "get.weather"
    assert sent["messages"][2]["name"] == "get.weather"


@pytest.mark.parametrize(("provider", "model", "pattern"), PATTERNS)
def test_the_result_and_the_declaration_of_a_call_have_its_new_name(
    provider: str, model: str, pattern: str
) -> None:
    """Google pairs results by names; Claude's and Bedrock's requests must declare the functions."""
    body = encode(provider, model, U, *called("a/b", "c"), U).body
    assert b"a/b" not in body
    if b"functionResponse" in body:
        parts = [part for turn in json.loads(body)["contents"] for part in turn["parts"]]
        results = [p["functionResponse"]["name"] for p in parts if "functionResponse" in p]
        assert results == ["a_b", "c"]


@pytest.mark.parametrize("legacy", ["openai", "azure", "groq", "anthropic", "mistral"])
def test_a_call_in_the_old_form_is_renamed_with_its_result(legacy: str) -> None:
    call = {
        "role": "assistant",
        "content": None,
        "function_call": {"name": "a.b", "arguments": "{}"},
    }
    result = {"role": "function", "name": "a.b", "content": "1"}
    body = encode(legacy, "gpt-4o", U, call, result, U).body
    assert b"a.b" not in body
    assert b"a_b" in body


def test_a_call_of_a_function_that_the_request_offers_keeps_its_name() -> None:
    """Otherwise the model would see calls of a function that it does not have."""
    for provider, name in [("anthropic", "x" * 100), ("gemini", "x" * 100), ("xai", "a.b"),
                           ("openai_like", "é"), ("cohere", "get-weather")]:  # fmt: skip
        tools = [{"type": "function", "function": {"name": name}}]
        wire = encode(provider, "m", U, *called(name), U, tools=tools)
        assert names_of(wire) == [name]
        assert wire.dropped == ()


@pytest.mark.parametrize(
    ("provider", "model"),
    [pair[:2] for pair in PATTERNS if pair[0] not in {"cohere", "groq", "openai_like", "xai"}],
)
def test_a_tool_with_a_name_that_the_vendor_rejects_is_an_error_at_its_place(
    provider: str, model: str
) -> None:
    """Also with `drop_params`: the call in the response would have another name."""
    good = {"type": "function", "function": {"name": "f"}}
    for name in ("a/b", "", "x" * 129):
        bad = {"type": "function", "function": {"name": name}}
        request = parse_chat({"model": "m", "messages": [U], "tools": [good, bad]})
        codec = registry.find(provider).chat
        with pytest.raises(Unsupported, match="must match") as caught:
            codec.encode(request, Target("our-name", model, drop_params=True), False)
        assert caught.value.detail.param == "tools[1].function.name"


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.text(max_size=80),
    st.sampled_from([NameRule(), NameRule("a-zA-Z0-9_.:-", first="a-zA-Z_"), NameRule(most=3)]),
)
def test_a_fitted_name_fits_and_stays(name: str, rule: NameRule) -> None:
    fitted = fit_name(name, rule)
    assert re.fullmatch(rule.pattern, fitted)
    assert fit_name(fitted, rule) == fitted
