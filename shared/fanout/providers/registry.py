"""
The only list of providers, by name.

A provider's folder, and the rows, are imported when they are first used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

from ..errors import ConfigError
from .base import Provider

if TYPE_CHECKING:
    from .base import Target
    from .embeddings import EmbeddingAPI
    from .error_rules import ErrorRule
    from .native_batch import NativeBatches
    from .rate_limits import RateLimitTable
    from .row import Row

EMBEDDING = "embedding"
"""The `mode` of a deployment for embeddings."""

FOLDERS = ("anthropic", "azure", "bedrock", "cohere", "gemini", "openai", "vertex_ai")


ALIASES = {"cohere_chat": "cohere", "bedrock_converse": "bedrock"}
"""LiteLLM's other names of a folder."""

# Bare model names, by their beginning; the first match counts.
PREFIXES: tuple[tuple[str, str], ...] = (
    ("claude", "anthropic"),
    ("text-embedding-3", "openai"),
    ("text-embedding-ada", "openai"),
    ("embed-", "cohere"),
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


# The ids of models on Bedrock, also of inference profiles: docs.aws.amazon.com/bedrock/latest/
# userguide/models-supported.html. LiteLLM resolves them without `bedrock/`. 2026-11
_BEDROCK_ID = re.compile(
    r"(?:(?:apac|au|ca|eu|global|jp|us|us-gov)\.)?(?:ai21|amazon|anthropic|cohere|deepseek|google|meta"
    r"|minimax|mistral|moonshotai?|nvidia|openai|qwen|writer|zai)\.[a-z0-9]"
)

_FOR_EMBEDDINGS = re.compile(r"embed|(^|[/-])(bge|e5|gte|minilm|nomic|voyage)(-|$)", re.IGNORECASE)


# Vendors' own OpenAI-compatible APIs that are not under `/v1`, beside those of the rows. 2026-11:
# ai.google.dev/gemini-api/docs/openai, docs.cohere.com/docs/compatibility-api,
# docs.bigmodel.cn/api-reference; GitHub Copilot's is as its clients call it.
OPENAI_PATHS: Mapping[str, str] = {
    "generativelanguage.googleapis.com": "/v1beta/openai",
    "api.cohere.ai": "/compatibility/v1",
    "api.cohere.com": "/compatibility/v1",
    "api.githubcopilot.com": "",
    "models.inference.ai.azure.com": "",
    "api.openai.com": "/v1",
    "open.bigmodel.cn": "/api/paas/v4",
}


def names() -> list[str]:
    """Every provider's name, sorted."""
    from .rows import ROWS

    return sorted({*FOLDERS, *ROWS})


def row_addresses() -> list[str]:
    """The address of each OpenAI-compatible vendor."""
    from .other_rows import OTHER_ROWS
    from .rows import ROWS

    rows = (*ROWS.values(), *OTHER_ROWS.values())
    return [row.base_url for row in rows if row.base_url.startswith("https://")]


@lru_cache
def find(name: str) -> Provider:
    """The provider called `name`; `ConfigError` if there is none."""
    if name in FOLDERS:
        provider: Provider = import_module(f".{name}.provider", __package__).PROVIDER
        return provider
    from .row import make_provider
    from .rows import ROWS

    if row := ROWS.get(name) or _other_row(name):
        return make_provider(row)
    raise ConfigError(f"there is no provider `{name}`; known are {', '.join(names())}")


WITH_BATCHES = ("anthropic", "azure", "bedrock", "gemini", "openai")
"""The folders with a batch API; `native_batch_rows.py` has those of vendors without a folder."""


def native_batches(name: str, target: Target) -> NativeBatches | None:
    """The batch API of a provider for one model; `None` if it has none, or the config lacks it."""
    if name in WITH_BATCHES:
        folder = import_module(f".{name}.native_batch", __package__)
        batches: NativeBatches | None = folder.make_batches(target)
        return batches
    from .native_batch_rows import ROWS

    make = ROWS.get(name)
    return None if make is None else make(find(name), target)


def embeddings_of(name: str, target: Target) -> EmbeddingAPI | None:
    """
    The embeddings of a provider for one model; `None` if it has none.

    A folder has them in `embeddings.py`, `embedding_rows.py` has the others'. Imported with the
    first request for embeddings.
    """
    if name not in FOLDERS:
        from .embedding_rows import find_api

        return find_api(name, target)
    try:
        folder = import_module(f".{name}.embeddings", __package__)
    except ModuleNotFoundError:
        return None
    api: EmbeddingAPI | None = folder.find_api(target)
    return api


def with_key(env: Mapping[str, str]) -> dict[str, str]:
    """The providers whose key is in the environment, by name, with the variable that has it."""
    found = ((name, next(filter(env.get, find(name).keys), "")) for name in names())
    return {name: variable for name, variable in found if variable}


def is_known(name: str) -> bool:
    """Whether there is a provider called `name`."""
    from .rows import ROWS

    return name in FOLDERS or name in ROWS or _other_row(name) is not None


def other_api(model: str) -> str:
    """What to do about a model of a provider that LiteLLM has and Fanout has no codec for."""
    from .other_rows import OTHER_APIS

    head, slash, _ = model.partition("/")
    return OTHER_APIS.get(head, "") if slash else ""


def is_for_chat(model: str, provider: str | None = None) -> bool:
    """
    Whether a model's name is none of one for embeddings, images, audio, ranking, moderation.

    Its `provider` says whose names they are; without one, they are those of all.
    """
    from .model_kinds import is_for_chat  # few commands ask

    return is_for_chat(model, provider)


def is_chats(provider: Provider, target: Target) -> bool:
    """
    Whether a deployment is for chat: its `mode` says so, else its `base_model`, else its name.

    Users choose the names of models at their own address, so those say nothing, but for a
    vendor's name with the word `embed`: `text-embedding-3-small`.
    """
    if mode := target.options.get("mode"):
        return mode != EMBEDDING
    if kind := target.options.get("base_model"):
        return is_for_chat(kind)
    is_own = target.options.get("api_base") not in {None, provider.base_url}
    if is_own and "embed" not in target.model.lower():
        return True
    return is_for_chat(target.model, None if is_own else provider.name)


def is_for_embeddings(model: str) -> bool:
    """Whether a model's name is one for embeddings."""
    return _FOR_EMBEDDINGS.search(model) is not None


def is_elsewhere(model: str, base: str) -> bool:
    """Whether a bare id of Bedrock's is the name of a model at this address, which is another's."""
    return bool(_BEDROCK_ID.match(model)) and "bedrock" not in base


def provider_with(setting: str, model: str) -> str:
    """The provider that has a model of this bare name and reads the setting, or nothing."""
    is_there = setting.startswith("vertex_") and model.startswith(("gemini", "claude"))
    return "vertex_ai" if is_there else ""


def _other_row(name: str) -> Row | None:
    from .other_rows import OTHER_ROWS

    return OTHER_ROWS.get(name)


def rules_of(name: str) -> tuple[ErrorRule, ...]:
    """
    What the errors of the provider called `name` mean; imported with the first error.

    A folder has them in `error_rules.py`, if the vendor has errors of its own.
    """
    if name not in FOLDERS:
        from .row_errors import ROW_ERRORS

        return ROW_ERRORS.get(name, ())
    try:
        rules: tuple[ErrorRule, ...] = import_module(f".{name}.error_rules", __package__).RULES
    except ModuleNotFoundError:
        return ()
    return rules


@lru_cache
def rate_limits_of(name: str) -> RateLimitTable:
    """Where the provider called `name` has its rate limits; by default, where OpenAI has them."""
    from .rate_limits import OPENAI

    if name not in FOLDERS:
        from .row_rate_limits import ROW_RATE_LIMITS

        return ROW_RATE_LIMITS.get(name, OPENAI)
    try:
        table: RateLimitTable = import_module(f".{name}.rate_limits", __package__).TABLE
    except ModuleNotFoundError:
        return OPENAI
    return table


def split_model(model: str, *, on_google: bool = False) -> tuple[str, str] | None:
    """
    `groq/llama3-8b` -> `("groq", "llama3-8b")`, `claude-2` -> `("anthropic", "claude-2")`.

    LiteLLM's model strings: a provider's name before the first slash, or a bare name that begins
    like one vendor's names. `None` if it is neither. `on_google` says that the deployment has a
    project on Google Cloud, where LiteLLM looks for a bare `gemini-…`, and for a name with a `@`.
    """
    head, slash, rest = model.partition("/")
    head = ALIASES.get(head, head)
    if slash and head in FOLDERS:
        return (head, rest) if rest else None
    from .rows import ROWS

    if slash and (head in ROWS or _other_row(head)):
        return (head, rest) if rest else None
    for prefix, provider in PREFIXES:
        if model.startswith(prefix):
            is_there = on_google and (provider == "gemini" or "@" in model)
            found = "vertex_ai" if is_there else provider
            return (found, model) if found else None
    return ("bedrock", model) if _BEDROCK_ID.match(model) else None
