from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct, inspect

from fanout.errors import RequestError
from fanout.schema.validation import check_choice, convert, parse_chat, reject_extensions


class Inner(Struct, forbid_unknown_fields=True):
    count: Annotated[int, Meta(ge=1)]
    kind: Literal["x", "y"] = "x"


class Outer(Struct):
    inner: Inner
    many: list[Inner] = []
    named: dict[str, Inner] = {}


class Node(Struct):
    child: Node | None = None


def error_of(value: object) -> RequestError:
    with pytest.raises(RequestError) as raised:
        convert(value, Outer)
    return raised.value


@pytest.mark.parametrize(
    ("value", "param", "code"),
    [
        ({}, "inner", "missing_required_parameter"),
        ({"inner": {}}, "inner.count", "missing_required_parameter"),
        ({"inner": {"count": "1"}}, "inner.count", "invalid_value"),
        ({"inner": {"count": 0}}, "inner.count", "invalid_value"),
        ({"inner": {"count": 1, "kind": "z"}}, "inner.kind", "invalid_value"),
        ({"inner": {"count": 1, "x": 1}}, "inner", "invalid_value"),
        ({"inner": []}, "inner", "invalid_value"),
        ({"inner": {"count": 1}, "many": [{"count": 1}, 5]}, "many[1]", "invalid_value"),
        ({"inner": {"count": 1}, "named": {"x": 5}}, "named[...]", "invalid_value"),
        ([], None, "invalid_type"),
        ("x", None, "invalid_type"),
    ],
)
def test_an_error_has_the_path_of_its_field_and_a_code(
    value: object, param: str | None, code: str
) -> None:
    error = error_of(value)
    assert (error.param, error.detail.code, error.status) == (param, code, 400)
    assert error.detail.type == "invalid_request_error"
    if param is not None:
        assert f"`{param}`" in str(error)


class Limits(Struct):
    name: Annotated[str, Meta(min_length=1, max_length=3)] = "x"
    ratio: Annotated[float, Meta(ge=0, le=2)] = 1.0
    count: Annotated[int, Meta(gt=0, lt=5_000_000)] = 1
    stops: Annotated[list[str], Meta(min_length=1, max_length=4)] | None = None
    labels: Annotated[dict[str, int], Meta(min_length=2)] = {}
    on: bool = True
    text: str | list[str] | None = None
    mode: Literal["race", "all"] = "race"


@pytest.mark.parametrize(
    ("field", "path", "some"),
    [
        ({"messages": [{"role": "x", "content": "a"}]}, "messages[0].role", {"user", "tool"}),
        (
            {"messages": [{"role": "user", "content": [{"type": "img"}]}]},
            "messages[0].content[0].type",
            {"text", "image_url"},
        ),
        ({"response_format": {"type": "xml"}}, "response_format.type", {"json_schema", "text"}),
        ({"reasoning_effort": "mega"}, "reasoning_effort", {"low", "high"}),
        ({"tool_choice": "maybe"}, "tool_choice", {"auto", "none", "required"}),
    ],
)
def test_a_text_that_is_not_allowed_is_named_with_those_that_are(
    field: dict[str, object], path: str, some: set[str]
) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "a"}], **field}
    with pytest.raises(RequestError) as raised:
        reject_extensions(parse_chat(body))
    wrong, _, listed = str(raised.value).partition(": use ")
    assert wrong.startswith(f"`{path}` cannot be")
    assert some <= set(listed.replace(",", "").replace("`", "").split())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"name": ""}, "`name` must not be empty"),
        ({"name": "long"}, "`name` must have at most 3 characters"),
        ({"name": 5}, "`name` must be a string, not an integer"),
        ({"ratio": 2.5}, "`ratio` must be at most 2"),
        ({"ratio": -1}, "`ratio` must be at least 0"),
        ({"ratio": "1"}, "`ratio` must be a number, not a string"),
        ({"count": 0}, "`count` must be at least 1"),
        ({"count": 5_000_000}, "`count` must be at most 4999999"),
        ({"count": 1.5}, "`count` must be an integer, not a number"),
        ({"stops": []}, "`stops` must not be empty"),
        ({"stops": ["x"] * 5}, "`stops` must have at most 4 items"),
        ({"stops": [None]}, "`stops[0]` must be a string, not null"),
        ({"labels": {"a": 1}}, "`labels` must have at least 2 keys"),
        ({"on": {}}, "`on` must be a boolean, not an object"),
        ({"text": 5}, "`text` must be a string, a list or null, not an integer"),
        ({"mode": "warm"}, "`mode` cannot be 'warm': use `all` or `race`"),
        ({"name": 1j}, "`name` must be a string, not `complex`"),
        ([], "the value must be an object, not a list"),
    ],
)
def test_a_message_says_in_plain_words_what_the_field_must_be(value: object, message: str) -> None:
    with pytest.raises(RequestError) as raised:
        convert(value, Limits)
    assert str(raised.value) == message


def test_an_unknown_field_is_named() -> None:
    error = error_of({"inner": {"count": 1, "x": 1}})
    assert str(error) == "`inner` is not valid: object contains unknown field `x`"


def test_a_valid_value_is_converted() -> None:
    found = convert({"inner": {"count": 3}, "extra": 1}, Outer)
    assert (found.inner.count, found.inner.kind, found.many) == (3, "x", [])


def test_a_text_is_accepted_as_a_number_only_without_strict() -> None:
    assert convert({"inner": {"count": "3"}}, Outer, strict=False).inner.count == 3


def test_a_value_nested_too_deeply_is_an_error_and_no_crash() -> None:
    deep: Any = {}
    for _ in range(50_000):
        deep = {"child": deep}
    with pytest.raises(RequestError, match="nested too deeply"):
        convert(deep, Node)


def test_a_chat_request_keeps_the_original_body() -> None:
    body = {"messages": [{"role": "user", "content": "Hi", "odd": 1}], "odd": {"er": [1]}}
    request = parse_chat(body)
    assert request.body == body
    assert request.messages[0].content == "Hi"
    assert (request.limit, request.stops, request.temperature) == (None, [], None)


def test_max_tokens_and_stops_are_read_in_either_form() -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    assert parse_chat({**body, "max_tokens": 5}).limit == 5
    assert parse_chat({**body, "max_completion_tokens": 6, "max_tokens": 5}).limit == 6
    assert parse_chat({**body, "stop": "END"}).stops == ["END"]
    assert parse_chat({**body, "stop": ["A", "B"]}).stops == ["A", "B"]


NAMED = {"type": "function", "function": {"name": "f"}}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}}


def test_a_call_that_is_required_of_no_tools_is_named() -> None:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}], "tools": []}
    for choice in ("required", NAMED, ALLOWED):
        with pytest.raises(RequestError, match="there are no `tools`") as raised:
            check_choice(parse_chat({**body, "tool_choice": choice}))
        assert raised.value.param == "tool_choice"
    for fine in ("auto", "none", None):
        check_choice(parse_chat({**body, "tool_choice": fine}))


def test_a_type_is_looked_at_once_for_all_errors_of_its_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Looking at a request's type takes milliseconds, which anybody could make the server use."""
    looked: list[object] = []
    look = inspect.type_info

    def counted(kind: object) -> inspect.Type:
        looked.append(kind)
        return look(kind)

    monkeypatch.setattr(inspect, "type_info", counted)
    for _ in range(3):
        error = error_of({"inner": {"count": 1, "kind": "z"}})
        assert str(error).endswith("cannot be 'z': use `x` or `y`")
    assert len(looked) <= 1
