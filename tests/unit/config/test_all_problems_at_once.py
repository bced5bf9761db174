"""
Whatever mistakes a config has, one run of `fanout check` names each, and `--fix` corrects them all.

Working configs get mistakes at random: misspelled sections and keys, also inside each other, values
of the wrong type, and null where a value is required.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import NODEFAULT, Struct
from msgspec.structs import fields as fields_of

from fanout.config.document import parse
from fanout.config.fix import fix
from fanout.config.model import (
    Alias,
    GeneralSettings,
    KeyEntry,
    ModelEntry,
    ModelParams,
    RouterSettings,
    ServiceSettings,
)
from fanout.config.partial_validation import fits
from fanout.config.resolve import ELSEWHERE, inspect_config
from fanout.errors import KeyPath, Problem

FOLDER = Path(__file__).parent / "litellm"
ENV = {
    "REDIS_HOST": "redis",
    "DATABASE_URL": "postgres://db",
    "TOKEN_FILE": "/token",
    "AZURE_API_BASE": "https://example.com",
    **ELSEWHERE,
}
"""Has what an entry may leave out, so that an entry without a wrong address still works."""

OWN = """
model_list:
  - model_name: a
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/KEY, rpm: 5, timeout: 3}
  - model_name: b
    litellm_params:
      model: anthropic/claude-sonnet-4-5
      temperature: 0.5
      extra_headers: {x-team: blue}
      weight: 2
    model_info: {base_model: claude-sonnet-4-5, input_cost_per_token: 0.1}
  - model_name: c
    litellm_params: {model: bedrock/amazon.nova-lite-v1:0, aws_region_name: us-east-1}
router_settings:
  num_retries: 1
  routing_strategy: latency-based-routing
  routing_strategy_args: {ttl: 60, lowest_latency_buffer: 0.5}
  retry_policy: {TimeoutErrorRetries: 2, RateLimitErrorRetries: 3}
  allowed_fails_policy: {BadRequestErrorAllowedFails: 9}
  model_group_retry_policy: {a: {TimeoutErrorRetries: 1}}
  fallbacks: [{a: [b, c]}, {b: [c]}]
  default_fallbacks: [c]
  context_window_fallbacks: [{"a": [b]}]
  model_group_alias:
    other: a
    hidden: {model: b, hidden: true}
    fast: {models: [a, b, c], mode: hedge, stagger: 0.5}
