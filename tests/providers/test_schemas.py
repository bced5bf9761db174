"""JSON schemas within the limits of each vendor, and JSON mode where there is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest
from tests.providers.strict import anthropic_api, bedrock_api, cohere_api

U = {"role": "user", "content": "Hello."}
SONNET = "claude-sonnet-4-5"
BEDROCK = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
CLAUDES = [("anthropic", SONNET, anthropic_api.check), ("bedrock", BEDROCK, bedrock_api.check)]


def encode(provider: str, model: str, *messages: dict[str, Any], **more: Any) -> WireRequest:
    drop_params = more.pop("drop_params", False)
    request = parse_chat({"model": "our-name", "messages": [*messages], **more})
    return registry.find(provider).chat.encode(
        request, Target("our-name", model, drop_params), False
    )


def body_of(provider: str, model: str, *messages: dict[str, Any], **more: Any) -> Any:
    return json.loads(encode(provider, model, *messages, **more).body)


def format_of(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "Event", "schema": schema}}


def sent_schema(provider: str, body: Any) -> Any:
    if provider == "anthropic":
        return body["output_config"]["format"]["schema"]
    return json.loads(body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"])


@pytest.mark.parametrize(("provider", "model", "judge"), CLAUDES)
def test_bounds_move_into_the_description_and_objects_are_closed(
    provider: str, model: str, judge: Any
) -> None:
    schema = {
        "type": "object",
        "properties": {
            "rating": {"type": "integer", "minimum": 1, "maximum": 10, "description": "Stars."},
            "tags": {
                "type": "array",
                "items": {"type": "string", "maxLength": 5},
                "minItems": 2,
            },
            "at": {"type": "string", "format": "date-time"},
            "color": {"type": "string", "format": "color"},
            "more": {"type": "object", "additionalProperties": True},
            "any": {},
        },
        "required": ["rating"],
    }
    body = body_of(provider, model, U, response_format=format_of(schema))
    judge(model, body)
    sent = sent_schema(provider, body)
    assert sent["additionalProperties"] is False
    assert sent["properties"] | {"any": None} == {
        "rating": {"type": "integer", "description": "Stars. (minimum: 1, maximum: 10)"},
        "tags": {
            "type": "array",
            "items": {"type": "string", "description": "(maxLength: 5)"},
            "description": "(minItems: 2)",
        },
        "at": {"type": "string", "format": "date-time"},
        "color": {"type": "string", "description": '(format: "color")'},
        "more": {"type": "object", "additionalProperties": False},
        "any": None,
    }
    assert sent["required"] == ["rating"]


KEYWORDS: dict[str, st.SearchStrategy[Any]] = {
    "minimum": st.integers(0, 9),
    "exclusiveMaximum": st.integers(0, 9),
    "multipleOf": st.integers(1, 9),
    "minLength": st.integers(0, 9),
    "maxItems": st.integers(0, 9),
    "minItems": st.integers(0, 3),
    "uniqueItems": st.booleans(),
    "pattern": st.sampled_from(["^a$", "b"]),
    "format": st.sampled_from(["email", "color"]),
    "title": st.text(max_size=3),
    "description": st.text(max_size=3),
    "default": st.integers(0, 9),
    "additionalProperties": st.booleans(),
    "$schema": st.just("https://json-schema.org/draft/2020-12/schema"),
}
LEAF = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "integer", "number", "boolean", "null"])},
    optional=KEYWORDS,
)
SCHEMAS = st.recursive(
    LEAF | st.fixed_dictionaries({"$ref": st.just("#/$defs/A")}, optional={"minimum": st.just(1)}),
    lambda inner: (
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(st.text("ab"), inner)},
            optional=KEYWORDS | {"$defs": st.fixed_dictionaries({"A": inner})},
        )
        | st.fixed_dictionaries({"type": st.just("array"), "items": inner}, optional=KEYWORDS)
        | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)})
        | st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1, max_size=2)})
        | st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2)})
    ),
    max_leaves=6,
)


@settings(derandomize=True, deadline=None)
@given(SCHEMAS)
def test_any_schema_is_sent_within_the_vendors_limits(schema: dict[str, Any]) -> None:
    """As a format and as a strict tool. The client's schema is not changed."""
    before = json.dumps(schema)
    tool = {"type": "function", "function": {"name": "f", "strict": True, "parameters": schema}}
    for provider, model, judge in CLAUDES:
        judge(model, body_of(provider, model, U, response_format=format_of(schema)))
        if schema.get("type") == "object":
            judge(model, body_of(provider, model, U, tools=[tool]))
    assert json.dumps(schema) == before


