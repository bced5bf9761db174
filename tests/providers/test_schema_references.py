"""References in JSON schemas as vendors accept them: of tools, formats and tools' results."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.providers.schema_references import MOST_INLINED, is_recursive, lone_references
from fanout.schema.validation import parse_chat
from tests.providers.strict import gemini_api, tool_schemas

U = {"role": "user", "content": "Hello."}
GEMINIS = [
    ("gemini", "gemini-2.5-flash"),
    ("gemini", "gemini-3-pro-preview"),
    ("vertex_ai", "gemini-2.5-flash"),
]


class Place(BaseModel):
    """A town."""

    name: str
    near: list[Place] = []


class Size(BaseModel):
    meters: float = Field(description="of one side")


class Trip(BaseModel):
    """A journey, with a description at each field, as pydantic writes them beside references."""

    start: Place = Field(description="where it begins")
    luggage: Size = Field(description="of the bag", title="Luggage")
    more: list[Size] = Field(default=[Size(meters=1)], description="of other bags")


def body_of(provider: str, model: str, *messages: Any, **more: Any) -> dict[str, Any]:
    request = parse_chat({"messages": [*(messages or [U])], **more})
    options = {"vertex_project": "p"}
    wire = registry.find(provider).chat.encode(request, Target("m", model, False, options), False)
    body: dict[str, Any] = json.loads(wire.body)
    gemini_api.check(model, body)
    return body


@pytest.mark.parametrize(("provider", "model"), GEMINIS)
def test_gemini_gets_nothing_beside_a_reference(provider: str, model: str) -> None:
    """A definition stands in its place; one that refers to itself, by its reference alone."""
    schema = Trip.model_json_schema()
    function = {"name": "f", "parameters": schema}
    tools = [{"type": "function", "function": function}]
    tool = body_of(provider, model, tools=tools)["tools"][0]["functionDeclarations"][0]
    form = {"type": "json_schema", "json_schema": {"name": "trip", "schema": schema}}
    config = body_of(provider, model, response_format=form)["generationConfig"]
    for sent in (tool["parametersJsonSchema"], config["responseJsonSchema"]):
        assert sent["properties"]["start"] == {"$ref": "#/$defs/Place"}
        assert sent["properties"]["luggage"]["description"] == "of the bag"
        assert sent["properties"]["luggage"]["required"] == ["meters"]
        assert sent["properties"]["more"]["items"] == {"$ref": "#/$defs/Size"}


@pytest.mark.parametrize(("provider", "model"), GEMINIS)
@pytest.mark.parametrize(
    "result",
    [Trip.model_json_schema(), {"tools": [{"schema": {"$ref": "#/$defs/Place"}}]}, {"$ref": "x"}],
    ids=["a schema", "inside", "alone"],
)
def test_a_result_with_a_reference_is_a_text_for_gemini(
    provider: str, model: str, result: Any
) -> None:
    """It takes a reference for the name of a medium beside the result."""
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    history = [
        U,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": json.dumps(result)},
    ]
    parts = body_of(provider, model, *history)["contents"][-1]["parts"]
    assert parts[0]["functionResponse"]["response"] == {"output": json.dumps(result)}


# ---- any schema ----

NAMES = ["a", "default", "$ref", "b/c", "d e"]
REFS = st.sampled_from(
    ["#", "#/$defs/a", "#/$defs/default", "#/$defs/b~1c", "#/$defs/d%20e", "#/properties/a", "#/x"]
)
BESIDE = st.fixed_dictionaries(
    {}, optional={"description": st.just("d"), "title": st.just("t"), "minLength": st.just(1)}
)
LEAVES = st.sampled_from([{"type": "string"}, {"type": "integer"}, {}]).map(dict)
REFERENCES = st.builds(lambda ref, beside: {"$ref": ref, **beside}, REFS, BESIDE)


def inner(schemas: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    objects = st.dictionaries(st.sampled_from(NAMES), schemas, max_size=3).map(
        lambda properties: {"type": "object", "properties": properties}
    )
    arrays = schemas.map(lambda items: {"type": "array", "items": items})
    return objects | arrays | st.lists(schemas, min_size=1, max_size=2).map(lambda s: {"anyOf": s})


SCHEMAS = st.recursive(LEAVES | REFERENCES, inner, max_leaves=6)
WHOLES = st.builds(
    lambda schema, definitions: {**schema, "$defs": definitions},
    SCHEMAS,
    st.dictionaries(st.sampled_from(NAMES), SCHEMAS, min_size=1),
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(whole=WHOLES)
def test_in_any_schema_a_reference_ends_up_alone(whole: dict[str, Any]) -> None:
    before = json.dumps(whole)
    lone = lone_references(whole)
    tool_schemas.check_references(lone)
    assert json.dumps(whole) == before
    assert lone_references(lone) == lone


@pytest.mark.parametrize(
    ("value", "is_valid"),
    [({"luggage": {"meters": 2}}, True), ({"luggage": {"meters": "x"}}, False)],
)
def test_a_schema_accepts_the_same_values_when_its_references_are_alone(
    value: Any, *, is_valid: bool
) -> None:
    schema = lone_references(Trip.model_json_schema())
    given = {"start": {"name": "Oslo", "near": [{"name": "Ski"}]}, **value}
    assert jsonschema_rs.is_valid(schema, given) is is_valid


def test_a_schema_with_few_bytes_does_not_explode() -> None:
    """Each definition has the next one twice."""
    twice = {
        f"d{n}": {
            "type": "object",
            "properties": {
                key: {"$ref": f"#/$defs/d{n + 1}", "description": key} for key in ("a", "b")
            },
        }
        for n in range(30)
    }
    whole = {"$ref": "#/$defs/d0", "title": "t", "$defs": twice | {"d30": {"type": "string"}}}
    lone = lone_references(whole)
    tool_schemas.check_references(lone)
    assert len(json.dumps(lone)) < MOST_INLINED * 1000


@pytest.mark.parametrize(
    ("ref", "definitions"),
    [
        ("#/$defs/a%20b", {"a b": {"items": {"$ref": "#/$defs/a%20b"}}}),
        ("#/$defs/a/anyOf/1", {"a": {"anyOf": [{}, {"items": {"$ref": "#/$defs/a/anyOf/1"}}]}}),
        ("#/$defs/a", {"a": {"properties": {"default": {"$ref": "#/$defs/a"}}}}),
    ],
    ids=["encoded", "in a list", "by a property with the name of a keyword"],
)
def test_recursion_is_found_however_the_reference_is_written(ref: str, definitions: Any) -> None:
    assert is_recursive({"properties": {"x": {"$ref": ref}}, "$defs": definitions})
