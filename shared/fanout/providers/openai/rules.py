"""
What OpenAI's API rejects, as data: one rule a line, with its source.

The codecs of OpenAI and Azure read these rules, and so does the strict server of the tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Literal, Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ..base import NameRule
from ..calls import ANY_ID, IdRule
from ..fields import VENDORS_FIELDS

# "Invalid 'messages[1].name': string does not match pattern '^[^\\s<|\\\\/>]+$'": OpenAI's error,
# and Azure's, also for xAI's models: github.com/microsoft/semantic-kernel/issues/9340,
# pollinations/pollinations/pull/10653. MiniMax's responses have the name "MiniMax AI". 2026-11
NOT_IN_NAMES = r"[\s<|\\/>]"


class MessageRules(Struct, frozen=True, cache_hash=True):
    """What a vendor accepts inside messages: one rule a line. A row lists those that differ."""

    # The fields of messages, parts and calls beside `role`, `content` and `tool_calls`.
    fields: frozenset[str] = frozenset()
    # A message of the assistant has no other fields. (Otherwise, the vendor decides about those.)
    strict: bool = False
    # Where earlier reasoning is; without it, that is left out.
    reasoning: Literal["reasoning", "reasoning_content"] | None = None
    # With calls, each message of the assistant must have reasoning; this stands for none.
    no_thought: str = ""
    # That is true of models whose names begin like this; by default, of all.
    thinkers: str = ""
    # The first call of each message must have Google's signature, of models with such names.
    signed: str = ""
    # The ids of calls. An empty one is none, and none may occur twice.
    ids: IdRule = ANY_ID
    # The names of functions in earlier calls, and in `tools`.
    functions: NameRule = NameRule()
    # The role `developer` is known; otherwise it is `system`.
    developer: bool = True
    # Models whose names begin like this have no system prompt: it is the user's.
    no_system: str = ""
    # Messages may have names; those of results repeat their call's.
    names: bool = True
    # What such a name cannot have, as a pattern: each letter of it becomes `_`.
    not_in_names: str = NOT_IN_NAMES
    # So may the results of tools.
    named_results: bool = True
    # The results of tools may have images, files and audio beside texts.
    media_results: bool = True
    # A message of the assistant may have no content and no calls.
    empty: bool = True
    # Beside calls, its content may be empty; otherwise it is null.
    empty_beside_calls: bool = True
    # Beside calls, this stands for no content; by default, null.
    no_content: str | None = None
    # System messages may come late; otherwise a late one, or the last if alone, is the user's.
    late_system: bool = True
    # There may be several system messages; otherwise their texts are one.
    many_systems: bool = True
    # The parts of a message may be empty texts; otherwise those are left out.
    empty_texts: bool = True
    # Between the result of a tool and the user, there must be a turn; this is its text.
    after_tools: str = ""
    # That is true of models whose names begin like this, which also need Mistral's ids; by default,
    # of all.
    with_turns: str = ""
    # Models whose names begin like this have one system message, which is first.
    one_system: str = ""
    # The first message must be a user's, and neighbors cannot have one role.
    alternate: bool = False
    # That, and one system message, is true of models whose names begin like this.
    alternating: str = ""
    # Each message of models whose names begin like this has one call, and its result follows.
    single_calls: str = ""
    # The last message may be the assistant's.
    last_response: bool = True
    # The field that a last message of the assistant must have.
    prefix: str = ""
    # The arguments of calls may be text that is not JSON.
    opaque_arguments: bool = False
    # A content of texts alone must be one string.
    one_text: bool = False
    # The content part that the vendor has instead of OpenAI's `file`.
    documents: Literal["document_url", "file_url"] | None = None
    # Audio is its base64 alone, not an object with a `format`.
    bare_audio: bool = False
    # Audio of its responses is stored, and sent by its id; otherwise as its words, if it has some.
    audio_store: bool = False
    # Calls may be of OpenAI's custom tools; otherwise they are calls of functions.
    custom: bool = False
    # Calls may also be of these types, which are the vendor's own, and of those of its `tools`.
    own_calls: frozenset[str] = frozenset()
    # Calls may be in OpenAI's old form, also without `functions` in the request.
    legacy: bool = False

    @property
    def has_order(self) -> bool:
        """Whether the order of roles matters to the vendor."""
        in_order = self.late_system and self.many_systems and self.last_response
        added = self.after_tools or self.prefix or self.single_calls
        return self.alternate or not in_order or bool(added)


# "string too long. Expected a string with maximum length 40": github.com/agno-agi/agno/issues/5382,
# 2025-11
CALL_IDS = IdRule(r"(?s).{1,40}", unique=True)

# "Must be a-z, A-Z, 0-9, or contain underscores and dashes, with a maximum length of 64":
# openai-openapi 2.3.0, `FunctionObject`. "Invalid 'messages[9].tool_calls[0].function.name': string
# does not match pattern": github.com/mcp-use/mcp-use/issues/90. DeepSeek's errors have the same
# pattern: nikkigallery/Whimbox/issues/61; Mistral's the same words: Kochava-Studios/witsy/pull/164.
# Other vendors publish no rule for `tools`; in earlier calls, each accepts these names. 2026-11
FUNCTIONS = NameRule(tools=r"[a-zA-Z0-9_-]{1,64}")

# openai-openapi 2.3.0, `ChatCompletionRequestAssistantMessage`
MESSAGES = MessageRules(
    fields=frozenset({"audio", "function_call", "name", "refusal"}),
    strict=True,
    ids=CALL_IDS,
    functions=FUNCTIONS,
    # "Image URLs are only allowed for messages with role 'user'": github.com/OpenHands/OpenHands/
    # issues/7700. In the reference, the content of a result is text; GPT-5.2 accepts an image, but
    # does not see it: openai/openai-openapi/issues/523, 2026-11
    media_results=False,
    opaque_arguments=True,
    audio_store=True,
    custom=True,
    legacy=True,
    # "Unsupported value: 'messages[0].role' does not support 'system' with this model":
    # github.com/microsoft/agent-framework/issues/1077, 2026-11
    no_system=r"o1-(?:mini|preview)",
)

# "Unexpected role 'user' after role 'tool'", of other servers with Mistral's models (NVIDIA, vLLM):
# github.com/NousResearch/hermes-agent/issues/20154, aliou/pi-neuralwatt/issues/12, 2026-11
AFTER_TOOLS = "Done."
# "Tool call id was … but must be a-z, A-Z, 0-9, with a length of 9", also of those servers:
# github.com/vllm-project/vllm/pull/12332, ggml-org/llama.cpp/issues/26359, 2026-11
MISTRALS_IDS = IdRule(r"[a-zA-Z0-9]{9}", length=9, unique=True)
MISTRALS = r"(?:mi(?:s|nis|x)tral|magistral|devstral|codestral|pixtral|mathstral)"

# "After the optional system message, conversation roles must alternate user and assistant roles",
# of Mistral's models: github.com/mistralai/mistral-vibe/issues/255, vllm-project/vllm/issues/6862;
# of Gemma up to 3, which have one system message: suitenumerique/conversations/issues/197,
# google/adk-python/issues/1373. "System message must be at the beginning", of Qwen 3.5 and later:
# vllm-project/vllm/issues/41114, raullenchai/Rapid-MLX/issues/1543. Gemma 1 and 2 have none:
# EricLBuehler/mistral.rs/issues/506. 2026-11
ALTERNATING = rf"(?:{MISTRALS}|gemma-?[123](?!\d))"
ONE_SYSTEM = r"qwen-?(?:3\.[5-9]|[4-9])"
NO_SYSTEM = r"gemma-?[12](?!\d)"
# "This model only supports single tool-calls at once!": the `chat_template` of Llama 3.1, 3.2 and
# 3.3, also at NVIDIA and Nebius, 2026-11
SINGLE_CALLS = r"(?:meta-)?llama-?3[._-][1-3](?!\d)"

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
    not_in_names="",
    reasoning="reasoning_content",
    # "thinking is enabled but reasoning_content is missing in assistant tool call message":
    # github.com/maximhq/bifrost/issues/2093; so DeepSeek: anomalyco/opencode/issues/24190. 2026-11
    no_thought=" ",
    # "Function call is missing a thought_signature in functionCall parts", of Gemini 3 and later
    # at Google's OpenAI-compatible address: github.com/securo-finance/securo/issues/884,
    # BerriAI/litellm/issues/16893; ai.google.dev/gemini-api/docs/thought-signatures. 2026-11
    signed=r"gemini-(?![12][.-])",
    after_tools=AFTER_TOOLS,
    with_turns=MISTRALS,
    one_system=ONE_SYSTEM,
    alternating=ALTERNATING,
    no_system=NO_SYSTEM,
    single_calls=SINGLE_CALLS,
    # MiMo: github.com/openclaw/openclaw/issues/82983, NousResearch/hermes-agent/pull/25484, 2026-11
    thinkers=r"kimi-(?:k2-thinking|k2[.-][5-9]|k[3-9]|thinking)|deepseek-(?:reasoner|v4)|mimo-",
)


@lru_cache(maxsize=1024)
def rules_for(rules: MessageRules, model: str) -> MessageRules:
    """The rules for this model of the vendor's."""
    name = bare_name(model)
    if rules.thinkers and not re.match(rules.thinkers, name):
        rules = replace(rules, no_thought="", thinkers="")
    if is_like(rules.with_turns, name):
        rules = replace(rules, ids=MISTRALS_IDS, with_turns="")
    elif rules.with_turns:
        rules = replace(rules, after_tools="", with_turns="")
    if is_like(rules.alternating, name):
        rules = replace(rules, alternate=True, late_system=False, many_systems=False)
    elif is_like(rules.one_system, name):
        rules = replace(rules, late_system=False, many_systems=False)
    if rules.signed and not re.match(rules.signed, name):
        rules = replace(rules, signed="")
    if rules.no_system and not is_like(rules.no_system, name):
        rules = replace(rules, no_system="")
    if rules.single_calls and not is_like(rules.single_calls, name):
        rules = replace(rules, single_calls="")
    return replace(rules, alternating="", one_system="")


def is_like(pattern: str, name: str) -> bool:
    """Whether a model's name begins like this; nothing is like no pattern."""
    return bool(pattern) and re.match(pattern, name, re.IGNORECASE) is not None


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

    `off` are the fields that keep them from thinking; without any, they always think.
    """

    pattern: str
    off: Mapping[str, object] = {}


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
