"""What a row of an OpenAI-compatible provider has, and the provider that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from ..wire.sse import SSEFramer
from .base import (
    TEMPLATE_SETTINGS,
    Billing,
    Codec,
    PromptCache,
    Provider,
    Rename,
    StreamDecoder,
    Target,
)
from .fields import VENDORS_FIELDS, SchemaForm
from .openai.chat import encode
from .openai.errors import explain
from .openai.message_rules import MessageRules
from .openai.normalize import decode
from .openai.quirks import Quirks
from .openai.rules import (
    Family,
    ForcedCalls,
    FormatRules,
    PlainFields,
    ThinkingTypes,
)

# These always send a stream's usage, and may reject a request that asks for it.
NO_STREAM_OPTIONS = frozenset({"stream_options"})

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
        "thinking",  # LiteLLM's; those that lack it get an effort
        "top_k",  # not OpenAI's either
        "verbosity",
        "web_search_options",
    }
)
EFFORT = frozenset({"reasoning_effort"})
NO_BUDGET = (ThinkingTypes("", {"enabled": "enabled"}),)
"""All models have `thinking` without a budget."""

THINKING_OFF = {"thinking": {"type": "disabled"}}
ENDPOINT = r"/(?:chat/completions|completions|responses|embeddings|models)"
"""Endpoints with which an address may end, as in examples for curl."""

LOGPROBS = frozenset({"logprobs", "top_logprobs"})


# OpenAI's fields of messages, and nothing of other vendors'.
PLAIN_MESSAGES = MessageRules(frozenset({"name", "refusal"}))


class Row(Struct, frozen=True):
    """
    One OpenAI-compatible vendor. Its quirks are `drop`, `rename`, `default` and `developer`.

    Without `developer`, a message with that role is sent as `system`. `messages` are its other
    rules for messages, `families` the models that reject more fields, `formats` the limits of
    `response_format`. `own` are those of `VENDORS_FIELDS` that it has. An address without a path
    gets `path`; an `endpoint` at its end is removed. `rename_model` turns LiteLLM's name of a model
    into the vendor's. `prompt_cache` is that of all its models. The fields from `values` on are as
    in `Quirks`.
    """

    name: str
    base_url: str
    key: str
    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=dict)
    default: Mapping[str, Any] = field(default_factory=dict)
    developer: bool = False
    messages: MessageRules = PLAIN_MESSAGES
    families: tuple[Family, ...] = ()
    formats: FormatRules | None = None
    key_optional: bool = False
    billing: Billing = "unknown"
    other_keys: tuple[str, ...] = ()
    ignores_unknown: bool = False
    endpoint: str = ENDPOINT
    path: str = "/v1"
    rename_model: Rename | None = None
    own: frozenset[str] = frozenset()
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    forced: tuple[ForcedCalls, ...] = ()
    plain: tuple[PlainFields, ...] = ()
    text_prediction: bool = False
    most: Mapping[str, float] = field(default_factory=dict)
    named_choice: bool = True
    closed: bool = False
    schemas: SchemaForm = "any"
    trace_name: str = ""
    thinking: tuple[ThinkingTypes, ...] = ()
    budgets: bool = False
    prompt_cache: PromptCache | None = None


def make_provider(row: Row) -> Provider:
    """The provider that a row describes."""
    quirks = Quirks(
        row.name,
        row.drop | (VENDORS_FIELDS - row.own),
        row.rename,
        row.default,
        messages=replace(row.messages, developer=row.developer),
        families=row.families,
        formats=row.formats,
        extensible=True,
        values=row.values,
        forced=row.forced,
        plain=row.plain,
        text_prediction=row.text_prediction,
        most=row.most,
        named_choice=row.named_choice,
        closed=row.closed,
        schemas=row.schemas,
        thinking=row.thinking,
        budgets=row.budgets,
    )
    return Provider(
        name=row.name,
        base_url=row.base_url,
        keys=(row.key, *row.other_keys),
        chat=make_codec(quirks),
        explain=explain,
        key_optional=row.key_optional,
        billing=row.billing,
        ignores_unknown=row.ignores_unknown,
        endpoint=row.endpoint,
        path=row.path,
        rename=row.rename_model,
        trace_name=row.trace_name,
        settings=TEMPLATE_SETTINGS,
        prompt_cache=lambda _: row.prompt_cache,
    )


def make_codec(quirks: Quirks) -> Codec:
    """The codec of an OpenAI-compatible vendor with these quirks."""
    return Codec(partial(encode, quirks), decode, SSEFramer, normalizing_decoder)


def normalizing_decoder(target: Target) -> StreamDecoder:
    """The decoder of a stream that is nearly OpenAI's."""
    from .openai.normal_stream import NormalizingDecoder  # imported with the first stream

    return NormalizingDecoder(target)
