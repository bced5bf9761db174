"""The schema of a function's parameters is of an object that every vendor accepts."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest
from tests.providers.strict import anthropic_api, bedrock_api, cohere_api, gemini_api, openai_api

U = {"role": "user", "content": "Hello."}
NOVA = "us.amazon.nova-pro-v1:0"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OTHERS = [
    ("anthropic", "claude-sonnet-4-5", anthropic_api.check),
    ("bedrock", CLAUDE, bedrock_api.check),
    ("bedrock", NOVA, bedrock_api.check),
    ("gemini", "gemini-2.5-flash", gemini_api.check),
    ("cohere", "command-a", cohere_api.check),
]
LIKE_OPENAI = ["openai", "azure", "mistral", "groq", "xai", "cerebras", "fireworks_ai", "deepseek",
               "together_ai", "openrouter", "hosted_vllm", "openai_like"]  # fmt: skip


def tool(schema: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "parameters": schema, **fields}}


def encode(provider: str, model: str, *tools: dict[str, Any]) -> WireRequest:
    request = parse_chat({"model": "our-name", "messages": [U], "tools": [*tools]})
    return registry.find(provider).chat.encode(request, Target("our-name", model), False)


def parameters(provider: str, model: str, body: Any) -> Any:
    match provider:
        case "anthropic":
            return body["tools"][0]["input_schema"]
        case "bedrock" if "toolConfig" in body:
            return body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]
        case "gemini":
            return body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]
        case _:
            return body["tools"][0]["function"]["parameters"]


def sent(provider: str, model: str, schema: Any, judge: Any = None) -> Any:
    """The schema that the vendor gets, in a request that its strict server accepts."""
    body = json.loads(encode(provider, model, tool(schema)).body)
    if judge:
        judge(model, body)
    else:
        openai_api.check(provider, body)
    return parameters(provider, model, body)


EMPTY = {"type": "object", "properties": {}}
COMPLETED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("no properties", {"type": "object"}, EMPTY),
    ("nothing", {}, EMPTY),
    ("null properties", {"type": "object", "properties": None, "required": None}, EMPTY),
    ("only closed", {"additionalProperties": False}, EMPTY | {"additionalProperties": False}),
    ("no type", {"properties": {"a": {"type": "string"}}},
     {"type": "object", "properties": {"a": {"type": "string"}}}),
    ("two types", {"type": ["object", "null"]}, EMPTY),
    ("an array", {"properties": {"a": {"type": "array"}, "b": {"type": ["array", "null"]}}},
     {"type": "object", "properties": {"a": {"type": "array", "items": {}},
                                       "b": {"type": ["array", "null"], "items": {}}}}),
    ("an array inside", {"properties": {"a": {"anyOf": [{"type": "array"}, {"type": "null"}]},
                                        "b": {"type": "array", "items": {"type": "array"}},
                                        "c": {"additionalProperties": {"type": "array"}}}},
     {"type": "object", "properties": {
         "a": {"anyOf": [{"type": "array", "items": {}}, {"type": "null"}]},
         "b": {"type": "array", "items": {"type": "array", "items": {}}},
         "c": {"additionalProperties": {"type": "array", "items": {}}}}}),
    ("a recursive type", {"$ref": "#/$defs/N", "$defs": {"N": {"type": "object", "properties": {
        "next": {"$ref": "#/$defs/N"}}}}},
     {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}, "$defs": {"N": {
         "type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}}}),
]  # fmt: skip
CASES = pytest.mark.parametrize(
    ("given", "expected"), [case[1:] for case in COMPLETED], ids=[case[0] for case in COMPLETED]
)
NOVA_CASES = {"only closed", "a recursive type"}


@CASES
@pytest.mark.parametrize(("provider", "model", "judge"), OTHERS)
def test_parameters_are_completed(
    provider: str, model: str, judge: Any, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = sent(provider, model, given, judge)
    if model != NOVA or not expected.keys() - {"type", "properties", "required"}:
        assert found == expected


@CASES
@pytest.mark.parametrize("provider", LIKE_OPENAI)
def test_parameters_are_completed_for_vendors_with_openais_api(
    provider: str, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = sent(provider, "gpt-4o", given)
    if "$ref" not in given or provider in {"openai", "azure"}:
        assert found == expected
    else:
        assert found == given


@pytest.mark.parametrize("provider", ["mistral", "openai_like", "openai"])
@pytest.mark.parametrize("fields", [{}, {"parameters": None}])
def test_a_function_without_parameters_has_none_in_its_schema(
    provider: str, fields: dict[str, Any]
) -> None:
    """Mistral's SDK requires `parameters`; github.com/ggml-org/llama.cpp/issues/17667."""
    wire = encode(provider, "m", {"type": "function", "function": {"name": "f", **fields}})
    openai_api.check(provider, json.loads(wire.body))
    assert parameters(provider, "m", json.loads(wire.body)) == EMPTY
    assert wire.dropped == ()