@settings(derandomize=True, deadline=None)
@given(SCHEMAS)
def test_any_schema_is_sent_to_cohere_within_its_limits(schema: dict[str, Any]) -> None:
    body = body_of("cohere", "command-a", U, response_format=format_of(schema))
    cohere_api.check("command-a", body)
    if schema.get("type") == "object":
        tool = {"type": "function", "function": {"name": "f", "strict": True, "parameters": schema}}
        cohere_api.check("command-a", body_of("cohere", "command-a", U, tools=[tool]))


def test_cohere_gets_one_schema_of_several_and_a_required_property() -> None:
    person = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    schema = {
        "allOf": [person, {"properties": {"age": {"type": "integer"}}, "required": ["age"]}],
        "additionalProperties": False,
    }
    body = body_of("cohere", "command-a", U, response_format=format_of(schema))
    assert body["response_format"]["json_schema"] == {
        "additionalProperties": False,
        "type": "object",
        "properties": {"age": {"type": "integer"}, "name": {"type": "string"}},
        "required": ["name", "age"],
    }
    properties = {
        "a": {"type": "string", "pattern": "^[A-Z]{3}$"},
        "b": {"oneOf": [{"type": "null"}, {"type": "string", "pattern": "(?=a)"}]},
    }
    optional = {"type": "object", "properties": properties}
    body = body_of("cohere", "command-a", U, response_format=format_of(optional))
    assert body["response_format"]["json_schema"] == {
        "type": "object",
        "properties": {
            "a": {"type": "string", "pattern": "[A-Z]{3}"},
            "b": {"anyOf": [{"type": "null"},
                            {"type": "string", "description": '(pattern: "(?=a)")'}]},
        },
        "required": ["a"],
    }  # fmt: skip


A = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
B = {"properties": {"b": {"type": "integer"}, "a": {"type": "number"}}, "required": ["b", "a"]}
FLAT = [("anthropic", SONNET), ("bedrock", BEDROCK), ("bedrock", "us.amazon.nova-pro-v1:0"),
        ("openai", "gpt-4o"), ("azure", "gpt-4o")]  # fmt: skip


def parameters(provider: str, model: str, schema: dict[str, Any]) -> Any:
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    body = body_of(provider, model, U, tools=[tool])
    match provider:
        case "anthropic":
            return body["tools"][0]["input_schema"]
        case "bedrock":
            return body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]
        case _:
            return body["tools"][0]["function"]["parameters"]


@pytest.mark.parametrize(("provider", "model"), FLAT)
def test_a_tools_combined_schemas_are_one_object(provider: str, model: str) -> None:
    either = {"a": {"anyOf": [{"type": "string"}, {"type": "number"}]}, "b": {"type": "integer"}}
    for name in ("anyOf", "oneOf"):
        words = f'D. ({name}: [{{"required":["a"]}},{{"required":["b","a"]}}])'
        about = {} if "nova" in model else {"description": words}  # Nova: the function's own
        flat = {"type": "object", "properties": either, "required": ["a"]}
        assert parameters(provider, model, {"description": "D.", name: [A, B]}) == flat | about
    both = parameters(provider, model, {"type": "object", "allOf": [A, B]})
    assert both == {"type": "object", "properties": either, "required": ["a", "b"]}
    defined = {"$defs": {"A": A, "B": {"anyOf": [A]}}, "anyOf": [{"$ref": "#/$defs/A"},
                                                                {"$ref": "#/$defs/B"}]}  # fmt: skip
    assert parameters(provider, model, defined)["properties"] == {"a": {"type": "string"}}
    assert parameters(provider, model, A) == A


@settings(derandomize=True, deadline=None)
@given(SCHEMAS)
def test_any_schema_of_a_tool_is_one_object_at_its_top(schema: dict[str, Any]) -> None:
    for provider, model in FLAT:
        top = parameters(
            provider, model, {"type": "object", "anyOf": [schema, {"allOf": [schema]}]}
        )
        assert not top.keys() & {"anyOf", "oneOf", "allOf"}


def test_other_servers_get_a_tools_schema_unchanged() -> None:
    assert parameters("openai_like", "m", {"anyOf": [A, B]}) == {"anyOf": [A, B]}


