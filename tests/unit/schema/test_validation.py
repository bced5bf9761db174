from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from fanout.errors import RequestError
from fanout.schema.validation import convert, parse_chat


class Inner(Struct, forbid_unknown_fields=True):
    count: Annotated[int, Meta(ge=1)]
    kind: Literal["x", "y"] = "x"


class Outer(Struct):
    inner: Inner
    many: list[Inner] = []
    named: dict[str, Inner] = {}


class Node(Struct):
    child: Node | None = None


def refusal(value: object) -> RequestError:
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
def test_an_error_names_its_field_and_its_kind(value: object, param: str | None, code: str) -> None:
    error = refusal(value)
    assert (error.param, error.detail.code, error.status) == (param, code, 400)
    assert error.detail.type == "invalid_request_error"
    if param is not None:
        assert f"`{param}`" in str(error)


def test_words_are_jsons_and_not_pythons() -> None:
    assert str(refusal({"inner": {"count": 1}, "many": 5})) == "`many`: expected `list`, got `int`"
    assert "JSON object" in str(refusal({"inner": 5}))


def test_what_fits_is_converted() -> None:
    found = convert({"inner": {"count": 3}, "extra": 1}, Outer)
    assert (found.inner.count, found.inner.kind, found.many) == (3, "x", [])


def test_text_counts_as_a_number_only_where_that_is_said() -> None:
    assert convert({"inner": {"count": "3"}}, Outer, strict=False).inner.count == 3


def test_a_value_nested_too_deeply_is_refused_and_no_crash() -> None:
    deep: Any = {}
    for _ in range(50_000):
        deep = {"child": deep}
    with pytest.raises(RequestError, match="nested too deeply"):
        convert(deep, Node)


def test_a_chat_request_keeps_the_body_as_it_was_written() -> None:
    body = {"messages": [{"role": "user", "content": "Hi", "odd": 1}], "odd": {"er": [1]}}
    request = parse_chat(body)
    assert request.body == body
    assert request.messages[0].content == "Hi"
    assert (request.limit, request.stops, request.temperature) == (None, [], None)


def test_a_limit_and_stops_are_read_under_either_form() -> None:
    said = {"messages": [{"role": "user", "content": "Hi"}]}
    assert parse_chat({**said, "max_tokens": 5}).limit == 5
    assert parse_chat({**said, "max_completion_tokens": 6, "max_tokens": 5}).limit == 6
    assert parse_chat({**said, "stop": "END"}).stops == ["END"]
    assert parse_chat({**said, "stop": ["A", "B"]}).stops == ["A", "B"]
