"""Any JSON under names of a config is checked and fixed: nothing crashes, whatever is where."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.config.fix import fix
from fanout.config.litellm.keys import keys_of, sections
from fanout.config.resolve import inspect_config

OFTEN = """
model_list router_settings litellm_settings general_settings litellm_params model_name model_info
model models mode keys key name fallbacks model_group_alias retry_policy allowed_fails_policy
drop_params region_name timeout rpm master_key blocked
model_lst router_setings litellm_setings litelm_params fallbaks model_grp_alias modls
"""
NAMES = st.one_of(
    st.sampled_from(OFTEN.split()),
    st.sampled_from([key.name for section in sections() for key in keys_of(section)]),
    st.text("ab_", max_size=3),
)
LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from(["a", "", "*", "openai/x", "openai/*", "bedrock/llama/arn:aws:x", "race"]),
    st.sampled_from(["os.environ/THERE", "os.environ/GONE", "huggingface/together/a/b"]),
)


def within(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4))


ANY = st.recursive(LEAF, within, max_leaves=12)
PART = st.one_of(ANY, st.dictionaries(NAMES, ANY, max_size=4))
ENTRY = st.fixed_dictionaries(
    {
        "model_name": LEAF,
        "litellm_params": st.one_of(
            ANY, st.builds(lambda more: {"model": "openai/x", **more}, st.dictionaries(NAMES, ANY))
        ),
    },
    optional={"model_info": PART, "litelm_params": PART, "rpm": LEAF},
)
CONFIG = st.fixed_dictionaries(
    {"model_list": st.lists(st.one_of(ENTRY, ANY), max_size=3)},
    optional={
        "router_settings": PART,
        "litellm_settings": PART,
        "general_settings": PART,
        "router_setings": PART,
        "litellm_setings": PART,
    },
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.one_of(CONFIG, st.dictionaries(NAMES, PART, max_size=5)))
def test_any_config_is_checked_and_what_fix_writes_is_right(config: dict[str, Any]) -> None:
    text, env = json.dumps(config), {"THERE": "1"}
    inspect_config(text, env, "x.yaml")
    fixed = fix(text, env, "x.yaml")
    left = [*fixed.remaining, *inspect_config(fixed.text, env, "x.yaml")[2]]
    assert [one.message for one in left if one.fixable] == []
