"""
What Converse rejects, as data: one rule a line, with its source.

The codec reads these rules, and so does the strict server of the tests.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ..base import NameRule
from ..calls import IdRule
from ..schemas import WITHOUT_LIMITS

# `ToolUseId` in botocore 1.44's model of the service, 2026-11. Claude rejects doubled ids
# (`anthropic/rules.py`); they are made unique for all models.
CALL_IDS = IdRule(r"[a-zA-Z0-9_.:-]{1,64}", unique=True)

# `ToolName` in the same model: one pattern for `toolSpec.name` and `toolUse.name`.
FUNCTIONS = NameRule(tools=r"[a-zA-Z0-9_-]{1,64}")

# "Supported JSON Schema features" in docs.aws.amazon.com/bedrock/latest/userguide/
# structured-output.html, as public repositories quote it, 2026-11: no recursion, no limits of
# numbers and texts, no `minItems` over 1, and `additionalProperties: false`. It is Anthropic's
# list, whose other points are applied, too; also for strict tools.
SCHEMAS = WITHOUT_LIMITS

# "A text block must be included when using documents": the service's own error,
# github.com/maximhq/bifrost/pull/5817, 2026-11
BESIDE_DOCUMENTS = "See the document."

# "The toolConfig field must be defined when using toolUse and toolResult content blocks": the
# service's own error, github.com/elastic/kibana/pull/246943, 2026-11. This is the schema of a
# function that was called and is no longer offered.
CALLED_BEFORE = {"type": "object", "properties": {}}

# "Only three fields are supported in the top-level Object: type, properties, required":
# docs.aws.amazon.com/nova/latest/userguide/tool-use-definition.html. "extraneous key [definitions]
# is not permitted": the service's own error, github.com/zed-industries/zed/issues/28521,
# pydantic/pydantic-ai/issues/1623, 2026-11
TOP_KEYS: Mapping[str, frozenset[str]] = {
    "amazon.nova": frozenset({"properties", "required", "type"})
}


# ---- what some models lack: patterns that are found in their names ----

# "This model doesn't support system messages": github.com/danny-avila/LibreChat/issues/6456
# (Mistral 7B, Mixtral), Mintplex-Labs/anything-llm/pull/2489 (Titan); AWS's table of models and
# features, docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-supported-models-
# features.html, also has Jurassic-2 and Cohere's first Command models. 2026-11
NO_SYSTEM = (
    r"amazon\.titan|mistral\.(?:mistral-7b|mixtral)|ai21\.j2|cohere\.command-(?:light-)?text"
)

# "This model doesn't support the stopSequences field", of Qwen3 and GPT-OSS: github.com/langgenius/
# dify-official-plugins/issues/1767, crewAIInc/crewAI/issues/3317, 2026-11
NO_STOP = r"openai\.gpt-oss|qwen\.qwen3"

# "This model doesn't support tool use": github.com/langchain-ai/langchain-aws/issues/447 (DeepSeek
# R1). AWS's table also has Titan, Claude 2 and Instant, Jurassic-2, Jamba-Instruct, Cohere's first
# Command models, Mistral 7B, Mixtral, Llama 2, and Llama 3 in its first version. Llama 3.2 with 1
# and 3 billion parameters: github.com/epam/ai-dial-adapter-bedrock/issues/181, of 2024, which also
# names 11. 2026-12
NO_TOOLS = (
    r"deepseek\.r1|amazon\.titan|anthropic\.claude-(?:v|instant)|ai21\.(?:j2|jamba-instruct)"
    r"|cohere\.command-(?:light-)?text|mistral\.(?:mistral-7b|mixtral)"
    r"|meta\.llama(?:2|3-\d+b|3-2-[13]b)"
)

# "This model doesn't support tool use in streaming mode": github.com/earendil-works/pi/issues/3739,
# n8n-io/n8n/issues/14206 (Llama), langchain-ai/langchain-aws/pull/466 (Palmyra); AWS's table has
# these Mistral models. 2026-11
NO_STREAMED_TOOLS = (
    r"meta\.llama|writer\.palmyra"
    r"|mistral\.(?:mistral-small-24|mistral-large-24|pixtral)"
)


class ToolChoices(Struct, frozen=True):
    """The only choices of tools that the models accept in whose names `models` is found."""

    models: str
    choices: frozenset[str]


# "This model doesn't support the toolConfig.toolChoice.any field": github.com/strands-agents/
# harness-sdk/issues/1241. Which model accepts what: langchain-ai/langchain-aws/issues/620 and its
# `ChatBedrockConverse`, 2026-11. Other models get every choice.
TOOL_CHOICES = (
    ToolChoices(r"meta\.llama", frozenset({"auto"})),
    ToolChoices(r"mistral\.mistral-large-24", frozenset({"auto", "any"})),
    ToolChoices(r"deepseek\.v3-v1", frozenset({"any"})),
)


class CacheRules(Struct, frozen=True):
    """The cache points that the models accept in whose names `models` is found."""

    models: str
    # Also after tools, not only in the system prompt and in messages.
    tools: bool = True
    # They may last an hour, instead of five minutes.
    long: bool = False


# https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html names Claude and Nova
# models, 2026-11. No page says what others do with a cache point, so they get none. Nova:
# "Extended TTL prompt caching is only supported for Anthropic models", and no points after tools:
# github.com/LibreChat-AI/agents/pull/253 and …/256, tried with AWS. An hour since Claude 4.5; to
# older ones it is "Extra inputs are not permitted": earendil-works/pi/pull/1570; also 4.6:
# anomalyco/opencode/issues/23106. 2026-11
CACHING = (
    CacheRules(r"amazon\.nova", tools=False),
    CacheRules(r"anthropic\.claude-(?:v|instant|3|(?:opus|sonnet|haiku)-4-(?:[0-4](?!\d)|\d{8}))"),
    CacheRules(r"anthropic\.claude", long=True),
)

# "A maximum of 4 blocks with cache_control may be provided": github.com/maximhq/bifrost/pull/5931,
# UKGovernmentBEIS/inspect_ai/issues/5131, 2026-11. AWS's table has 4 for all models.
MOST_POINTS = 4


def is_blank(text: str) -> bool:
    """
    "text content blocks must contain non-whitespace text": the service's own error.

    github.com/NousResearch/hermes-agent/pull/64858, 2026-11. By Anthropic's rule, the stop
    sequences of Claude must, too.
    """
    return not text or text.isspace()
