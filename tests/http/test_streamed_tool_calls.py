"""Streamed tool calls of servers that differ from OpenAI's, as OpenAI's SDK collects them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.http.openai_clients import HI
from tests.support.gateway_server import RunningGateway
from tests.support.provider_steps import delta, reply, role, stop
from tests.support.scripted_provider import Upstream

ABSENT: Any = object()

# Values of a field in a later part of a call that mean "as before".
AGAIN = {
    "id": (ABSENT, None, "", "call_a"),
    "type": (ABSENT, None, "", "function"),
    "name": (ABSENT, None, "", "get_weather"),
}


def part(index: int | None = 0, arguments: str | None = None, **fields: Any) -> dict[str, Any]:
    function = {"name": fields.pop("name", ABSENT), "arguments": arguments}
    given = {"index": ABSENT if index is None else index, **fields}
    kept = {name: value for name, value in given.items() if value is not ABSENT}
    kept["function"] = {name: value for name, value in function.items() if value is not ABSENT}
    return kept


def begin(index: int | None, call_id: str, name: str, arguments: str = "") -> dict[str, Any]:
    return part(index, arguments, id=call_id, type="function", name=name)


@pytest.fixture(scope="module")
def client(server: RunningGateway) -> Iterator[openai.OpenAI]:
    """The client with the usual base URL; `test_openai_client.py` has the one without `/v1`."""
    with openai.OpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=0) as made:
        yield made


def streamed(client: openai.OpenAI, **more: Any) -> list[tuple[str, str]]:
    with client.chat.completions.stream(messages=HI, **more) as stream:
        for _ in stream:
            pass
        calls = stream.get_final_completion().choices[0].message.tool_calls or []
    assert len({call.id for call in calls} - {""}) == len(calls)
    return [(call.function.name, call.function.arguments) for call in calls]


def plain(client: openai.OpenAI, **more: Any) -> list[tuple[str, str]]:
    completion = client.chat.completions.create(messages=HI, **more)
    calls: Any = completion.choices[0].message.tool_calls or []
    assert len({call.id for call in calls} - {""}) == len(calls)
    assert {call.type for call in calls} == {"function"}
    return [(call.function.name, call.function.arguments) for call in calls]


RACE: Any = {"model": "a, a", "extra_body": {"fastest_response": True}}


def check(
    client: openai.OpenAI,
    upstream: Upstream,
    parts: list[list[dict[str, Any]]],
    calls: list[tuple[str, str]],
) -> None:
    upstream.script("a", [role, *(delta(tool_calls=each) for each in parts), stop])
    assert streamed(client, model="a") == calls
    assert streamed(client, **RACE) == calls
    assert plain(client, **RACE) == calls


def test_fields_repeated_or_empty_in_later_parts_change_nothing(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    for again in itertools.product(*AGAIN.values()):
        later = dict(zip(AGAIN, again, strict=True))
        parts = [
            [begin(0, "call_a", "get_weather", '{"city"')],
            [part(0, ': "Rome', **later)],
            [part(0, '"}', **later)],
        ]
        check(client, upstream, parts, [("get_weather", '{"city": "Rome"}')])


@pytest.mark.parametrize("name", ["f", "g"], ids=["same-name", "another-name"])
def test_whole_calls_at_one_index_without_ids_stay_apart(
    client: openai.OpenAI, upstream: Upstream, name: str
) -> None:
    for call_id in ("", ABSENT, None, "null"):
        one = part(0, '{"a": 1}', id=call_id, type="function", name="f")
        two = part(0, '{"b": 1}', id=call_id, type="function", name=name)
        for parts in ([[one, two]], [[one], [two]]):
            check(client, upstream, parts, [("f", '{"a": 1}'), (name, '{"b": 1}')])


def test_a_name_after_arguments_in_parts_begins_the_next_call(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    parts = [
        [part(0, "", type="function", name="f")],
        [part(0, '{"a"')],
        [part(0, ": 1}")],
        [part(0, "{}", type="function", name="g")],
    ]
    check(client, upstream, parts, [("f", '{"a": 1}'), ("g", "{}")])


def test_a_name_in_parts_is_joined(client: openai.OpenAI, upstream: Upstream) -> None:
    parts = [
        [begin(0, "call_a", "get_")],
        [part(0, "", name="weather")],
        [part(0, "{}")],
    ]
    check(client, upstream, parts, [("get_weather", "{}")])


@pytest.mark.parametrize("indexes", [(1, 2), (1, 0), (5, 7), (0, 2), (None, None)], ids=repr)
def test_calls_get_indexes_from_0_without_gaps(
    client: openai.OpenAI, upstream: Upstream, indexes: tuple[int | None, int | None]
) -> None:
    first, second = indexes
    parts = [
        [begin(first, "call_a", "f")],
        [part(first, '{"a": 1}')],
        [begin(second, "call_b", "g")],
        [part(second, '{"b": 1}')],
    ]
    check(client, upstream, parts, [("f", '{"a": 1}'), ("g", '{"b": 1}')])


def test_calls_with_the_same_id_at_different_indexes_stay_apart(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    parts = [[begin(i, "call", name, "{}")] for i, name in enumerate("fgh")]
    upstream.script("a", [role, *(delta(tool_calls=each) for each in parts), stop])
    with client.chat.completions.stream(model="a", messages=HI) as stream:
        indexes = [
            call.index
            for event in stream
            if event.type == "chunk"
            for call in event.chunk.choices[0].delta.tool_calls or ()
        ]
    assert indexes == [0, 1, 2]


def test_an_id_that_is_the_word_null_is_none(client: openai.OpenAI, upstream: Upstream) -> None:
    """Mistral's: each call gets an id, and a part with `null` is more of the last call."""
    parts = [
        [begin(None, "null", "f")],
        [part(None, '{"a": 1}', id="null", name="")],
        [begin(None, "null", "g", "{}")],
    ]
    check(client, upstream, parts, [("f", '{"a": 1}'), ("g", "{}")])


@pytest.mark.parametrize("call_id", ["null", "same"])
def test_equal_ids_of_one_response_are_made_distinct(
    client: openai.OpenAI, upstream: Upstream, call_id: str
) -> None:
    calls = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}
        for name in "fg"
    ]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    upstream.script("a", [reply(200, json.dumps({"id": "c", "choices": [choice]}).encode())])
    assert plain(client, model="a") == [("f", "{}"), ("g", "{}")]
    parts = [[begin(i, call_id, name, "{}")] for i, name in enumerate("fg")]
    check(client, upstream, parts, [("f", "{}"), ("g", "{}")])
