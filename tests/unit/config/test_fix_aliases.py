"""Problems in parts that YAML's anchors, aliases and merge keys share: each entry is named once."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from fanout.config.fix import fix
from fanout.config.resolve import inspect_config

MERGED = """x-defaults: &d
  api_key: k
  temprature: 1
  tags: [x]
model_list:
  - model_name: a
    litellm_params:
      <<: *d
      model: openai/gpt-4o
  - model_name: b
    litellm_params:
      <<: *d
      model: openai/gpt-4o-mini
"""
ALIASED = """model_list:
  - model_name: a
    litellm_params: &p
      model: openai/gpt-4o
      api_key: k
      temprature: 1
      tags: [x]
  - model_name: b
    litellm_params: *p
  - model_name: c
    litellm_params:
      <<: [*p]
      model: openai/gpt-4o-mini
"""
WHOLE = """model_list:
  - &one
    model_name: a
    litellm_params: {model: openai/gpt-4o, api_key: k, temprature: 1, tags: [x]}
  - <<: *one
    model_name: b
  - *one
"""
FILES = {"merged": (MERGED, 2), "aliased": (ALIASED, 3), "whole entries": (WHOLE, 3)}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("key", "words"), [("temprature", "did you mean"), ("tags", "no effect")])
def test_each_entry_is_named_once_at_the_line_of_what_it_shares(
    name: str, key: str, words: str
) -> None:
    text, count = FILES[name]
    line = next(n for n, one in enumerate(text.split("\n"), 1) if key in one)
    expected = [(line, f"`model_list[{index}].litellm_params.{key}`") for index in range(count)]
    _, _, found = inspect_config(text, {}, "c.yaml")
    for problems in (found, fix(text, {}, "c.yaml").changed):
        own = [one for one in problems if key in one.message]
        assert [(one.line, one.message.split(" ")[0]) for one in own] == expected
        assert all(words in one.message for one in own)
        assert [one.path[:2] for one in own] == [("model_list", index) for index in range(count)]


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_right_afterwards_and_has_each_entry(name: str) -> None:
    text, count = FILES[name]
    fixed = fix(text, {}, "c.yaml")
    assert not fixed.remaining
    assert not inspect_config(fixed.text, {}, "c.yaml")[2]
    entries: Any = yaml.safe_load(fixed.text)["model_list"]
    assert [one["litellm_params"]["temperature"] for one in entries] == [1] * count
    assert not any("tags" in one["litellm_params"] for one in entries)


VERIFY = """litellm_settings:
  set_verbose: false
  ssl_verify: {}
model_list:
  - model_name: a
    litellm_params: {{model: openai/gpt-4o, api_key: k}}
"""


@pytest.mark.parametrize("value", ['"off"', '"no"', "false", "/etc/ca.pem", "7"])
def test_ssl_verify_has_its_own_line_wherever_it_is_moved(value: str) -> None:
    """Its value is checked only where it belongs."""
    text = VERIFY.format(value)
    _, _, found = inspect_config(text, {}, "c.yaml")
    fixed = fix(text, {}, "c.yaml")
    assert found
    for one in (*found, *fixed.changed, *fixed.remaining):
        assert one.line == 3 or "http_client" in one.path
    assert not inspect_config(fixed.text, {}, "c.yaml")[2]