LEAVES = st.sampled_from([
    {"type": "string"}, {"type": "integer"}, {"type": "array"}, {"type": "object"}, {},
    {"type": ["array", "null"]}, {"const": []}, {"enum": [{"type": "array"}, 1]},
    {"type": "array", "prefixItems": [{"type": "array"}]}, {"default": {"type": "array"}},
])  # fmt: skip
NESTED = st.recursive(
    LEAVES,
    lambda inner: (
        st.fixed_dictionaries({"type": st.just("array"), "items": inner})
        | st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from("ab"), inner)})
        | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)})
        | st.fixed_dictionaries({"type": st.just("object"), "additionalProperties": inner})
        | st.fixed_dictionaries({"not": inner})
    ),
    max_leaves=6,
)
VALUES = st.recursive(
    st.none() | st.integers(0, 2) | st.just("a"),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abp"), inner, max_size=2)
    ),
    max_leaves=6,
)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(NESTED, st.lists(VALUES, max_size=4))
def test_a_completed_schema_accepts_the_same_values(
    schema: dict[str, Any], values: list[Any]
) -> None:
    given = {"type": "object", "properties": {"p": schema}}
    before = json.dumps(given)
    found = sent("openai", "gpt-4o", given)
    assert json.dumps(given) == before
    for value in values:
        arguments = {"p": value}
        assert jsonschema_rs.is_valid(found, arguments) == jsonschema_rs.is_valid(given, arguments)
    for provider, model, judge in OTHERS:
        sent(provider, model, given, judge)


# ---- Nova ----

PLACE = {"title": "Place", "type": "object", "properties": {"city": {"type": "string"}}}
PYDANTIC = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$defs": {"Place": PLACE},
    "title": "Trip",
    "description": "A trip.",
    "type": "object",
    "properties": {
        "from": {"$ref": "#/$defs/Place", "description": "Its start."},
        "stops": {"type": "array", "items": {"$ref": "#/$defs/Place"}},
    },
    "required": ["from"],
    "additionalProperties": False,
}


def test_nova_gets_definitions_in_place_and_no_other_keywords_at_the_top() -> None:
    assert sent("bedrock", NOVA, PYDANTIC, bedrock_api.check) == {
        "type": "object",
        "properties": {
            "from": {**PLACE, "description": "Its start."},
            "stops": {"type": "array", "items": PLACE},
        },
        "required": ["from"],
    }
    assert sent("bedrock", CLAUDE, PYDANTIC, bedrock_api.check) == PYDANTIC


@pytest.mark.parametrize(
    ("of_function", "expected"),
    [(None, "A trip."), ("A trip. It is long.", "A trip. It is long."), ("Go.", "Go.\n\nA trip.")],
)
def test_what_only_a_schema_for_nova_says_is_in_the_functions_description(
    of_function: str | None, expected: str
) -> None:
    fields = {"description": of_function} if of_function else {}
    body = json.loads(encode("bedrock", NOVA, tool(PYDANTIC, **fields)).body)
    assert body["toolConfig"]["tools"][0]["toolSpec"]["description"] == expected


def test_a_definition_that_refers_to_itself_is_open_for_nova() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/definitions/Node"}}}
    schema = {"type": "object", "properties": {"first": {"$ref": "#/definitions/Node"}},
              "definitions": {"Node": node}}  # fmt: skip
    assert sent("bedrock", NOVA, schema, bedrock_api.check)["properties"] == {
        "first": {"type": "object", "properties": {"next": {"type": "object"}}}
    }


def test_a_schema_for_nova_does_not_explode() -> None:
    """Thirty definitions, each of which has the next one twice, would be gigabytes."""
    both = {f"D{i}": {"type": "object", "properties": {
        name: {"$ref": f"#/$defs/D{i + 1}"} for name in "ab"}} for i in range(30)}  # fmt: skip
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/D0"}}, "$defs": both}
    assert len(json.dumps(sent("bedrock", NOVA, schema, bedrock_api.check))) < 100_000


# ---- equal tools ----


def test_of_equal_tools_one_is_sent() -> None:
    for provider, model, judge in [*OTHERS, ("deepseek", "deepseek-chat", None)]:
        wire = encode(provider, model, tool(EMPTY), tool(EMPTY))
        body = json.loads(wire.body)
        judge(model, body) if judge else openai_api.check(provider, body)
        assert wire.body.count(b'"f"') == 1
        assert wire.dropped == ("tools[]",)


def test_different_tools_of_one_name_are_the_vendors_to_judge() -> None:
    other = tool({"type": "object", "properties": {"a": {"type": "string"}}})
    for provider, model in [("anthropic", "claude-sonnet-4-5"), ("deepseek", "deepseek-chat")]:
        assert encode(provider, model, tool(EMPTY), other).body.count(b'"f"') == 2
