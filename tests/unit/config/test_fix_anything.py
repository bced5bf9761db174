"""Whatever LiteLLM's keys a config has, in whatever YAML style: `--fix` makes it load."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.config.fix import fix
from fanout.config.litellm.keys import keys_of
from fanout.config.resolve import inspect_config

VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from(["", "x", "a", "two\nlines\n", "os.environ/THERE", "simple-shuffle", "{", "#"]),
    st.lists(st.sampled_from(["a", "b", "nope", 5]), max_size=3),
    st.dictionaries(
        st.sampled_from(["a", "ttl", "5"]), st.sampled_from([1, "a", ["b"]]), max_size=2
    ),
    st.just([{"a": ["b", "nope"]}, {"nope": ["a"]}]),
)


def section(name: str) -> st.SearchStrategy[dict[str, Any]]:
    names = [*(key.name for key in keys_of(name)), "drop_parms", "nobodys_key", "num_retry"]
    return st.dictionaries(st.sampled_from(names), VALUES, max_size=6)


ENTRY = st.fixed_dictionaries(
    {
        "model_name": st.sampled_from(["a", "b", "c, d", "openai/*", ""]),
        "litellm_params": st.builds(
            lambda model, more: {**more, "model": model},
            st.sampled_from(["openai/x", "nobody/x", "openai/responses/x", "openai/*", "", 5]),
            section("litellm_params"),
        ),
    },
    optional={"model_info": section("model_info"), "rpm": VALUES, "litellm_parms": VALUES},
)

CONFIG = st.fixed_dictionaries(
    {"model_list": st.lists(ENTRY, max_size=3)},
    optional={
        "router_settings": st.one_of(section("router_settings"), VALUES),
        "litellm_settings": st.one_of(section("litellm_settings"), VALUES),
        "general_settings": st.one_of(section("general_settings"), VALUES),
        "router_setings": section("router_settings"),
        "litellm_setings": section("litellm_settings"),
        "environment_variables": VALUES,
        "modle_list": VALUES,
    },
)


STYLES = st.fixed_dictionaries(
    {"default_flow_style": st.sampled_from([True, False, None]), "sort_keys": st.booleans()}
)


@settings(max_examples=150, deadline=None)
@given(CONFIG, STYLES)
def test_a_fixed_config_has_no_problem_left(config: dict[str, Any], style: dict[str, Any]) -> None:
    text = yaml.safe_dump(config, **style)
    fixed = fix(text, {"THERE": "1"}, "x.yaml")
    assert [one.message for one in inspect_config(fixed.text, {"THERE": "1"}, "x.yaml")[2]] == []
    assert fixed.remaining == ()
    assert {problem.line for problem in fixed.changed} <= set(range(1, text.count("\n") + 2))
