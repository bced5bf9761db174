"""
What OpenAI's API rejects, as data: one rule a line, with its source.

The codecs of OpenAI and Azure read these rules, and so does the strict server of the tests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from msgspec import Struct

from ..calls import IdRule
from .history import MessageRules

# "string too long. Expected a string with maximum length 40": github.com/agno-agi/agno/issues/5382,
# 2025-11
CALL_IDS = IdRule(r"(?s).{1,40}")

# openai-openapi 2.3.0, `ChatCompletionRequestAssistantMessage`
MESSAGES = MessageRules(
    fields=frozenset({"audio", "function_call", "name", "refusal"}),
    strict=True,
    ids=CALL_IDS,
    opaque_arguments=True,
)

# Another server with OpenAI's API: it may know any of these, and ignores what it does not know.
OTHER_SERVERS = MessageRules(
    fields=frozenset(
        {
            "audio",
            "cache_control",
            "extra_content",
            "function_call",
            "name",
            "reasoning_content",
            "reasoning_details",
            "refusal",
        }
    ),
    reasoning="reasoning_content",
)


class Family(Struct, frozen=True, cache_hash=True):
    """
    Models that reject `fields`; `models` says in words which, `pattern` is how their names begin.

    With one of `efforts` as `reasoning_effort` (`None`: without it), they accept them all.
    """

    models: str
    pattern: str
    fields: frozenset[str]
    efforts: frozenset[str | None] = frozenset()


_SAMPLING = frozenset({"logprobs", "temperature", "top_logprobs", "top_p"})
_FIXED = _SAMPLING | {"frequency_penalty", "logit_bias", "presence_penalty"}

FAMILIES = (
    # "The following parameters are only supported when using GPT-5.2 with reasoning effort set to
    # none: temperature, top_p, logprobs". GPT-5.1 with another effort and older GPT-5 models reject
    # them: OpenAI's guide, as public repositories quote it, and github.com/vercel/ai/issues/10932,
    # 2026-11. The pro and codex models, those after 5.2, the other fields of GPT-5 and its `stop`
    # are from memory; not checked with OpenAI's guide.
    Family(
        "GPT-5.1 and later with any `reasoning_effort` but `none`",
        r"gpt-5\.\d+(?!.*(?:chat|pro|codex))",
        _SAMPLING,
        frozenset({None, "none"}),
    ),
    Family("GPT-5.1 and later: pro, codex", r"gpt-5\.\d+.*(?:pro|codex)", _FIXED),
    Family("GPT-5, mini, nano, pro", r"gpt-5(?![.\d])(?!.*chat)", _FIXED | {"stop"}),
    # A table of what o1 and o3-mini reject: community.openai.com/t/1110750, 2026-11.
    # `parallel_tool_calls` and later models are from memory; not checked with OpenAI's reference.
    Family("o1, o3, o4-mini and later", r"o[1-9]", _FIXED | {"parallel_tool_calls"}),
    # openai-openapi 2.3.0, `stop`: "Not supported with latest reasoning models o3 and o4-mini"
    Family("o3, o4-mini", r"o3(?!-mini)|o4-mini", frozenset({"stop"})),
)

FAMILY_DEFAULTS: Mapping[str, tuple[object, ...]] = {
    "stop": ("", []),
    "temperature": (1,),
    "top_p": (1,),
}
"""Values of fixed fields that ask for nothing."""


@lru_cache(maxsize=1024)
def fixed_fields(families: tuple[Family, ...], model: str, effort: str | None) -> frozenset[str]:
    """The fields that this model rejects, with this effort."""
    name = model.rpartition("/")[2].removeprefix("ft:")
    found = (
        family.fields
        for family in families
        if effort not in family.efforts and re.match(family.pattern, name)
    )
    return frozenset().union(*found)