def test_other_vendors_get_the_bounds_that_they_know() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}
    asked = format_of(schema)
    for provider in ("openai", "mistral", "hosted_vllm"):
        body = body_of(provider, "gpt-4o", U, response_format=asked)
        assert body["response_format"] == asked
    body = body_of("gemini", "gemini-2.5-flash", U, response_format=asked)
    assert body["generationConfig"]["responseJsonSchema"] == schema
    body = body_of("cohere", "command-a", U, response_format=asked)
    assert body["response_format"]["json_schema"]["properties"]["a"] == {
        "type": "integer",
        "description": "(minimum: 1)",
    }
    assert body["response_format"]["json_schema"]["required"] == ["a"]


@pytest.mark.parametrize(("provider", "model", "judge"), CLAUDES)
def test_json_mode_is_an_instruction_where_there_is_none(
    provider: str, model: str, judge: Any
) -> None:
    """Also with `drop_params`: otherwise the shape of the response would be lost."""
    for drop_params in (False, True):
        system = {"role": "system", "content": "Be brief."}
        wire = encode(
            provider, model, system, U, response_format={"type": "json_object"},
            drop_params=drop_params,
        )  # fmt: skip
        judge(model, json.loads(wire.body))
        assert b"Be brief." in wire.body
        assert b"one valid JSON object" in wire.body
        assert wire.dropped == ("response_format",)


# ---- recursion ----

PLACE = {"type": "object", "properties": {"v": {"type": "string"}}, "required": ["v"]}


def with_definitions(**found: Any) -> dict[str, Any]:
    """An object with one property for each definition."""
    refs = {name: {"$ref": f"#/$defs/{name}"} for name in found}
    return {"type": "object", "properties": refs, "required": [*refs], "$defs": found}


def node(ref: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": ref}}}}


RECURSIVE = {
    "the whole": node("#"),
    "a definition": with_definitions(Node=node("#/$defs/Node")),
    "two definitions": with_definitions(A=node("#/$defs/B"), B=node("#/$defs/A")),
    "in anyOf": with_definitions(A={"anyOf": [{"type": "null"}, {"$ref": "#/$defs/A"}]}),
    "a property": {
        "type": "object",
        "properties": {"a": {"type": "object", "properties": {"b": {"$ref": "#/properties/a"}}}},
    },
    "old definitions": {
        "type": "object",
        "properties": {"n": {"$ref": "#/definitions/N"}},
        "definitions": {"N": node("#/definitions/N")},
    },
}
PLAIN = {
    "no reference": PLACE,
    "the same twice": with_definitions(A=node("#/$defs/C"), B=node("#/$defs/C"), C=PLACE),
    "a property called $ref": {"type": "object", "properties": {"$ref": {"type": "string"}}},
    "a value": {"type": "object", "properties": {"a": {"type": "object", "enum": [{"$ref": "#"}]}}},
}


@pytest.mark.parametrize(("provider", "model", "judge"), CLAUDES)
@pytest.mark.parametrize("name", RECURSIVE | PLAIN)
def test_a_recursive_schema_is_asked_for_in_words_where_the_vendor_takes_none(
    provider: str, model: str, judge: Any, name: str
) -> None:
    schema = (RECURSIVE | PLAIN)[name]
    wire = encode(provider, model, U, response_format=format_of(schema))
    body = json.loads(wire.body)
    judge(model, body)
    is_recursive = name in RECURSIVE
    assert ("response_format" in wire.dropped) is is_recursive
    assert ("JSON schema" in json.dumps(body.get("system", ""))) is is_recursive
    sent = body.get("output_config") or body.get("outputConfig")
    assert bool(sent) is not is_recursive


@pytest.mark.parametrize(("provider", "model", "judge"), CLAUDES)
@pytest.mark.parametrize("name", RECURSIVE | PLAIN)
def test_a_tool_with_a_recursive_schema_is_not_strict_there(
    provider: str, model: str, judge: Any, name: str
) -> None:
    schema = (RECURSIVE | PLAIN)[name]
    function = {"name": "f", "parameters": schema, "strict": True}
    wire = encode(provider, model, U, tools=[{"type": "function", "function": function}])
    judge(model, json.loads(wire.body))
    is_strict = b'"strict":true' in wire.body
    assert is_strict is (name in PLAIN)
    assert wire.dropped == (() if is_strict else ("tools[].function.strict",))


@pytest.mark.parametrize("provider", ["openai", "gemini"])
def test_another_vendor_gets_a_recursive_schema_as_it_is(provider: str) -> None:
    schema = RECURSIVE["the whole"]
    wire = encode(provider, "gpt-4o", U, response_format=format_of(schema))
    assert wire.dropped == ()
    assert b'"$ref":"#"' in wire.body
