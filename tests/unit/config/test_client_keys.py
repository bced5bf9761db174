"""The clients' keys of a config: a name is one client's, and a key says whose it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.config.catalog import Catalog, ClientKey
from fanout.config.load import check
from fanout.config.resolve import inspect_config, resolve
from fanout.errors import ConfigProblems, KeyPath

MODELS = [{"model_name": "a", "litellm_params": {"model": "openai/a"}}]
ENV = {"K": "k", "L": "l"}


def catalog(**general: Any) -> Catalog:
    return resolve(check({"model_list": MODELS, "general_settings": general}, ENV), ENV)


def keys(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "key": key} for name, key in pairs]


@pytest.mark.parametrize(
    ("general", "message"),
    [
        ({"keys": keys(("master", "k"))}, "`general_settings.keys[0].name`: `master` is reserved"),
        ({"keys": keys(("x", "k"), ("anyone", "l"))}, "keys[1].name`: `anyone` is reserved"),
        ({"keys": keys(("Master ", "k"))}, "is reserved"),
        ({"keys": keys(("x", "k"), ("x", "l"))}, "keys[1].name`: another key is named `x`"),
        ({"keys": keys((" ", "k"))}, "keys[0].name` must have no spaces around it"),
        ({"keys": keys(("a\nb", "k"))}, "no control characters"),
        ({"keys": keys(("", "k"))}, "keys[0].name` must not be empty"),
        ({"keys": keys(("x", ""))}, "keys[0].key` must not be empty"),
        ({"keys": keys(("x", "  "))}, "keys[0].key` must not be empty"),
        ({"keys": keys(("x", "k"), ("y", "k"))}, "keys[1].key`: `x` has the same key"),
        ({"master_key": "k", "keys": keys(("x", "os.environ/K"))}, "`master` has the same key"),
        ({"keys": keys(("x", "os.environ/N"), ("y", "os.environ/N"))}, "`x` has the same key"),
        ({"master_key": ""}, "`master_key` is empty"),
        ({"master_key": " "}, "`master_key` is empty"),
        ({"s3_buckets": ["s3://x"]}, "s3_buckets"),
    ],
)
def test_a_key_that_could_be_anothers_is_a_problem(general: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigProblems) as raised:
        catalog(**general)
    assert message in str(raised.value)
    assert "`k`" not in str(raised.value)


def test_a_client_has_the_rights_of_its_key_and_a_deleted_one_has_none() -> None:
    found = catalog(master_key="k", keys=[{"name": "x", "key": "l", "models": ["a"]}])
    assert found.client("x").models == frozenset({"a"})
    assert found.client("gone") == ClientKey("gone", None, frozenset())
    assert found.client("anyone").models == frozenset()
    assert found.client("master").models is None
    assert catalog().client("x").models is None


@pytest.mark.parametrize(
    ("entry", "paths"),
    [
        ({"name": "j", "kee": "k9"}, [("kee",), ("key",)]),
        ({"name": "k", "key": [5]}, [("key",)]),
        ({"key": "k9"}, [("name",)]),
        ("x", [()]),
        ({"name": "j", "key": "k9", "models": {"a": 1}}, [("models",)]),
    ],
)
def test_a_wrong_entry_has_its_own_problems_only(entry: object, paths: list[KeyPath]) -> None:
    general = {"keys": [*keys(("a", "k1")), entry, entry]}
    config = {"model_list": MODELS, "general_settings": general}
    problems = inspect_config(json.dumps(config), ENV, "x.json")[2]
    first = [one.path[3:] for one in problems if one.path[2] == 1]
    second = [one for one in problems if one.path[2] == len(keys(("a", "b"), ("c", "d")))]
    assert sorted(first) == sorted(paths)
    assert not any("`-`" in one.message for one in (*problems, *second))


@pytest.mark.parametrize(
    ("general", "paths"),
    [
        ({"keys": [{"name": "x", "key": "k"}, {"name": "y", "key": "k"}]}, [("keys", 1, "key")]),
        (
            {"keys": [{"name": "x", "key": "k"}, {"name": "y", "key": "k", "models": ["a"]}]},
            [("keys", 0, "key"), ("keys", 1, "key")],
        ),
        (
            {"master_key": "k", "keys": [{"name": "y", "key": "k", "models": ["a"]}]},
            [("keys", 0, "key"), ("master_key",)],
        ),
    ],
)
def test_one_key_with_two_rights_is_wrong_at_both_places(
    general: dict[str, Any], paths: list[KeyPath]
) -> None:
    config = {"model_list": MODELS, "general_settings": general}
    problems = inspect_config(json.dumps(config), ENV, "x.json")[2]
    assert sorted(one.path[1:] for one in problems) == sorted(paths)
    assert all(one.fixable for one in problems)
