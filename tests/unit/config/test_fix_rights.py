"""Whatever is wrong with a limit of rights, the config of `--fix` gives nobody more rights."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import yaml

from fanout.cli.config_problems import fixed_json, fixed_text
from fanout.config.catalog import Catalog, ClientKey
from fanout.config.fix import Fixed, fix
from fanout.config.limits import ACCESS, CAPS, OF_NEW_KEYS, OWN_CAPS
from fanout.config.litellm.keys import find
from fanout.config.resolve import inspect_config
from fanout.config.unknown_keys import LIMITS
from fanout.errors import KeyPath, UnknownModel

Config = dict[str, Any]
Rights = dict[str, frozenset[str]]

NAMES = ("a", "b", "c", "openai/not-in-the-list")
LAST_RESORT = "os.environ/FANOUT_MASTER_KEY"


def block(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False)


def flow(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, default_flow_style=True)


STYLES: list[Callable[[Any], str]] = [block, flow, json.dumps]

MODELS = [{"model_name": name, "litellm_params": {"model": f"openai/{name}"}} for name in "abc"]
CLIENTS = [
    {"name": "x", "key": "sk-x", "models": ["a"]},
    {"name": "y", "key": "sk-y", "models": ["a", "b"], "fields": ["provider"]},
    {"name": "z", "key": "sk-z"},
]
CONFIGS: list[Config] = [
    {"model_list": MODELS, "general_settings": {"master_key": "sk-m", "keys": CLIENTS}},
    {"model_list": MODELS, "general_settings": {"keys": CLIENTS[:2]}},
    {"model_list": MODELS, "general_settings": {"keys": CLIENTS[:1]}},
    {"model_list": MODELS[:1], "general_settings": {"master_key": "sk-m"}},
]

WRONG: tuple[Any, ...] = (5, 1.5, True, "soon", "", [7], [True], [["a"]], {"a": 1}, ["zzz"])
ADDED: dict[str, Any] = {
    "max_budget": 5,
    "expires": "2026-12-01",
    "mdls": ["a"],
    "allowed_models": ["a"],
    "rpm_limit": 3,
    "blocked": True,
}
"""Keys that an entry of `keys` does not have here, all of which may limit it."""


def places(config: Config) -> Iterator[KeyPath]:
    """The paths of everything that limits a client, or holds something that does."""
    general: KeyPath = ("general_settings",)
    yield general
    for name in config["general_settings"]:
        yield (*general, name)
    for index, entry in enumerate(config["general_settings"].get("keys", ())):
        path: KeyPath = (*general, "keys", index)
        yield path
        for name, value in entry.items():
            yield (*path, name)
            yield from ((*path, name, i) for i in range(len(value)) if isinstance(value, list))


def with_value(config: Config, path: KeyPath, value: Any) -> Config:
    found: Any = copy.deepcopy(config)
    node = found
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return dict(found)


def broken() -> Iterator[tuple[Config, KeyPath, Config]]:
    """Each config, a path, and the config with a wrong value there."""
    for config in CONFIGS:
        for path in places(config):
            for value in WRONG:
                if len(path) == 1 and isinstance(value, dict):
                    continue  # another section, which has no trace of a key
                yield config, path, with_value(config, path, value)
        for index in range(len(config["general_settings"].get("keys", ()))):
            for name, value in ADDED.items():
                path = ("general_settings", "keys", index, name)
                yield config, path, with_value(config, path, value)


def rights(catalog: Catalog) -> Rights:
    """The names that each key may call; the key `""` is that of everyone."""
    clients = catalog.client_keys or (catalog.client("anyone"),)
    return {
        key_of(one): frozenset(n for n in NAMES if one.may_use(n) and resolves(catalog, n))
        for one in clients
    }


def key_of(client: ClientKey) -> str:
    if client.secret is None:
        return ""
    return client.secret.reveal() or "" if client.secret.is_known else f"?{client.name}"


def resolves(catalog: Catalog, name: str) -> bool:
    try:
        catalog.find(name)
    except UnknownModel:
        return False
    return True


def fixed(text: str, env: dict[str, str] | None = None) -> tuple[Fixed, Rights]:
    """The fixed config, which has no problem left, and the rights in it."""
    found = fix(text, env or {}, "x.yaml")
    catalog, _, problems = inspect_config(found.text, env or {}, "x.yaml")
    assert ([one.message for one in problems], found.remaining) == ([], ())
    assert fix(found.text, env or {}, "x.yaml").text == found.text
    return found, rights(catalog)


def rights_of(config: Config) -> Rights:
    catalog, _, problems = inspect_config(block(config), {}, "x.yaml")
    assert problems == []
    return rights(catalog)


def test_no_key_has_more_rights_after_a_wrong_limit_is_fixed() -> None:
    """Each path has its wrong values in each style, and each value too, but not all pairs."""
    rights_before = [rights_of(config) for config in CONFIGS]
    for (config, path, wrong), style in zip(broken(), cycle(STYLES), strict=False):
        before, (found, after) = rights_before[CONFIGS.index(config)], fixed(style(wrong))
        own = before.get(meant_key(config, path), frozenset(NAMES))
        for key, names in after.items():
            assert key, ("everyone", path, wrong)
            is_operators = key == "?master"
            assert is_operators or names <= before.get(key, own), (key, path, found.text)


def meant_key(config: Config, path: KeyPath) -> str:
    """The key of the client that a path concerns; it may have another text after its fix."""
    if path[:2] != ("general_settings", "keys") or len(path) < len(("keys", 0, "key")):
        return ""
    return str(config["general_settings"]["keys"][path[2]]["key"])


LIMITED: list[tuple[KeyPath, Any]] = [
    *((("model_info", name), True) for name in (*LIMITS, "blockd", "team-id", "acces_windows")),
    *(((name,), True) for name in (*LIMITS, "blockd")),
    *((("litellm_params", name), True) for name in (*LIMITS, "blcoked", "teaam_id")),
    (("litellm_params", "model_info"), {"blocked": True}),
]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("path", "value"), LIMITED, ids=str)
def test_a_model_that_not_everyone_may_call_is_left_out(
    path: KeyPath, value: Any, style: Callable[[Any], str]
) -> None:
    models = [{**entry, "model_info": {"note": 1}} for entry in MODELS]
    config = {"model_list": models, "general_settings": {"master_key": "m"}}
    found, after = fixed(style(with_value(config, ("model_list", 1, *path), value)))
    assert after == {"m": {"a", "c"}}
    assert "LEFT OUT the model `b`" in fixed_text("x.yaml", Path("y"), found)


@pytest.mark.parametrize("style", STYLES)
def test_without_its_last_model_a_gateway_serves_none(style: Callable[[Any], str]) -> None:
    entry = {**MODELS[0], "model_info": {"blocked": True}}
    found, after = fixed(style({"model_list": [entry], "general_settings": {"master_key": "m"}}))
    assert after == {"m": frozenset()}
    assert "LEFT OUT the last model" in fixed_text("x.yaml", Path("y"), found)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", ["models", "deployments"])
def test_without_a_list_of_models_that_can_be_read_a_gateway_serves_none(
    name: str, style: Callable[[Any], str]
) -> None:
    found, after = fixed(style({name: MODELS, "general_settings": {"master_key": "m"}}))
    assert after == {"m": frozenset()}
    assert yaml.safe_load(found.text)["model_list"] == []


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("general", [{"master_key": "m"}, {}])
@pytest.mark.parametrize("include", [["models.yaml"], "models.yaml"])
def test_models_and_keys_of_an_included_file_are_not_given_to_everyone(
    include: object, general: dict[str, str], style: Callable[[Any], str]
) -> None:
    """LiteLLM's `include` names files that are not read here."""
    found, after = fixed(style({"include": include, "general_settings": general}))
    assert after == {"m" if general else "": frozenset()} or not general
    written = yaml.safe_load(found.text)
    assert written["model_list"] == []
    assert written["general_settings"] == (general or {"master_key": LAST_RESORT})


