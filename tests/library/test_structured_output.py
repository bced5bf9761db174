"""`response_format=SomeModel`: its schema is sent, its instance comes back as `.parsed`."""

from __future__ import annotations

import copy
import json
import pickle
import re
from enum import Enum
from typing import Any

import openai
import pytest
from openai.lib._pydantic import to_strict_json_schema
from pydantic import BaseModel, Field, RootModel

import fanout
from fanout.library.structured_output import schema_format, strict_schema
from tests.library.ways import HI, Way, at
from tests.support.provider_steps import answers, refuse, reply
from tests.support.scripted_provider import Upstream


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    name: str
    size: int | None = None


class Person(BaseModel):
    """A person."""

    name: str = Field(description="the full name")
    age: int = 0
    color: Color = Color.RED
    parts: list[Part] = []
    best: Part | None = None


def test_the_schema_is_sent_and_the_response_is_parsed(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers('{"name": "Ada", "age": 36}'))
    found = call("completion", "openai/m", HI, response_format=Person, **at(upstream))
    assert found.choices[0].message.parsed == Person(name="Ada", age=36)
    assert found.choices[0].message.content == '{"name": "Ada", "age": 36}'
    assert isinstance(found, fanout.ChatCompletion)
    sent = upstream.calls[0].body["response_format"]
    assert sent["type"] == "json_schema"
    assert (sent["json_schema"]["name"], sent["json_schema"]["strict"]) == ("Person", True)
    assert sent["json_schema"]["schema"] == strict_schema(Person.model_json_schema())


class Node(BaseModel):
    """A node of a tree."""

    value: int
    children: list[Node] = []


class Address(BaseModel):
    street: str


class Customer(BaseModel):
    home: Address = Field(description="where the customer lives")
    work: Address | None = Field(None, description="where the customer works")


@pytest.mark.parametrize("kind", [Person, Node, Customer, Part])
def test_a_class_has_the_schema_that_openais_sdk_makes_of_it(kind: type[BaseModel]) -> None:
    assert strict_schema(kind.model_json_schema()) == to_strict_json_schema(kind)


