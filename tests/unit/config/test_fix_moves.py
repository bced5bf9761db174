"""`fanout check --fix` writes each misplaced key where it belongs, in whatever YAML style."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from fanout.config.fix import Fixed, fix
from fanout.config.load import load_text
from fanout.config.model import (
    GeneralSettings,
    RouterSettings,
    RoutingSettings,
    ServiceSettings,
)

SECTIONS = {
    "router_settings": RouterSettings,
    "litellm_settings": ServiceSettings,
    "general_settings": GeneralSettings,
}

VALUES: dict[str, Any] = {
    "num_retries": 4,
    "timeout": 30,
    "stream_timeout": 20,
    "fallbacks": [{"a": ["b"]}],
    "default_fallbacks": ["b"],
    "context_window_fallbacks": [{"a": ["b"]}],
    "content_policy_fallbacks": [{"a": ["b"]}],
    "allowed_fails": 7,
    "cooldown_time": 9,
    "model_group_alias": {"c": "a", "d": {"model": "b", "hidden": True}},
    "routing_strategy": "simple-shuffle",
    "retry_after": 2,
    "retry_policy": {"TimeoutErrorRetries": 1},
    "model_group_retry_policy": {"a": {"TimeoutErrorRetries": 1}},
    "allowed_fails_policy": {"TimeoutErrorAllowedFails": 1},
    "disable_cooldowns": True,
    "default_max_parallel_requests": 5,
    "drop_params": True,
    "request_timeout": 50,
    "master_key": "sk: 'quoted' # yes",
    "keys": [{"name": "k", "key": "sk-1", "models": ["a"]}],
    "max_request_size_mb": 5,
    "max_response_size_mb": 6,
    "max_body_memory_mb": 64,
    "max_requests": 9,
    "global_max_parallel_requests": 50,
    "connect_timeout": 3,
    "http_client": "httpx",
    "batch_share": 0.5,
    "page": True,
}

Style = Callable[[Any], str]


def block(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False)


def flow(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, default_flow_style=True)


def mixed(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, default_flow_style=None)


STYLES = [block, flow, mixed, json.dumps]

MODELS = [
    {"model_name": "a", "litellm_params": {"model": "openai/x"}},
    {"model_name": "b", "litellm_params": {"model": "anthropic/y"}},
]


def misplaced() -> Iterator[tuple[str, str, str]]:
    """`(where it is, its name, where it belongs)`; a name may belong in two sections."""
    for name in VALUES:
        sections = [section for section, kind in SECTIONS.items() if name in kind.__struct_fields__]
        for place in ("", *SECTIONS):
            if place not in sections:
                yield place, name, sections[0]


def fixed(config: dict[str, Any], style: Style) -> tuple[Fixed, Any]:
    text = style(config)
    found = fix(text, {}, "x.yaml")
    assert found.remaining == ()
    assert fix(found.text, {}, "x.yaml").text == found.text
    load_text(found.text, {})
    if style is json.dumps:
        json.loads(found.text)
    return found, yaml.safe_load(found.text)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("place", "name", "section"), list(misplaced()))
def test_a_misplaced_key_is_moved_to_its_section(
    place: str, name: str, section: str, style: Style
) -> None:
    value = VALUES[name]
    config = {"model_list": MODELS, **({place: {name: value}} if place else {name: value})}
    found, written = fixed(config, style)
    assert written == {"model_list": MODELS, section: {name: value}}
    assert [[move.to for move in one.moves] for one in found.changed] == [[(section, name)]]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("place", "name", "section"), list(misplaced()))
def test_a_value_that_is_already_there_stays(
    place: str, name: str, section: str, style: Style
) -> None:
    value = VALUES[name]
    wrong = {place: {name: 5}} if place else {name: 5}
    found, written = fixed({"model_list": MODELS, section: {name: value}, **wrong}, style)
    assert written == {"model_list": MODELS, section: {name: value}}
    assert [one.moves for one in found.changed] == [()]


@pytest.mark.parametrize("style", STYLES)
def test_parameters_beside_litellm_params_are_moved_into_them(style: Style) -> None:
    entry = {"model_name": "a", "model": "openai/x", "rpm": 5, "api_base": "http://h/v1"}
    other = {"model_name": "a", "litellm_params": {"model": "openai/y"}, "tpm": 6, "temperature": 1}
    _, written = fixed({"model_list": [entry, other]}, style)
    assert written["model_list"] == [
        {
            "model_name": "a",
            "litellm_params": {"model": "openai/x", "rpm": 5, "api_base": "http://h/v1"},
        },
        {"model_name": "a", "litellm_params": {"model": "openai/y", "tpm": 6, "temperature": 1}},
    ]


def models(*names: str, **params: Any) -> list[dict[str, Any]]:
    return [{"model_name": name, "litellm_params": {"model": name, **params}} for name in names]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("settings", "names", "goes_to"),
    [
        ({"vertex_project": "p"}, ["vertex_ai/gemini-2.5-pro", "openai/x"], [0]),
        ({"aws_region_name": "eu-west-1"}, ["openai/x", "bedrock/amazon.nova-lite-v1:0"], [1]),
        ({"max_tokens": 5}, ["openai/x", "anthropic/y"], [0, 1]),
        ({"temperature": 0.5}, ["openai/x", "anthropic/y"], [0, 1]),
        ({"api_key": "k"}, ["openai/x", "openai/y"], [0, 1]),
        ({"api_key": "k"}, ["openai/x", "anthropic/y"], []),
        ({"organization": "o"}, ["openai/x", "openai/y"], [0, 1]),
    ],
)
def test_a_parameter_for_all_models_is_moved_to_those_that_it_is_for(
    settings: dict[str, Any], names: list[str], goes_to: list[int], style: Style
) -> None:
    listed = models(*names, vertex_credentials="{}") if "vertex_ai" in names[0] else models(*names)
    extra = {} if "vertex_project" in settings else {"aws_region_name": "us-east-1"}
    for entry in listed:
        if "bedrock" in entry["model_name"] and "aws_region_name" not in settings:
            entry["litellm_params"] |= extra
    _, written = fixed({"model_list": listed, "litellm_settings": settings}, style)
    ((name, value),) = settings.items()
    found = [entry["litellm_params"].get(name) for entry in written["model_list"]]
    assert found == [value if index in goes_to else None for index in range(len(names))]


def test_a_key_of_one_provider_is_moved_to_its_models_only() -> None:
    listed = models("openai/x", "anthropic/y") + models("openai/z", api_key="own")
    settings = {"openai_key": "os.environ/A", "anthropic_key": "os.environ/B"}
    _, written = fixed({"model_list": listed, "litellm_settings": settings}, block)
    keys = [entry["litellm_params"]["api_key"] for entry in written["model_list"]]
    assert keys == ["os.environ/A", "os.environ/B", "own"]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("place", ["litellm_settings", "general_settings"])
def test_ssl_verify_gets_the_http_client_that_reads_it(place: str, style: Style) -> None:
    _, written = fixed({"model_list": MODELS, place: {"ssl_verify": False}}, style)
    assert written["general_settings"] == {"ssl_verify": False, "http_client": "httpx"}


@pytest.mark.parametrize("style", STYLES)
def test_a_provider_is_written_before_its_model(style: Style) -> None:
    listed = models("x", custom_llm_provider="groq", api_base="http://h/v1")
    _, written = fixed({"model_list": listed}, style)
    assert written["model_list"][0]["litellm_params"] == {
        "model": "groq/x",
        "api_base": "http://h/v1",
    }


@pytest.mark.parametrize("style", STYLES)
def test_notes_of_a_model_are_moved_into_its_model_info(style: Style) -> None:
    listed = models("openai/x", supports_vision=True, max_input_tokens=5)
    _, written = fixed({"model_list": listed}, style)
    assert written["model_list"][0]["model_info"] == {
        "supports_vision": True,
        "max_input_tokens": 5,
    }


@pytest.mark.parametrize("style", STYLES)
def test_fallbacks_of_an_entry_become_those_of_its_name(style: Style) -> None:
    listed = models("openai/x", fallbacks=["openai/y"]) + models("openai/y")
    _, written = fixed({"model_list": listed}, style)
    assert written == {
        "model_list": models("openai/x", "openai/y"),
        "router_settings": {"fallbacks": [{"openai/x": ["openai/y"]}]},
    }


def test_what_one_anchor_shares_is_moved_for_the_entry_that_has_it_only() -> None:
    text = """\
