"""What is built without pydantic's validator is what the validator builds."""

from __future__ import annotations

from functools import cache
from itertools import chain
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from fanout.library import chunk_types, embedding_types, types
from fanout.library.embedding_types import Embedding
from fanout.library.exact_fit import MAX_ITEMS, Misfit, exact
from fanout.library.json_object import JSONObject
from fanout.library.parsed_types import ParsedChatCompletion, ParsedMessage
from fanout.library.types import (
    Message,
    TokenLogprob,
    Usage,
)

KINDS: list[type[JSONObject]] = [
    kind
    for kind in chain.from_iterable(vars(m).values() for m in (types, chunk_types, embedding_types))
    if isinstance(kind, type) and issubclass(kind, JSONObject) and kind.__module__.startswith("fan")
    if kind is not JSONObject and not kind.__name__.startswith("Parsed")
]

ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 1, 1.5, 10**400, float("nan"), "1", "x", {}, [], [None], {"a": {"b": [{}]}}]
)
"""Values that fit some fields, or are converted by pydantic, or are an error."""


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """Values that fit a type."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is list:
        return st.lists(values(arguments[0]), max_size=2)
    if origin in {Union, UnionType}:
        return st.one_of(*map(values, arguments))
    if isinstance(annotation, type) and issubclass(annotation, JSONObject):
        return st.deferred(lambda: bodies(annotation, odd=False))
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: st.sampled_from(["", "a", "é"]),
        int: st.sampled_from([0, -1, 2**70]),
        float: st.sampled_from([0, 0.25, -3]),
        bool: st.booleans(),
        NoneType: st.none(),
        Any: ODD,
    }
    return simple[annotation]


@cache
def bodies(kind: type[JSONObject], *, odd: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of a class; `odd` ones may have a value that does not fit, or lack a field."""
    fitting = {name: values(field.annotation) for name, field in kind.model_fields.items()}
    required = {name for name, field in kind.model_fields.items() if field.is_required()}
    extra = {"vendor_word": ODD}
    if odd:
        return st.fixed_dictionaries(
            {}, optional={name: st.one_of(fits, ODD) for name, fits in fitting.items()} | extra
        )
    return st.fixed_dictionaries(
        {name: fitting[name] for name in required},
        optional={name: fitting[name] for name in fitting.keys() - required} | extra,
    )


def parts(value: Any) -> Any:
    """All that a value consists of, with each type: `1` is not `1.0`, and order counts."""
    if isinstance(value, BaseModel):
        state = value.__dict__, value.__pydantic_extra__, value.__pydantic_private__
        return type(value), value.model_fields_set, [parts(one) for one in state]
    if isinstance(value, dict):
        return type(value), [(name, parts(item)) for name, item in value.items()]
    return (type(value), [parts(one) for one in value]) if isinstance(value, list) else repr(value)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=30)
@given(st.data())
def test_a_value_is_built_as_pydantic_builds_it(
    kind: type[JSONObject], data: st.DataObject
) -> None:
    body = data.draw(st.one_of(bodies(kind, odd=False), bodies(kind, odd=True)))
    try:
        made = exact(kind, body)
    except Misfit:
        return
    assert parts(made) == parts(kind.model_validate(body))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=10)
@given(st.data())
def test_what_fits_is_built_without_pydantic(kind: type[JSONObject], data: st.DataObject) -> None:
    exact(kind, data.draw(bodies(kind, odd=False)))


USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


@pytest.mark.parametrize(
    ("change", "total"),
    [({"total_tokens": "3"}, 3), ({"total_tokens": 3.0}, 3), ({"total_tokens": True}, 1)],
)
def test_what_pydantic_converts_is_left_to_pydantic(change: dict[str, Any], total: int) -> None:
    with pytest.raises(Misfit):
        exact(Usage, USAGE | change)
    found = Usage.from_json(USAGE | change)
    assert (type(found.total_tokens), found.total_tokens) == (int, total)


def test_a_long_list_is_left_to_pydantic() -> None:
    token = {"token": "a", "logprob": -0.5}
    vector = {"index": 0, "embedding": [0.5] * MAX_ITEMS}
    exact(TokenLogprob, token | {"bytes": [1] * MAX_ITEMS})
    assert Embedding.from_json(vector).embedding == vector["embedding"]
    with pytest.raises(Misfit):
        exact(TokenLogprob, token | {"bytes": [1] * (MAX_ITEMS + 1)})


class Strict(Message):
    """A user's class, with a validator and another config."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("content")
    @classmethod
    def _upper(cls, text: str) -> str:
        return text.upper()


def test_a_users_class_is_built_by_its_own_validators() -> None:
    assert Strict.from_json({"role": "assistant", "content": "hi"}).content == "HI"
    with pytest.raises(ValidationError):
        Strict.model_validate({"role": "assistant", "content": "hi", "vendor_word": 1})


MESSAGE = {"role": "assistant", "content": "Hi"}
EMPTY = {"id": "a", "object": "chat.completion", "created": 1, "model": "m", "choices": []}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (ParsedMessage, MESSAGE),
        (ParsedMessage[Any], MESSAGE),
        (ParsedChatCompletion, EMPTY),
        (ParsedChatCompletion[Any], EMPTY),
        (ParsedChatCompletion[Usage], EMPTY),
    ],
)
def test_a_class_with_a_users_class_in_a_field_is_left_to_pydantic(
    kind: type[JSONObject], body: dict[str, Any]
) -> None:
    with pytest.raises(Misfit):
        exact(kind, body)
    assert kind.from_json(body).model_dump() == body


def test_later_changes_of_a_response_do_not_reach_its_source_or_another_response() -> None:
    body = {"role": "assistant", "tool_calls": [], "annotations": [1]}
    first, second = Message.from_json(body), Message.from_json(body)
    (first.annotations or []).append(2)
    first.content = "changed"
    assert (second.annotations, second.content) == ([1], None)
    assert body == {"role": "assistant", "tool_calls": [], "annotations": [1]}