def test_a_recursive_class_has_an_object_at_the_root_and_keeps_its_definition() -> None:
    schema = strict_schema(Node.model_json_schema())
    assert schema["type"] == "object"
    assert schema["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}
    assert schema["$defs"]["Node"]["additionalProperties"] is False


def test_a_parsed_response_can_be_copied_and_pickled(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers('{"name": "Ada"}'))
    found = call("completion", "openai/m", HI, response_format=Person, **at(upstream))
    for twin in (copy.copy(found), copy.deepcopy(found), pickle.loads(pickle.dumps(found))):  # noqa: S301
        assert twin == found
        assert twin.choices[0].message.parsed == Person(name="Ada")
    assert isinstance(found, fanout.ParsedChatCompletion)
    assert repr(found.choices[0].message).startswith("ParsedMessage[Person](role=")


def test_the_parsed_message_is_valid_input(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers('{"name": "Ada"}'))
    found = call("completion", "openai/m", HI, response_format=Person, **at(upstream))
    call("completion", "openai/m", [*HI, found.choices[0].message, *HI], **at(upstream))
    sent = upstream.calls[1].body["messages"][1]
    assert sent == {"role": "assistant", "content": '{"name": "Ada"}'}


def test_a_parsed_response_dumps_and_loads(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers('{"name": "Ada"}'))
    found = call("completion", "openai/m", HI, response_format=Person, **at(upstream))
    dumped = json.loads(found.model_dump_json())
    assert dumped["choices"][0]["message"]["parsed"]["name"] == "Ada"
    for kind in (type(found), fanout.ParsedChatCompletion[Person]):
        again = kind.model_validate(dumped)
        assert again.choices[0].message.parsed == Person(name="Ada")
        assert again == found
    assert kind.model_validate_json(found.model_dump_json()) == found
    assert type(found).model_json_schema()["$defs"]["Person"]["properties"].keys() >= {"name"}


def test_a_response_loaded_without_its_class_has_the_object_as_a_dict(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("m", answers('{"name": "Ada"}'))
    found = call("completion", "openai/m", HI, response_format=Person, **at(upstream))
    again: Any = fanout.ParsedChatCompletion.model_validate(found.model_dump(mode="json"))
    assert again.choices[0].message.parsed.name == "Ada"
    assert "'name': 'Ada'" in repr(again)
    assert again.model_dump() == found.model_dump(mode="json")


def test_each_response_of_a_batch_and_the_winner_of_a_race_are_parsed(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("m", answers('{"name": "Ada"}'))
    options = {"response_format": Person, **at(upstream)}
    for found in call("batch_completion", "openai/m", [HI, HI], **options):
        assert found.choices[0].message.parsed == Person(name="Ada")
    won = call("batch_completion_models", ["openai/m"], HI, **options)
    assert won.choices[0].message.parsed == Person(name="Ada")
    assert won.fanout.attempts[0].outcome == "won"
    (found,) = call("batch_completion_models_all_responses", ["openai/m"], HI, **options)
    assert found.choices[0].message.parsed == Person(name="Ada")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no json", "Invalid JSON"),
        ('{"age": 3}', "`name`: Field required"),
        ('{"name": "a", "age": "a secret"}', "`age`: Input should be a valid integer"),
    ],
)
def test_a_response_that_does_not_fit_is_an_error_that_holds_it(
    upstream: Upstream, call: Way, text: str, reason: str
) -> None:
    upstream.script("m", answers(text))
    with pytest.raises(fanout.SchemaMismatch, match=reason) as raised:
        call("completion", "openai/m", HI, response_format=Person, **at(upstream))
    held = raised.value.completion
    assert isinstance(held, fanout.ChatCompletion)
    assert held.choices[0].message.content == text
    assert "secret" not in str(raised.value)
    (failed,) = call("batch_completion", "openai/m", [HI], response_format=Person, **at(upstream))
    assert isinstance(failed, fanout.SchemaMismatch)


def body(finish_reason: str, **message: Any) -> Any:
    choice = {
        "index": 0,
        "message": {"role": "assistant", **message},
        "finish_reason": finish_reason,
    }
    whole = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
    }
    return reply(200, json.dumps(whole).encode(), {"content-type": "application/json"})


def test_a_response_that_was_cut_off_says_what_to_raise(upstream: Upstream, call: Way) -> None:
    upstream.script("m", [body("length", content='{"name": "A')])
    with pytest.raises(fanout.SchemaMismatch, match="raise `max_tokens`"):
        call("completion", "openai/m", HI, response_format=Person, **at(upstream))


def test_the_chunks_of_a_stream_are_parsed(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers('{"name": ', '"Ada"}'))
    options = {"response_format": Person, **at(upstream)}
    chunks = call.read("completion", "openai/m", HI, **options)
    assert upstream.calls[0].body["response_format"]["json_schema"]["name"] == "Person"
    found = fanout.stream_chunk_builder(chunks, response_format=Person)
    assert found.choices[0].message.parsed == Person(name="Ada")
    plain = fanout.stream_chunk_builder(chunks, response_format={"type": "json_object"})
    assert type(plain) is fanout.ChatCompletion
    with pytest.raises(fanout.SchemaMismatch, match="Invalid JSON") as raised:
        fanout.stream_chunk_builder(chunks[:-3], response_format=Person)
    assert isinstance(raised.value, openai.APIResponseValidationError)


def test_a_refusal_has_nothing_parsed(upstream: Upstream, call: Way) -> None:
    upstream.script("m", [body("stop", content=None, refusal="No.")])
    found = call("completion", "openai/m", HI, response_format=Person, **at(upstream))
    assert (found.choices[0].message.parsed, found.choices[0].message.refusal) == (None, "No.")


def test_an_error_of_the_provider_stays_one(upstream: Upstream, call: Way) -> None:
    upstream.script("m", [refuse(400, "no schemas")])
    with pytest.raises(fanout.Rejected, match="no schemas"):
        call("completion", "openai/m", HI, response_format=Person, **at(upstream))


@pytest.mark.parametrize("kind", [int, dict, Color])
def test_a_class_that_is_no_pydantic_model_is_rejected(call: Way, kind: type) -> None:
    with pytest.raises(fanout.RequestError, match=f"`{kind.__name__}` is not a pydantic model"):
        call("completion", "openai/m", HI, response_format=kind)