model_list:
  - model_name: a
    rpm: 5
    litellm_params: &shared
      model: openai/x
  - model_name: b
    litellm_params: *shared
"""
    found = fix(text, {}, "x.yaml")
    written = yaml.safe_load(found.text)["model_list"]
    assert [one["litellm_params"] for one in written] == [
        {"model": "openai/x", "rpm": 5},
        {"model": "openai/x"},
    ]


def test_comments_and_the_order_of_lines_stay() -> None:
    text = """\
# top
general_settings: # ours
model_list: # models
  - model_name: a # first
    litellm_params:
      model: openai/x # the model

    # after a
litellm_settings:
  # retries
  retry_policy: # by kind
    TimeoutErrorRetries: 1 # one
    # more
    RateLimitErrorRetries: 2
  master_key: os.environ/KEY # key
  drop_params: true
# end"""
    assert (
        fix(text, {}, "x.yaml").text
        == """\
# top
general_settings: # ours
  master_key: os.environ/KEY # key
model_list: # models
  - model_name: a # first
    litellm_params:
      model: openai/x # the model

    # after a
litellm_settings:
  # retries
  drop_params: true
router_settings:
  retry_policy: # by kind
    TimeoutErrorRetries: 1 # one
    # more
    RateLimitErrorRetries: 2
# end"""
    )


