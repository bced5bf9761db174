"""Null asks for nothing at every place of a config, also within the values of keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from msgspec import Struct
from msgspec.structs import fields

from fanout.config.fix import fix
from fanout.config.litellm.keys import keys_of
from fanout.config.model import Alias, GeneralSettings, KeyEntry, RouterSettings, ServiceSettings
from fanout.config.resolve import inspect_config

SECTIONS: dict[str, type[Struct]] = {
    "router_settings": RouterSettings,
    "litellm_settings": ServiceSettings,
    "general_settings": GeneralSettings,
}
PARAMS = {"model": "openai/gpt-4o", "api_key": "k"}
MODELS = {"model_list": [{"model_name": name, "litellm_params": PARAMS} for name in "abc"]}
NEEDED: dict[type[Struct], dict[str, Any]] = {
    Alias: {"model": "a"},
    KeyEntry: {"name": "n", "key": "sk-1"},
}


def with_nulls(kind: Any) -> Iterator[Any]:
    """Values of a type that have a null at one of its nested places."""
    origin = get_origin(kind)
    if origin is Annotated:
        yield from with_nulls(get_args(kind)[0])
    elif origin in {Union, UnionType}:
        for one in get_args(kind):
            yield from with_nulls(one)
    elif origin is list:
        (item,) = get_args(kind)
        if item is not KeyEntry:  # each entry is a client's
            yield [None]
        yield from ([one] for one in with_nulls(item))
    elif origin is dict:
        key, item = get_args(kind)
        names = (
            get_args(key) if get_origin(key) is Literal else ("x" if Alias in kinds(item) else "a",)
        )
        yield from ({name: None} for name in names)
        yield from ({names[0]: one} for one in with_nulls(item))
    elif isinstance(kind, type) and issubclass(kind, Struct):
        needed = NEEDED.get(kind, {})
        for one in fields(kind):
            if one.name not in needed:
                yield {**needed, one.name: None}
                yield from ({**needed, one.name: inner} for inner in with_nulls(one.type))


def kinds(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) or (kind,)


GRID = [
    (section, one.name, value)
    for section, kind in SECTIONS.items()
    for one in fields(kind)
    for value in with_nulls(one.type)
    if value not in ([{**NEEDED[Alias]}], {"x": {"model": "a", "models": [None]}})
]


def problems_of(config: Any) -> list[str]:
    return [one.message for one in inspect_config(json.dumps(config), {}, "config")[2]]


@pytest.mark.parametrize(("section", "name", "value"), GRID, ids=str)
def test_a_null_within_a_value_is_no_problem(section: str, name: str, value: Any) -> None:
    assert problems_of({**MODELS, section: {name: value}}) == []


def test_the_grid_has_the_places_that_were_reported() -> None:
    places = [(name, value) for _, name, value in GRID]
    for value in ([None], [{"a": None}], [{"a": [None]}]):
        assert ("fallbacks", value) in places
    assert ("model_group_alias", {"x": None}) in places
    assert ("routing_strategy_args", {"ttl": None}) in places
    assert len(GRID) > 60


@pytest.mark.parametrize("section", ["", *SECTIONS, "litellm_params"])
def test_nor_is_a_value_of_nulls_and_falses_for_a_key_that_is_not_supported(section: str) -> None:
    nothings: list[Any] = [{"type": None}, [None], [{"a": None, "b": [False]}], {"a": {"b": {}}}]
    found = [key for key in keys_of(section) if key.status != "supported"]
    assert len(found) > 5
    for key in found:
        for value in nothings:
            if section == "litellm_params":
                params = {**PARAMS, key.name: value}
                config: Any = {"model_list": [{"model_name": "a", "litellm_params": params}]}
            else:
                config = {
                    **MODELS,
                    **({section: {key.name: value}} if section else {key.name: value}),
                }
            assert problems_of(config) == [], (key.name, value)


def test_other_values_of_such_keys_are_problems() -> None:
    for value in ({"type": "redis"}, [0], {"a": {"b": True}}):
        (message,) = problems_of({**MODELS, "litellm_settings": {"cache_params": value}})
        assert "`litellm_settings.cache_params` has no effect here" in message


def test_nulls_leave_the_other_values_and_their_indexes() -> None:
    router = {
        "fallbacks": [None, {"a": [None, "b"]}, {"c": None}],
        "default_fallbacks": [None, "c"],
        "model_group_alias": {"x": None, "y": {"models": [None, "a", "b"]}},
    }
    catalog, _, problems = inspect_config(json.dumps({**MODELS, "router_settings": router}), {}, "")
    assert problems == []
    assert catalog.routes.fallbacks_of("a") == ("b",)
    assert catalog.routes.fallbacks_of("b") == ("c",)
    assert catalog.routes.sets["y"].models == ("a", "b")
    assert "x" not in catalog.routes.aliases
    wrong = {"fallbacks": [None, {"a": [None, "b", "z"]}], "default_fallbacks": [None, "z", "c"]}
    text = json.dumps({**MODELS, "router_settings": wrong})
    assert sorted(problems_of({**MODELS, "router_settings": wrong})) == [
        "`router_settings.default_fallbacks` names `z`, which is not in `model_list`",
        "`router_settings.fallbacks[1]` names `z`, which is not in `model_list`",
    ]
    fixed = inspect_config(fix(text, {}, "config.json").text, {}, "")[0]
    assert fixed.routes.fallbacks_of("a") == ("b",)
    assert fixed.routes.fallbacks_of("b") == ("c",)


def test_nulls_in_one_section_leave_the_values_of_the_other() -> None:
    config = {
        **MODELS,
        "router_settings": {"fallbacks": [None], "default_fallbacks": [None]},
        "litellm_settings": {"fallbacks": [{"a": ["b"]}], "default_fallbacks": ["c"]},
    }
    routes = inspect_config(json.dumps(config), {}, "")[0].routes
    assert (routes.fallbacks_of("a"), routes.fallbacks_of("b")) == (("b",), ("c",))


def test_a_clients_models_that_are_null_are_none() -> None:
    """A null in the list gives no right: without a list, a key may use every model."""
    keys = [{"name": "n", "key": "sk-1", "models": [None]}]
    catalog, _, problems = inspect_config(
        json.dumps({**MODELS, "general_settings": {"keys": keys}}), {}, ""
    )
    assert problems == []
    assert catalog.client_keys[0].models == frozenset()


def test_a_limit_of_nulls_asks_for_no_key() -> None:
    text = json.dumps({**MODELS, "general_settings": {"litellm_jwtauth": {"a": None}}})
    assert fix(text, {}, "config.json").text == text