@pytest.mark.parametrize(
    "text",
    [
        'include: [a.yaml]\nlitellm_settings: {callbacks: ["prometheus"]}\n',
        "include: [a.yaml]\nlitellm_settings: {callbacks: [x]}\nrouter_settings: {y: 1}\n# end",
        "include: [a.yaml]\nmodel_list:\n",
        "include: [a.yaml]\nmodel_list: null # none\n",
        "general_settings: {database_url: x, store_model_in_db: true}\n",
        '{"include": ["a.yaml"]}',
    ],
)
def test_a_config_of_which_nothing_is_left_serves_nobody(text: str) -> None:
    found, after = fixed(text)
    assert found.remaining == ()
    written = yaml.safe_load(found.text)
    assert written == {"model_list": [], "general_settings": {"master_key": LAST_RESORT}}
    assert "" not in after


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("section", ["router_settings", "litellm_settings", "general_settings"])
def test_a_list_of_models_in_a_section_is_moved_to_the_top_level(
    section: str, style: Callable[[Any], str]
) -> None:
    config = {"general_settings": {"master_key": "m"}}
    config |= {section: {**config.get(section, {}), "model_list": MODELS}}  # type: ignore[dict-item]
    found, after = fixed(style(config))
    assert yaml.safe_load(found.text)["model_list"] == MODELS
    assert [one.message for one in found.changed] == [
        f"`{section}.model_list` belongs at the top level"
    ]
    _, listed = fixed(style({"model_list": MODELS, "general_settings": {"master_key": "m"}}))
    assert after == listed


