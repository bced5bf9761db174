"""
What OpenAI's API rejects outside of messages, as data: one rule a line, with its source.

The codecs of OpenAI and Azure read these rules, and so does the strict server of the tests.
`message_rules.py` has those of messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Protocol, TypeVar

from msgspec import Struct

from ..fields import VENDORS_FIELDS

# The limit of tokens has two names.
OLD_LIMIT = {"max_completion_tokens": "max_tokens"}
NEW_LIMIT = {"max_tokens": "max_completion_tokens"}

# "Unrecognized request argument supplied: top_k": OpenAI's API has none of these, which many other
# servers have. openai-openapi 2.3.0
NOT_OPENAI = frozenset({"min_p", "repetition_penalty", "thinking", "top_k"}) | VENDORS_FIELDS


class Family(Struct, frozen=True, cache_hash=True):
    """
    Models that reject `fields`; `models` says in words which, `pattern` is how their names begin.

    With one of `efforts` as `reasoning_effort` (`None`: without it), they accept them all. A field
    with one of the values in `fixed` asks for what the model does anyway.
    """

    models: str
    pattern: str
    fields: frozenset[str]
    efforts: frozenset[str | None] = frozenset()
    fixed: tuple[tuple[str, float], ...] = ()


_SAMPLING = frozenset({"logprobs", "temperature", "top_logprobs", "top_p"})
_PENALTIES = frozenset({"frequency_penalty", "presence_penalty"})
_FIXED = _SAMPLING | _PENALTIES | {"logit_bias"}

# "Unrecognized request argument supplied: reasoning_effort", of gpt-4o and gpt-4.1:
# github.com/BerriAI/litellm/issues/40470, …/pull/38842, topoteretes/cognee/issues/1447, 2026-11.
# `verbosity` came with GPT-5.
_NEW = frozenset({"reasoning_effort", "verbosity"})

FAMILIES = (
    Family("GPT-4.1, GPT-4o and older", r"(?:chatgpt-|gpt-[34](?!\d))", _NEW),
    Family("GPT-5 chat", r"gpt-5-chat", _NEW),
    Family("o1-mini, o1-preview", r"o1-(?:mini|preview)", frozenset({"reasoning_effort"})),
    # "Model incompatible request arguments supplied": github.com/vercel/ai/issues/5609,
    # raycast/extensions/issues/18304, ChatGPTNextWeb/NextChat/issues/6569, 2026-11
    Family(
        "gpt-4o-search-preview, gpt-4o-mini-search-preview",
        r"gpt-4o(?:-mini)?-search",
        _FIXED | {"n", "seed"},
    ),
    # openai-openapi 2.3.0, `reasoning_effort`: "All models before gpt-5.1 […] do not support none",
    # "xhigh is supported for all models after gpt-5.1-codex-max", gpt-5-pro "only supports high".
    # `minimal` came with GPT-5.
    Family(
        "o1, o3, o4-mini and later with `none`, `minimal`, `xhigh` or `max`",
        r"o[1-9](?!-mini|-preview)|o[34]-mini",
        frozenset({"reasoning_effort"}),
        frozenset({None, "low", "medium", "high"}),
    ),
    Family(
        "GPT-5 with `none`, `xhigh` or `max`",
        r"gpt-5(?![.\d])(?!.*(?:chat|pro))",
        frozenset({"reasoning_effort"}),
        frozenset({None, "minimal", "low", "medium", "high"}),
    ),
    Family(
        "GPT-5 pro with anything but `high`",
        r"gpt-5-pro",
        frozenset({"reasoning_effort"}),
        frozenset({None, "high"}),
    ),
    Family(
        "GPT-5.1 with `xhigh` or `max`",
        r"gpt-5\.1(?!\d)(?!.*codex-max)",
        frozenset({"reasoning_effort"}),
        frozenset({None, "none", "minimal", "low", "medium", "high"}),
    ),
    # "'reasoning_effort' does not support 'minimal' with this model. Supported values are: 'none',
    # 'low', 'medium', and 'high'": github.com/anomalyco/opencode/issues/4451,
    # openai/openai-agents-python/issues/2089, 2026-11
    Family(
        "GPT-5.1 and later with `minimal`",
        r"gpt-5\.\d+",
        frozenset({"reasoning_effort"}),
        frozenset({None, "none", "low", "medium", "high", "xhigh", "max"}),
    ),
    # "The following parameters are only supported when using GPT-5.2 with reasoning effort set to
    # none: temperature, top_p, logprobs". GPT-5.1 with another effort and older GPT-5 models reject
    # them: OpenAI's guide, as public repositories quote it, and github.com/vercel/ai/issues/10932,
    # 2026-11. That pro and codex models, which always reason, do as GPT-5 does follows from it.
    Family(
        "GPT-5.1 and later with any `reasoning_effort` but `none`",
        r"gpt-5\.\d+(?!.*(?:chat|pro|codex))",
        _SAMPLING,
        frozenset({None, "none"}),
    ),
    Family("GPT-5.1 and later: pro, codex", r"gpt-5\.\d+.*(?:pro|codex)", _FIXED),
    # It reasons without a `reasoning_effort`, too: github.com/BerriAI/litellm/pull/34569. Its
    # responses to each parameter are in public tests of gpt-5.6-sol. 2026-11
    Family(
        "GPT-5.6 without `reasoning_effort: none`",
        r"gpt-5\.6",
        _SAMPLING | _PENALTIES,
        frozenset({"none"}),
    ),
    Family("GPT-5.6", r"gpt-5\.6", frozenset({"logit_bias"})),
    # "Unsupported parameter: 'stop' is not supported with this model": of gpt-5.1, github.com/
    # huggingface/smolagents/issues/1868, of gpt-5.2, …/1893, of all GPT-5 models, crewAIInc/crewAI/
    # issues/5144. `prediction` is for models that do not reason. 2026-11
    Family("GPT-5.1 and later", r"gpt-5\.\d+", frozenset({"prediction", "stop"})),
    # "Unsupported parameter: 'stop' is not supported with this model", and so for the penalties:
    # the API's own errors; github.com/danny-avila/LibreChat/discussions/11689, 2026-11
    Family("GPT-5, mini, nano, pro", r"gpt-5(?![.\d])(?!.*chat)", _FIXED | {"prediction", "stop"}),
    # A table of what o1 and o3-mini reject: community.openai.com/t/1110750; the same discussion for
    # o3 and o4-mini; `parallel_tool_calls`: github.com/langchain-ai/langchain/issues/29704. 2026-11
    Family(
        "o1, o3, o4-mini and later",
        r"o[1-9]",
        _FIXED | {"parallel_tool_calls", "prediction", "verbosity"},
    ),
    # openai-openapi 2.3.0, `stop`: "Not supported with latest reasoning models o3 and o4-mini"
    Family("o3, o4-mini", r"o3(?!-mini)|o4-mini", frozenset({"stop"})),
)


class FormatRules(Struct, frozen=True, cache_hash=True):
    """
    The limits of `response_format`; what is beyond them is an instruction.

    `no_schemas` is how the names of models begin that have no `json_schema`; `json_mode`: there is
    `json_object`; `with_tools`: a request with tools may have a format. Without `bounds`, a schema
    cannot have `minItems`, `maximum` and the like, and without `formats` no `format` of a text:
    these move into the description.
    """

    no_schemas: str = ""
    json_mode: bool = True
    with_tools: bool = True
    bounds: bool = True
    formats: bool = True


class ForcedCalls(Struct, frozen=True):
    """
    Models that cannot be forced to call a tool while they think; `pattern` is how they begin.

    `off` are the fields that keep them from thinking; without any, they always think. If they do
    not think by default, only a request with these fields of another value is concerned.
    """

    pattern: str
    off: Mapping[str, object] = {}
    by_default: bool = True


class PlainFields(Struct, frozen=True):
    """The `fields` that a call without a stream must have; `pattern` is how its models begin."""

    pattern: str
    fields: Mapping[str, object]


class ThinkingTypes(Struct, frozen=True):
    """Models with other values of `thinking.type`, and no budget; `pattern` is how they begin."""

    pattern: str
    types: Mapping[str, str]


# "Structured Outputs is available in our latest large language models, starting with GPT-4o. Older
# models like gpt-4-turbo and earlier may use JSON mode": platform.openai.com/docs/guides/
# structured-outputs, 2026-11
FORMATS = FormatRules(no_schemas=r"gpt-3\.5-turbo|gpt-4-(?:turbo|0125|1106)|gpt-4o-2024-05")


class ToolEffort(Struct, frozen=True, cache_hash=True):
    """
    Models that do not reason in a request with functions; `pattern` is how their names begin.

    With `explicit`, the request must say so: `reasoning_effort: none`.
    """

    pattern: str
    explicit: bool = False


# "Function tools with reasoning_effort are not supported for gpt-5.4 in /v1/chat/completions":
# github.com/pipecat-ai/pipecat/issues/4043; so for 5.5: charmbracelet/crush/issues/2913. For 5.6,
# "…use /v1/responses or set reasoning_effort to 'none'", also without a `reasoning_effort`:
# github.com/BerriAI/litellm/pull/34569. 2026-11
TOOL_EFFORTS = (
    ToolEffort(r"gpt-5\.[45](?!.*chat)"),
    ToolEffort(r"gpt-5\.6(?!.*chat)", explicit=True),
)

MAYBE_EMPTY = frozenset(
    {
        "function_call",
        "functions",
        "logit_bias",
        "metadata",
        "modalities",
        "prompt_cache_key",
        "safety_identifier",
        "stop",
        "user",
    }
)
"""Fields that ask for nothing if they are an empty text, list or object."""

FAMILY_DEFAULTS: Mapping[str, tuple[object, ...]] = {
    "temperature": (1,),
    "top_p": (1,),
}
"""Values of fixed fields that ask for nothing."""


def bare_name(model: str) -> str:
    """The name without a path and without the mark of a tuned model."""
    return model.rpartition("/")[2].removeprefix("ft:")


_REASONING_MODEL = re.compile(r"(?:ft:)?(?:o[1-9]|gpt-(?:[5-9]|[1-9]\d))")


def is_reasoning(model: str) -> bool:
    """Whether this is the name of a reasoning model of OpenAI's."""
    return _REASONING_MODEL.match(model) is not None


class _HasPattern(Protocol):
    @property
    def pattern(self) -> str: ...


R = TypeVar("R", bound=_HasPattern)


def of_model(rules: Iterable[R], model: str) -> Iterator[R]:
    """The rules for this model: those whose pattern its name begins with."""
    name = bare_name(model)
    return (rule for rule in rules if re.match(rule.pattern, name))


@lru_cache(maxsize=1024)
def fixed_fields(families: tuple[Family, ...], model: str, effort: str | None) -> frozenset[str]:
    """The fields that this model rejects, with this effort."""
    found = (one.fields for one in of_model(families, model) if effort not in one.efforts)
    return frozenset().union(*found)


def asks_for_fixed(families: tuple[Family, ...], model: str, name: str, value: object) -> bool:
    """Whether a field that this model rejects has a value that the model has anyway."""
    return any((name, value) in one.fixed for one in of_model(families, model))


@lru_cache(maxsize=1024)
def tool_effort(rules: tuple[ToolEffort, ...], model: str) -> ToolEffort | None:
    """The rule for this model, if there is one."""
    return next(of_model(rules, model), None)
