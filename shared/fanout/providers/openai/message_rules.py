"""
What vendors accept inside messages, as data: one rule a line, with its source.

The codecs of vendors with OpenAI's API read these rules, and so does the strict server of the
tests. `rules.py` has those of the other fields.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from ..base import NameRule, Template
from ..calls import ANY_ID, IdRule
from .rules import bare_name

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
    # Encrypted reasoning in `extra_content.openai` is kept: a later step chooses by its model.
    sealed: bool = False
    # The field of a file that may be its address; otherwise, a file is its data or its id.
    addresses: Literal["file_data", "file_id"] | None = None
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
    # The results of tools may have images, files and audio; otherwise, a user's message has them.
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
    # Models whose names begin like this get no tools that they may not call.
    no_idle_tools: str = ""
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
    builtin_calls: frozenset[str] = frozenset()
    # Calls may be in OpenAI's old form, also without `functions` in the request.
    legacy: bool = False
    # The config's turns for roles that do not alternate; otherwise neighbors are one message.
    user_turn: str = ""
    assistant_turn: str = ""

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
# Llama 2 and Code Llama: "Conversation roles must alternate user/assistant/…", of their own
# `chat_template`.
ALTERNATING = rf"(?:{MISTRALS}|gemma-?[123](?!\d)|(?:meta-)?llama-?2(?![.\d])|code-?llama)"
ONE_SYSTEM = r"qwen-?(?:3\.[5-9]|[4-9])"
NO_SYSTEM = r"gemma-?[12](?!\d)"
# "This model only supports single tool-calls at once!": the `chat_template` of Llama 3.1, 3.2 and
# 3.3, also at NVIDIA and Nebius, 2026-11
SINGLE_CALLS = r"(?:meta-)?llama-?3[._-][1-3](?!\d)"

# With `tool_choice: none`, their servers reject or describe tools all the same: "does not support
# tools", of Gemma 3: github.com/ollama/ollama/issues/9680; vLLM keeps them in the prompt unless it
# runs with `--exclude-tools-when-tool-choice-none`. 2026-11
NO_IDLE_TOOLS = rf"{ALTERNATING}|{SINGLE_CALLS}"

ANY_NAME = "."
"""The beginning of any model's name."""

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
    no_idle_tools=NO_IDLE_TOOLS,
    # MiMo: github.com/openclaw/openclaw/issues/82983, NousResearch/hermes-agent/pull/25484, 2026-11
    thinkers=r"kimi-(?:k2-thinking|k2[.-][5-9]|k[3-9]|thinking)|deepseek-(?:reasoner|v4)|mimo-",
)


# A vendor with OpenAI's API, not a gateway: what other vendors have made says nothing to it.
OTHER_VENDORS = replace(
    OTHER_SERVERS,
    fields=OTHER_SERVERS.fields - {"extra_content", "reasoning_details"},
    signed="",
)


@lru_cache(maxsize=1024)
def rules_for(rules: MessageRules, model: str, template: Template | None = None) -> MessageRules:
    """The rules for this model of the vendor's; those of the config count before those by name."""
    found = _by_name(rules, model)
    return found if template is None else _with_template(found, template)


def _with_template(rules: MessageRules, template: Template) -> MessageRules:
    alternate, one_system = template.alternate, template.one_system
    if template.system_role is not None:
        rules = replace(rules, no_system="" if template.system_role else ANY_NAME)
        if not template.system_role and alternate is None:
            alternate = True  # before the user's, the system prompt would be a second turn
    if alternate is not None:
        rules = replace(rules, alternate=alternate)
        one_system = alternate if one_system is None else one_system
    if alternate and not rules.after_tools:  # templates count neither calls nor results
        rules = replace(rules, after_tools=template.assistant_turn or AFTER_TOOLS)
    if one_system is not None:
        rules = replace(rules, late_system=not one_system, many_systems=not one_system)
    if template.single_calls is not None:
        rules = replace(rules, single_calls=ANY_NAME if template.single_calls else "")
    if template.after_tools is not None:
        rules = replace(rules, after_tools=template.after_tools)
    return replace(rules, user_turn=template.user_turn, assistant_turn=template.assistant_turn)


# GGUF files have their maker's name before the model's: `google_gemma-3-27b-it-Q4_K_M.gguf`.
_MAKER = re.compile(r"(?:google|meta-llama|mistralai|qwen)_(?=\w)", re.IGNORECASE)


def _by_name(rules: MessageRules, model: str) -> MessageRules:
    name = _MAKER.sub("", bare_name(model), count=1)
    if rules.thinkers and not re.match(rules.thinkers, name):
        rules = replace(rules, no_thought="", thinkers="")
    if is_like(rules.with_turns, name):
        rules = replace(rules, ids=MISTRALS_IDS, with_turns="")
    elif rules.with_turns:
        rules = replace(rules, after_tools="", with_turns="")
    if is_like(rules.alternating, name):
        # vLLM's template for calls of Gemma 3 counts neither calls nor results, so that the user
        # would speak twice: examples/tool_chat_template_gemma3_pythonic.jinja, 2026-11
        after_tools = rules.after_tools or AFTER_TOOLS
        rules = replace(
            rules, alternate=True, late_system=False, many_systems=False, after_tools=after_tools
        )
    elif is_like(rules.one_system, name):
        rules = replace(rules, late_system=False, many_systems=False)
    if rules.signed and not re.match(rules.signed, name):
        rules = replace(rules, signed="")
    if rules.no_system and not is_like(rules.no_system, name):
        rules = replace(rules, no_system="")
    if rules.single_calls and not is_like(rules.single_calls, name):
        rules = replace(rules, single_calls="")
    if rules.no_idle_tools and not is_like(rules.no_idle_tools, name):
        rules = replace(rules, no_idle_tools="")
    return replace(rules, alternating="", one_system="")


def is_like(pattern: str, name: str) -> bool:
    """Whether a model's name begins like this; nothing is like no pattern."""
    return bool(pattern) and re.match(pattern, name, re.IGNORECASE) is not None