@pytest.mark.parametrize(
    ("keys", "kept"),
    [
        ("[{name: x, key: k, models: a}]", [{"name": "x", "key": "k", "models": ["a"]}]),
        ("[{name: x, key: k, models: [a, d]}]", [{"name": "x", "key": "k", "models": ["a"]}]),
        ("[{name: x, key: k, models: [d]}, {name: y, key: l}]", [{"name": "y", "key": "l"}]),
        ("[{name: x, key: 0123}, {name: 7, key: l}]", [("x", "0123"), ("7", "l")]),
        ("[{name: x, key: k, fields: top_a}]", [{"name": "x", "key": "k", "fields": ["top_a"]}]),
        ("[{name: master, key: k}, {name: y, key: l}]", [("y", "l")]),
        ("[{name: x, key: k}, {name: x, key: l}]", [("x", "k")]),
        ("[{name: x, key: k}, {name: y, key: k}]", [("x", "k")]),
        ("[{name: x, key: k}, {name: y, key: k, models: [a]}, {name: z, key: l}]", [("z", "l")]),
        ("[{name: x, key: ''}, {name: y, key: l}]", [("y", "l")]),
        ("[{name: x, key: k, models: [a], models: [b]}, {name: y, key: l}]", [("y", "l")]),
    ],
)
def test_the_keys_that_are_written(keys: str, kept: list[Any]) -> None:
    text = f"model_list: {json.dumps(MODELS)}\ngeneral_settings:\n  keys: {keys}\n"
    found, _ = fixed(text)
    pairs = [{"name": one[0], "key": one[1]} if isinstance(one, tuple) else one for one in kept]
    assert yaml.safe_load(found.text)["general_settings"] == {"keys": pairs}


@pytest.mark.parametrize(
    ("general", "written"),
    [
        ("{master_key: 1234}", {"master_key": "1234"}),
        ("{master_key: [a]}", {"master_key": LAST_RESORT}),
        ("{master_key: yes, page: true}", {"page": True, "master_key": LAST_RESORT}),
        ("{keys: {x: sk-x}}", {"master_key": LAST_RESORT}),
        ("{keys: [{name: x, key: k, models: [d]}]}", {"master_key": LAST_RESORT}),
        ("[{master_key: k}]", {"master_key": LAST_RESORT}),
        ("{custom_auth: m.f}", {"master_key": LAST_RESORT}),
        (
            "{master_key: k, keys: [{name: x, key: k, models: [a]}]}",
            {"master_key": LAST_RESORT},
        ),
        ("{master_key: k, keys: [{name: x, key: k}]}", {"master_key": "k"}),
        ("{master_key: k, allowed_hosts: {a: b}}", {"master_key": "k", "allowed_hosts": []}),
        ("{master_key: k, allowed_hosts: a.com}", {"master_key": "k", "allowed_hosts": ["a.com"]}),
        ("{page: soon}", None),
    ],
)
def test_a_gateway_that_needs_a_key_still_needs_one(
    general: str, written: dict[str, Any] | None
) -> None:
    found, after = fixed(f"model_list: {json.dumps(MODELS)}\ngeneral_settings: {general}\n")
    assert yaml.safe_load(found.text).get("general_settings") == written
    assert ("" in after) == (written is None)


@pytest.mark.parametrize("name", sorted(ACCESS))
def test_a_limit_of_litellms_for_all_clients_is_left_out_loudly(name: str) -> None:
    text = f"model_list: {json.dumps(MODELS)}\ngeneral_settings: {{{name}: [x], page: true}}\n"
    found, after = fixed(text)
    assert "" not in after
    shown = fixed_text("x.yaml", Path("y"), found)
    assert f"LEFT OUT a limit of all clients: `general_settings.{name}`" in shown
    assert "NO KEY IS LEFT" in shown


@pytest.mark.parametrize("section", ["litellm_settings", "general_settings", "router_settings"])
@pytest.mark.parametrize("name", sorted(CAPS))
def test_a_cap_of_litellms_for_all_clients_is_left_out_loudly(name: str, section: str) -> None:
    text = f"model_list: {json.dumps(MODELS)}\n{section}: {{{name}: 5}}\n"
    found, after = fixed(text)
    shown = fixed_text("x.yaml", Path("y"), found)
    assert f"LEFT OUT a limit of all clients: `{section}.{name}`" in shown
    assert "" in after, "it needed no key"
    assert "LEFT OUT" not in fixed_text("x.yaml", Path("y"), fixed(text.replace("5", "null"))[0])