@pytest.mark.parametrize("kind", [RootModel[list[int]], RootModel[int], RootModel[Part | Person]])
def test_a_schema_without_an_object_at_the_root_is_rejected_as_a_list_is(
    call: Way, kind: Any
) -> None:
    for given, name in ((kind, kind.__name__), (list[int], "list[int]")):
        words = f"must be a pydantic class (with a field for a list) or a dict, not `{name}`"
        with pytest.raises(fanout.RequestError, match=re.escape(words)):
            call("completion", "openai/m", HI, response_format=given)
    assert schema_format(RootModel[Part])["json_schema"]["schema"]["type"] == "object"


class Link(BaseModel):
    value: str
    next: Link = Field(default=None, description="the next one")  # type: ignore[assignment]


def test_a_class_whose_reference_to_itself_has_a_description_has_a_schema() -> None:
    """Pydantic writes both beside each other, and a definition cannot be put into itself."""
    schema = strict_schema(Link.model_json_schema())
    assert schema["properties"]["next"] == {"$ref": "#/$defs/Link"}
    assert schema["$defs"]["Link"]["properties"]["next"] == {"$ref": "#/$defs/Link"}


ADA = Person(name="Ada").model_dump_json()
"""With all properties: those of a strict schema are required."""


def test_a_checked_response_is_asked_for_again_and_then_from_the_next_model(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("m", answers("no"))
    upstream.script("other", answers(ADA))
    options = {"response_format": Person, "check": True, "escalate": ["openai/other"]}
    found = call("completion", "openai/m", HI, **options, **at(upstream))
    assert found.choices[0].message.parsed == Person(name="Ada")
    assert found.model == "openai/other"
    report = [(one["model"], one["outcome"]) for one in found["fanout"]["attempts"]]
    assert report == [("openai/m", "invalid")] * 2 + [("openai/other", "won")]
    (listed,) = call("batch_completion", "openai/m", [HI], **options, **at(upstream))
    assert listed.choices[0].message.parsed == Person(name="Ada")


def test_the_fastest_valid_response_of_several_models_wins(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers("no"))
    upstream.script("n", answers(ADA, after=0.05))
    options = {"response_format": Person, "check": True, "attempts": 1, **at(upstream)}
    found = call("batch_completion_models", ["openai/m", "openai/n"], HI, **options)
    assert (found.model, found.choices[0].message.parsed) == ("openai/n", Person(name="Ada"))


def test_a_checked_stream_begins_when_its_response_fits(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers("no"), answers(ADA[:9], ADA[9:]))
    options = {"response_format": Person, "check": True, **at(upstream)}
    chunks = call.read("completion", "openai/m", HI, **options)
    built = fanout.stream_chunk_builder(chunks, response_format=Person)
    assert built.choices[0].message.parsed == Person(name="Ada")


def test_the_error_of_a_check_has_the_text_the_reason_and_the_response(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("m", answers("{}"))
    with pytest.raises(fanout.SchemaMismatch, match="the property `name` is missing") as raised:
        call("completion", "openai/m", HI, response_format=Person, check=True, **at(upstream))
    error = raised.value
    assert isinstance(error, openai.APIResponseValidationError)
    assert (error.text, len(error.attempts)) == ("{}", 2)
    assert isinstance(error.completion, fanout.ChatCompletion)
    assert copy.copy(error).reason == error.reason


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"check": True}, "check"),
        ({"response_format": Person, "check": True, "attempts": 0}, "attempts"),
        ({"response_format": Person, "check": True, "escalate": "openai/b"}, "escalate"),
        ({"response_format": Person, "check": False, "escalate": ["openai/b"]}, "escalate"),
    ],
)
def test_a_check_that_cannot_be_done_names_the_argument(
    upstream: Upstream, call: Way, options: dict[str, Any], param: str
) -> None:
    with pytest.raises(fanout.RequestError) as raised:
        call("completion", "openai/m", HI, **options, **at(upstream))
    assert raised.value.param == param
    assert upstream.calls == []
