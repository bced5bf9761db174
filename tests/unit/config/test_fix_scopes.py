"""`fanout check --fix` moves nothing from one client's or one group's entry to all others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fanout.cli.config_problems import fixed_json
from fanout.config.fix import Fixed, fix
from fanout.config.model import (
    GeneralSettings,
    KeyEntry,
    ModelParams,
    RouterSettings,
    ServiceSettings,
)
from fanout.config.unknown_keys import DEFAULTABLE, TOP_LEVEL

MODELS = [
    {"model_name": "a", "litellm_params": {"model": "openai/gpt-4o", "rpm": 100}},
    {"model_name": "d", "litellm_params": {"model": "openai/gpt-4o"}},
]

CLIENT = {"name": "k", "key": "sk-2", "models": ["a"]}

NAMES = sorted(
    {
        name
        for kind in (RouterSettings, ServiceSettings, GeneralSettings, ModelParams)
        for name in kind.__struct_fields__
    }
    | DEFAULTABLE
    | TOP_LEVEL
    | {"ssl_verify", "ssl_certificate", "model_alias_map", "default_litellm_params", "openai_key"}
)
"""Each key that has a place, and LiteLLM's that are moved to one."""

OF_ONE_GROUP: dict[str, tuple[str, ...]] = {
    "retry_policy": ("retry_policy",),
    "model_group_retry_policy": ("model_group_retry_policy", "a"),
    "allowed_fails_policy": ("allowed_fails_policy",),
    "routing_strategy_args": ("routing_strategy_args",),
    "model_group_alias": ("model_group_alias", "z"),
}


def fixed(config: dict[str, Any]) -> tuple[Fixed, dict[str, Any]]:
    found = fix(json.dumps(config), {}, "x.yaml")
    return found, json.loads(found.text)


@pytest.mark.parametrize("name", [one for one in NAMES if one not in KeyEntry.__struct_fields__])
def test_a_setting_of_a_client_reaches_nothing_else(name: str) -> None:
    general = {"master_key": "sk-1", "keys": [{**CLIENT, name: 5}]}
    found, after = fixed({"model_list": MODELS, "general_settings": general})
    assert after == {"model_list": MODELS, "general_settings": {"master_key": "sk-1"}}
    changed = fixed_json(Path("y"), found)["changed"]
    assert [one.get("left_out") for one in changed] == ["the key of the client `k`"]
    assert not any("moved_to" in one for one in changed)


@pytest.mark.parametrize("part", OF_ONE_GROUP)
@pytest.mark.parametrize("name", NAMES)
def test_a_setting_inside_a_setting_is_not_moved(name: str, part: str) -> None:
    value: Any = {name: 5}
    for step in reversed(OF_ONE_GROUP[part]):
        value = {step: value}
    found, after = fixed({"model_list": MODELS, "router_settings": value})
    assert after["model_list"] == MODELS
    assert after.keys() <= {"model_list", "router_settings"}
    assert after.get("router_settings", {}).keys() <= {part}
    assert not any(one.moves for one in found.changed)


@pytest.mark.parametrize("part", ["fallbacks", "context_window_fallbacks"])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_fallbacks_is_not_moved(name: str, part: str) -> None:
    found, after = fixed(
        {"model_list": MODELS, "router_settings": {part: [{name: ["d"]}, {"a": ["d"]}]}}
    )
    assert after["model_list"] == MODELS
    assert not any(one.moves for one in found.changed)