@pytest.mark.parametrize("name", [one for one in sorted(CAPS) if find("litellm_params", one)])
def test_a_cap_of_one_model_is_left_out_loudly(name: str) -> None:
    params = json.dumps({"model": "openai/a", name: 5})
    text = f"model_list: [{{model_name: a, litellm_params: {params}}}]\n"
    found, _ = fixed(text)
    shown = fixed_text("x.yaml", Path("y"), found)
    assert f"LEFT OUT a limit of the model `a`: `model_list[0].litellm_params.{name}`" in shown
    assert "LEFT OUT" not in fixed_text("x.yaml", Path("y"), fixed(text.replace("5", "null"))[0])


@pytest.mark.parametrize("section", ["litellm_settings", "general_settings", "router_settings"])
@pytest.mark.parametrize("name", [*sorted(OWN_CAPS), "some_group_budget"])
def test_a_limit_with_a_wrong_value_is_left_out_loudly(name: str, section: str) -> None:
    text = f"model_list: {json.dumps(MODELS)}\n{section}: {{{name}: -1}}\n"
    lines = fixed_text("x.yaml", Path("y"), fixed(text)[0]).splitlines()
    assert any("LEFT OUT a limit of" in line and f"{name}`" in line for line in lines)
    assert not any("left out: " in line for line in lines), "it may be moved first"


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        ("litellm_params", "rpm", 0),
        ("litellm_params", "tpm", -1),
        ("litellm_params", "max_parallel_requests", 0),
        ("model_info", "rpm", "many"),
        ("model_info", "tpm", 0),
    ],
)
def test_so_is_one_of_a_model(place: str, name: str, value: Any) -> None:
    entry: dict[str, Any] = {"model_name": "a", "litellm_params": {"model": "openai/a"}}
    entry[place] = {**entry.get(place, {}), name: value}
    text = json.dumps({"model_list": [entry]})
    shown = fixed_text("x.yaml", Path("y"), fixed(text)[0])
    assert "LEFT OUT a limit of the model `a`" in shown


DEFAULTS = [
    "default_end_user_params",
    "default_internal_user_params",
    "default_key_generate_params",
    "default_team_params",
]


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("limit", sorted(CAPS | OF_NEW_KEYS))
def test_so_is_one_of_the_keys_teams_and_users_that_litellm_makes(name: str, limit: str) -> None:
    for inner in (f"{limit}: 5", f"a: [{{b: {{{limit}: 5}}}}]"):
        text = (
            f"model_list: {json.dumps(MODELS)}\nlitellm_settings: {{{name}: {{x: y, {inner}}}}}\n"
        )
        shown = fixed_text("x.yaml", Path("y"), fixed(text)[0])
        assert f"LEFT OUT a limit of all clients: `litellm_settings.{name}`" in shown
        nothing = fixed_text("x.yaml", Path("y"), fixed(text.replace("5", "null"))[0])
        assert "left out: " in nothing
        assert "LEFT OUT" not in nothing


def test_what_is_left_out_with_its_limit_is_named_and_no_key_is_shown() -> None:
    keys = "[{name: x, key: sk-x, models: {a: 1}}, {name: y, key: 98765}, {name: z, key: [sk-z]}]"
    found, _ = fixed(f"model_list: {json.dumps(MODELS)}\ngeneral_settings: {{keys: {keys}}}\n")
    shown = fixed_text("x.yaml", Path("y"), found)
    lines = [
        line.removeprefix("x.yaml:2: ").partition(" must be ")[0] for line in shown.split("\n")
    ]
    assert lines == [
        "LEFT OUT the key of the client `x`: `general_settings.keys[0].models`",
        "wrote it as a text: `general_settings.keys[1].key`",
        "LEFT OUT the key of the client `z`: `general_settings.keys[2].key`",
        "wrote y: 3 changes",
    ]
    changed = fixed_json(Path("y"), found)["changed"]
    assert [one.get("left_out") for one in changed] == [
        "the key of the client `x`",
        None,
        "the key of the client `z`",
    ]
    assert not any(key in shown + str(changed) for key in ("sk-x", "98765", "sk-z"))


@pytest.mark.parametrize(
    "rest",
    [
        "model_info: {team_id: t}, model_info: {}",
        "model_info: {blocked: true, blocked: false}",
        "notes: {blocked: true}",
    ],
)
def test_a_limit_that_yaml_or_an_unknown_key_would_lose_takes_its_model_along(rest: str) -> None:
    entry = f"{{model_name: b, litellm_params: {{model: openai/b}}, {rest}}}"
    models = f"[{json.dumps(MODELS[0])}, {entry}]"
    _, after = fixed(f"general_settings: {{master_key: m}}\nmodel_list: {models}\n")
    assert after == {"m": {"a"}}