litellm_settings: {drop_params: true, request_timeout: 30}
general_settings:
  master_key: os.environ/MASTER
  max_requests: 10
  cors_origins: [https://example.com]
  keys:
    - {name: me, key: os.environ/MINE, models: [a, fast]}
    - name: you
      key: os.environ/YOURS
"""

FILES = [fix(path.read_text(), ENV, path.name).text for path in sorted(FOLDER.glob("*.yaml"))]
CONFIGS = [yaml.safe_load(text) for text in (OWN, *FILES)]

SECTIONS: dict[str, type[Struct]] = {
    "router_settings": RouterSettings,
    "litellm_settings": ServiceSettings,
    "general_settings": GeneralSettings,
}
CONSEQUENCES = (
    "which is not in `model_list`",
    "needs either `model` or `models`",
    "NO KEY IS LEFT",
)
"""What a fallback, an alias or the gateway lacks after what was wrong is removed."""

WRONG: tuple[Any, ...] = (5, -1, "soon", True, [7], ["x", [1]], {"z": 1}, {"a": {"b": 2}})


MISSPELLED = "misspelled"


class Place(NamedTuple):
    """A key that may get a mistake: its path, its type if it has one, and whether it must be."""

    path: KeyPath
    kind: Any = None
    required: bool = False


def of_struct(node: Any, kind: type[Struct], path: KeyPath) -> Iterator[Place]:
    for one in fields_of(kind):
        if one.name in node:
            required = one.default is NODEFAULT and one.default_factory is NODEFAULT
            yield Place((*path, one.name), one.type, required)


def places(config: dict[str, Any]) -> Iterator[Place]:
    """Every key of the config that Fanout knows."""
    for section in ("model_list", *SECTIONS):
        if section in config:
            yield Place((section,))
    for section, kind in SECTIONS.items():
        node = config.get(section) or {}
        yield from of_struct(node, kind, (section,))
        for name, alias in (node.get("model_group_alias") or {}).items():
            if isinstance(alias, dict):
                yield from of_struct(alias, Alias, (section, "model_group_alias", name))
    for index, key in enumerate(config.get("general_settings", {}).get("keys", [])):
        yield from of_struct(key, KeyEntry, ("general_settings", "keys", index))
    for index, entry in enumerate(config["model_list"]):
        path: KeyPath = ("model_list", index)
        yield from of_struct(entry, ModelEntry, path)
        yield from of_struct(entry["litellm_params"], ModelParams, (*path, "litellm_params"))


def is_within(path: KeyPath, other: KeyPath) -> bool:
    return path[: len(other)] == other


@st.composite
def broken(draw: st.DrawFn) -> tuple[dict[str, Any], list[KeyPath]]:
    """A config with mistakes, and the path of each in it."""
    config = draw(st.sampled_from(CONFIGS))
    known = sorted(places(config), key=lambda one: str(one.path))
    chosen = draw(st.lists(st.sampled_from(known), min_size=1, max_size=7, unique_by=str))
    mistakes: dict[KeyPath, Any] = {}
    for place in chosen:
        wrong = [value for value in WRONG if place.kind and not fits(value, place.kind)]
        wrong += [None] if place.required else []
        mistakes[place.path] = draw(st.sampled_from([MISSPELLED, *wrong]))
    values = {path for path, one in mistakes.items() if one != MISSPELLED}
    left = [path for path in mistakes if not any(is_within(path, v) and path != v for v in values)]
    made = {path: mistakes[path] for path in left}
    return _broken(config, (), made), [_in_file(path, made) for path in made]


def _broken(node: Any, path: KeyPath, mistakes: dict[KeyPath, Any]) -> Any:
    if mistakes.get(path, MISSPELLED) != MISSPELLED:
        return mistakes[path]
    if isinstance(node, list):
        return [_broken(item, (*path, index), mistakes) for index, item in enumerate(node)]
    if isinstance(node, dict):
        return {
            _in_file((*path, key), mistakes)[-1]: _broken(item, (*path, key), mistakes)
            for key, item in node.items()
        }
    return node


def _in_file(path: KeyPath, mistakes: dict[KeyPath, Any]) -> KeyPath:
    """The path with its misspelled names: a letter in the middle is there twice."""
    return tuple(
        step[: len(step) // 2 + 1] + step[len(step) // 2 :]
        if isinstance(step, str) and mistakes.get(path[: end + 1]) == MISSPELLED
        else step
        for end, step in enumerate(path)
    )


def check(text: str) -> list[Problem]:
    return inspect_config(text, ENV, "x.yaml")[2]


@pytest.mark.parametrize("config", CONFIGS)
def test_without_mistakes_the_configs_have_no_problem(config: dict[str, Any]) -> None:
    assert check(yaml.safe_dump(config)) == []


@settings(max_examples=100, deadline=None, derandomize=True)
@given(broken(), st.sampled_from([True, False, None]))
def test_one_run_names_every_mistake_with_its_line(
    made: tuple[dict[str, Any], list[KeyPath]],
    flow: bool | None,  # noqa: FBT001
) -> None:
    config, mistakes = made
    text = yaml.safe_dump(config, default_flow_style=flow, sort_keys=False)
    document, problems = parse(text), check(text)
    for path in mistakes:
        found = [one for one in problems if is_within(one.path, path)]
        assert found, (path, [one.message for one in problems])
        assert {one.line for one in found} == {document.line_of(one.path) for one in found}


@settings(max_examples=100, deadline=None, derandomize=True)
@given(broken(), st.sampled_from([True, False, None]))
def test_what_fix_writes_has_no_problem_and_fix_finds_nothing_that_check_does_not_name(
    made: tuple[dict[str, Any], list[KeyPath]],
    flow: bool | None,  # noqa: FBT001
) -> None:
    config, _ = made
    text = yaml.safe_dump(config, default_flow_style=flow, sort_keys=False)
    named = {_without_indexes(one) for one in check(text)}
    assume(named)
    fixed = fix(text, ENV, "x.yaml")
    assert (check(fixed.text), fixed.remaining) == ([], ())
    later = {_without_indexes(one) for one in fixed.changed} - named
    assert [one for one in later if not any(text in one for text in CONSEQUENCES)] == []


def _without_indexes(problem: Problem) -> str:
    """The message without the indexes of entries, which change when an entry is removed."""
    return re.sub(r"\[\d+\]", "", problem.message)


def test_every_wrong_parameter_of_an_entry_is_named_at_its_line() -> None:
    text = """
model_list:
  - model_name: a
    litellm_params:
      model: bedrock/amazon.nova-lite-v1:0
      api_base: ftp://h
      extra_headers: {"bad name": x, host: y}
      extra_body: {messages: [], stream: true}
      aws_access_key_id: x
      rpm: many
  - model_name: b
    litellm_params:
      model: nobody/x
      extra_headers: {host: y}
  - litellm_params:
      model: openai/x
      rpm: many
"""
    found = [(one.line, one.message.rpartition("): ")[2]) for one in check(text)]
    assert [one for one in found if one[0] != 13] == [
        (5, "`aws_secret_access_key` is missing: AWS credentials are a pair"),
        (6, "`api_base` must be an https:// or http:// address"),
        (7, "`extra_headers` cannot set `bad name`, and cannot set `host`"),
        (8, "`extra_body` cannot set `messages`, `stream`"),
        (10, "litellm_params: `rpm` must be an integer or null, not a string"),
        (15, "`model_list[2].model_name` is missing"),
        (17, "model_list[2]: litellm_params: `rpm` must be an integer or null, not a string"),
    ]
    (unknown,) = [message for line, message in found if line == 13]
    assert unknown.startswith("`nobody/x` has no known provider")