@pytest.mark.parametrize("style", STYLES)
def test_what_belongs_in_a_section_of_the_wrong_type_is_left_out_with_it(style: Style) -> None:
    config = {"model_list": MODELS, "num_retries": 1, "router_settings": ["x"]}
    found, value = fixed(config, style)
    assert {one.path for one in found.changed} == {("num_retries",), ("router_settings",)}
    assert not value.get("router_settings")


@pytest.mark.parametrize("style", STYLES)
def test_a_misspelled_key_gets_its_name_in_the_style_of_the_file(style: Style) -> None:
    config = {"model_list": MODELS, "litellm_setings": {"drop_parms": True}}
    _, value = fixed(config, style)
    assert value == {"model_list": MODELS, "litellm_settings": {"drop_params": True}}


@pytest.mark.parametrize("style", STYLES)
def test_a_key_that_belongs_in_a_misspelled_section_is_moved_there(style: Style) -> None:
    config = {"model_list": MODELS, "timeout": 5, "router_setings": {"num_retries": 1}}
    _, value = fixed(config, style)
    assert value["router_settings"] == {"num_retries": 1, "timeout": 5}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("place", ["", "general_settings"])
@pytest.mark.parametrize("name", sorted(RoutingSettings.__struct_fields__))
def test_what_litellm_settings_say_is_not_hidden_by_what_is_moved(
    name: str, place: str, style: Style
) -> None:
    """A value in `router_settings` counts before one in `litellm_settings`."""
    own = {"e": "b"} if name == "model_group_alias" else VALUES[name]
    wrong = {name: {"c": "a"} if name == "model_group_alias" else 5}
    config = {"model_list": MODELS, "litellm_settings": {name: own}}
    found, written = fixed({**config, **({place: wrong} if place else wrong)}, style)
    assert "router_settings" not in written
    after = {"e": "b", "c": "a"} if name == "model_group_alias" else own
    assert written["litellm_settings"] == {name: after}
    assert len(found.changed) == 1


@pytest.mark.parametrize("style", STYLES)
def test_aliases_of_another_name_join_those_that_are_there(style: Style) -> None:
    settings = {"model_alias_map": {"x": "a", "y": "b"}, "model_group_alias": {"y": "a"}}
    found, written = fixed({"model_list": MODELS, "litellm_settings": settings}, style)
    assert written["litellm_settings"] == {"model_group_alias": {"y": "a", "x": "a"}}
    assert [[move.to[2] for move in one.moves] for one in found.changed] == [["x"]]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("place", ["", "litellm_settings"])
def test_a_timeout_does_not_hide_the_one_that_counts(place: str, style: Style) -> None:
    service = {"request_timeout": 50, **({"timeout": 5} if place else {})}
    config = {"model_list": MODELS, "litellm_settings": service}
    found, written = fixed(config if place else {**config, "timeout": 5}, style)
    assert written == {"model_list": MODELS, "litellm_settings": {"request_timeout": 50}}
    assert [one.moves for one in found.changed] == [()]
