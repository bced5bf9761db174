"""
OpenAI-compatible providers, one row each. To add one, add its row; a quirk that a row cannot say
means a folder.

Addresses and key names are the vendors' published ones; `billing` is what OpenRouter's list says
happens when a stream is cut (https://openrouter.ai/docs/api-reference/streaming).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .base import Billing, Provider
from .openai.chat import Quirks, make_codec
from .openai.errors import explain

NO_STREAM_OPTIONS = frozenset({"stream_options"})
OLD_LIMIT = {"max_completion_tokens": "max_tokens"}


@dataclass(frozen=True, slots=True)
class Row:
    """One OpenAI-compatible vendor: `drop`, `rename`, `default` are all the quirks it may have."""

    name: str
    base_url: str
    key: str
    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=dict)
    default: Mapping[str, Any] = field(default_factory=dict)
    key_optional: bool = False
    billing: Billing = "unknown"
    other_keys: tuple[str, ...] = ()


_ROWS = (
    Row(
        "cerebras",
        "https://api.cerebras.ai/v1",
        "CEREBRAS_API_KEY",
        drop=frozenset({"frequency_penalty", "presence_penalty", "logit_bias"}),
    ),
    Row(
        "deepseek",
        "https://api.deepseek.com/v1",
        "DEEPSEEK_API_KEY",
        rename=OLD_LIMIT,
        billing="stops",
    ),
    Row(
        "fireworks_ai",
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY",
        rename=OLD_LIMIT,
        billing="stops",
        other_keys=("FIREWORKS_AI_API_KEY",),
    ),
    Row(
        "groq",
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
        drop=frozenset({"logprobs", "logit_bias", "top_logprobs"}),
        billing="continues",
    ),
    Row(
        "mistral",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        drop=NO_STREAM_OPTIONS | {"logprobs", "logit_bias", "top_logprobs", "user"},
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
    Row(
        "ollama",
        "http://127.0.0.1:11434/v1",
        "OLLAMA_API_KEY",
        rename=OLD_LIMIT,
        key_optional=True,
        billing="stops",
    ),
    Row(
        "openrouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
    ),
    Row(
        "perplexity",
        "https://api.perplexity.ai",
        "PERPLEXITYAI_API_KEY",
        drop=NO_STREAM_OPTIONS
        | {"tools", "tool_choice", "parallel_tool_calls", "n", "seed", "logit_bias", "logprobs"},
        rename=OLD_LIMIT,
        billing="continues",
        other_keys=("PERPLEXITY_API_KEY",),
    ),
    Row(
        "together_ai",
        "https://api.together.xyz/v1",
        "TOGETHERAI_API_KEY",
        rename=OLD_LIMIT,
        billing="stops",
        other_keys=("TOGETHER_API_KEY", "TOGETHER_AI_API_KEY"),
    ),
    Row("xai", "https://api.x.ai/v1", "XAI_API_KEY", billing="stops"),
    # One's own engine, such as `fanout local serve`.
    Row(
        "local",
        "http://127.0.0.1:4001/v1",
        "FANOUT_LOCAL_KEY",
        rename=OLD_LIMIT,
        key_optional=True,
        billing="stops",
    ),
)

# Other names under which LiteLLM's users know a row.
_ALIASES = {
    "fireworks": "fireworks_ai",
    "together": "together_ai",
    "vllm": "hosted_vllm",
    "ollama_chat": "ollama",
    "custom_openai": "openai_like",
}

ROWS: dict[str, Row] = {row.name: row for row in _ROWS}
ROWS |= {alias: ROWS[name] for alias, name in _ALIASES.items() if name in ROWS}

# Bare model names, by how they begin; the first that fits counts.
PREFIXES: tuple[tuple[str, str], ...] = (
    ("claude", "anthropic"),
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("ft:gpt-", "openai"),
    ("command", "cohere"),
    ("c4ai-", "cohere"),
    ("gemini-", "gemini"),
    ("gemma-", "gemini"),
    ("mistral-", "mistral"),
    ("magistral-", "mistral"),
    ("ministral-", "mistral"),
    ("codestral-", "mistral"),
    ("deepseek-", "deepseek"),
    ("grok-", "xai"),
    ("sonar", "perplexity"),
)


def make_provider(row: Row) -> Provider:
    """A row as the provider it describes."""
    quirks = Quirks(row.name, row.drop, row.rename, row.default)
    return Provider(
        name=row.name,
        base_url=row.base_url,
        keys=(row.key, *row.other_keys),
        chat=make_codec(quirks),
        explain=explain,
        key_optional=row.key_optional,
        billing=row.billing,
    )
