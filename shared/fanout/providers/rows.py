"""
OpenAI-compatible providers, one row each. To add one, add its row; a quirk that a row cannot
express needs a folder.

Addresses and key names are the vendors' published ones, with LiteLLM's names as aliases. `billing`
is what happens when a stream is cancelled, by OpenRouter's list
(https://openrouter.ai/docs/api-reference/streaming).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from .base import Billing, Provider
from .openai.chat import Quirks
from .openai.errors import explain
from .openai.normalize import make_codec

# These always send a stream's usage, and may reject a request that asks for it.
NO_STREAM_OPTIONS = frozenset({"stream_options"})
OLD_LIMIT = {"max_completion_tokens": "max_tokens"}

# Fields that few but OpenAI support. A row lists them if its vendor is known to ignore or to
# reject unknown fields; otherwise they are sent, and the vendor decides.
RARE = frozenset(
    {
        "audio",
        "function_call",
        "functions",
        "metadata",
        "modalities",
        "moderation",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "top_k",  # not OpenAI's either
        "verbosity",
        "web_search_options",
    }
)
LOGPROBS = frozenset({"logprobs", "top_logprobs"})


class Row(Struct, frozen=True):
    """
    One OpenAI-compatible vendor. Its quirks are `drop`, `rename`, `default` and `developer`.

    Without `developer`, a message with that role is sent as `system`.
    """

    name: str
    base_url: str
    key: str
    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=dict)
    default: Mapping[str, Any] = field(default_factory=dict)
    developer: bool = False
    key_optional: bool = False
    billing: Billing = "unknown"
    other_keys: tuple[str, ...] = ()


_ROWS = (
    # github.com/Cerebras/cerebras-cloud-sdk-python: types/chat/completion_create_params.py
    Row(
        "cerebras",
        "https://api.cerebras.ai/v1",
        "CEREBRAS_API_KEY",
        drop=RARE - {"prediction", "service_tier"},
    ),
    # api-docs.deepseek.com/api/create-chat-completion; it ignores unknown fields.
    Row(
        "deepseek",
        "https://api.deepseek.com/v1",
        "DEEPSEEK_API_KEY",
        drop=RARE | {"logit_bias", "n", "parallel_tool_calls", "seed", "user"},
        rename=OLD_LIMIT,
        billing="stops",
    ),
    Row(
        "fireworks_ai",
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY",
        rename=OLD_LIMIT,
        billing="stops",
        other_keys=("FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"),
    ),
    # console.groq.com/docs/openai; github.com/groq/groq-python: no model supports penalties.
    Row(
        "groq",
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
        drop=(RARE - {"function_call", "functions", "service_tier"})
        | LOGPROBS
        | {"frequency_penalty", "logit_bias", "n", "presence_penalty"},
        developer=True,
        billing="continues",
    ),
    # github.com/mistralai/client-python: models/chatcompletionrequest.py; other fields are a 422.
    Row(
        "mistral",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        drop=(RARE - {"metadata", "prediction", "prompt_cache_key"})
        | NO_STREAM_OPTIONS
        | LOGPROBS
        | {"logit_bias", "user"},
        rename={**OLD_LIMIT, "seed": "random_seed"},
        billing="continues",
    ),
    Row(
        "hosted_vllm",
        "http://127.0.0.1:8000/v1",
        "HOSTED_VLLM_API_KEY",
        key_optional=True,
        billing="stops",
    ),
    # docs.ollama.com/api/openai-compatibility; it ignores fields that are not listed there.
    Row(
        "ollama",
        "http://127.0.0.1:11434/v1",
        "OLLAMA_API_KEY",
        drop=RARE | {"logit_bias", "n", "parallel_tool_calls", "tool_choice", "user"},
        rename=OLD_LIMIT,
        key_optional=True,
        billing="stops",
    ),
    Row(
        "openrouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        developer=True,
        other_keys=("OR_API_KEY",),
    ),
    # docs.perplexity.ai/docs/sonar/openai-compatibility; its models search, and call no tools.
    Row(
        "perplexity",
        "https://api.perplexity.ai",
        "PERPLEXITY_API_KEY",
        drop=(RARE - {"top_k", "web_search_options"})
        | NO_STREAM_OPTIONS
        | LOGPROBS
        | {"logit_bias", "n", "parallel_tool_calls", "seed", "tool_choice", "tools", "user"},
        rename=OLD_LIMIT,
        billing="continues",
        other_keys=("PERPLEXITYAI_API_KEY",),
    ),
    Row(
        "together_ai",
        "https://api.together.xyz/v1",
        "TOGETHER_API_KEY",
        rename=OLD_LIMIT,
        billing="stops",
        other_keys=("TOGETHERAI_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_AI_TOKEN"),
    ),
    # docs.x.ai/docs/api-reference: `logit_bias` is listed as unsupported.
    Row(
        "xai",
        "https://api.x.ai/v1",
        "XAI_API_KEY",
        drop=(RARE - {"web_search_options"}) | {"logit_bias"},
        billing="stops",
    ),
    # Your own engine, such as `fanout local serve`.
    Row(
        "local",
        "http://127.0.0.1:4001/v1",
        "FANOUT_LOCAL_KEY",
        rename=OLD_LIMIT,
        key_optional=True,
        billing="stops",
    ),
    # Any other OpenAI-compatible server; the config has its address.
    Row(
        "openai_like",
        "{api_base}",
        "OPENAI_LIKE_API_KEY",
        developer=True,
        key_optional=True,
    ),
)

# LiteLLM's other names of a row.
_ALIASES = {
    "fireworks": "fireworks_ai",
    "together": "together_ai",
    "vllm": "hosted_vllm",
    "ollama_chat": "ollama",
    "custom_openai": "openai_like",
}

ROWS: dict[str, Row] = {row.name: row for row in _ROWS}
ROWS |= {alias: ROWS[name] for alias, name in _ALIASES.items()}

# Bare model names, by their beginning; the first match counts.
PREFIXES: tuple[tuple[str, str], ...] = (
    ("claude", "anthropic"),
    ("gpt-oss", ""),  # open weights: many vendors serve them, OpenAI does not
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("ft:gpt-", "openai"),
    ("ft:o", "openai"),
    ("command", "cohere"),
    ("c4ai-", "cohere"),
    ("gemini-", "gemini"),
    ("gemma-", "gemini"),
    ("mistral-", "mistral"),
    ("magistral-", "mistral"),
    ("ministral-", "mistral"),
    ("codestral-", "mistral"),
    ("devstral-", "mistral"),
    ("pixtral-", "mistral"),
    ("open-mi", "mistral"),
    ("deepseek-", "deepseek"),
    ("grok-", "xai"),
    ("sonar", "perplexity"),
)


def make_provider(row: Row) -> Provider:
    """The provider that a row describes."""
    quirks = Quirks(row.name, row.drop, row.rename, row.default, developer=row.developer)
    return Provider(
        name=row.name,
        base_url=row.base_url,
        keys=(row.key, *row.other_keys),
        chat=make_codec(quirks),
        explain=explain,
        key_optional=row.key_optional,
        billing=row.billing,
    )
