"""How one vendor's API differs from OpenAI's, and the values of fields that ask for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from ..fields import DEFAULTS, SchemaForm
from .message_rules import MESSAGES, MessageRules
from .rules import (
    FAMILY_DEFAULTS,
    Family,
    ForcedCalls,
    FormatRules,
    PlainFields,
    ThinkingTypes,
    ToolEffort,
)


class Quirks(Struct, frozen=True):
    """
    How one vendor's API differs from OpenAI's.

    `drop` are the fields that it does not support, `rename` those with another name there,
    `default` those that it requires, with the value to send if the client has none. `path` is its
    endpoint. `messages` are its rules for messages, `families` the models that reject more fields,
    `tool_efforts` those that do not reason in a request with tools. `formats` are the limits of
    `response_format`; `schemas` says which form a function's schema has. An `extensible` vendor has
    parts, tools and values of its own; they are sent unchanged. `values` are the only values of
    some fields, `most` the largest numbers of others, `forced` the models that cannot be forced to
    call a tool while they think, `plain` what calls without a stream must have. With
    `text_prediction`, the content of `prediction` is one text. Without `named_choice`, a call of
    any tool can be required, but not of a named one. A `closed` vendor also rejects fields that ask
    for nothing. `thinking` are the models with other values of that field, or without a
    budget in it; without `budgets`, none of the others takes one. With
    `stored_metadata`, `metadata` is only for a response that the vendor stores.
    """

    vendor: str = "openai"
    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=dict)
    default: Mapping[str, Any] = field(default_factory=dict)
    path: str = "/chat/completions"
    messages: MessageRules = MESSAGES
    families: tuple[Family, ...] = ()
    tool_efforts: tuple[ToolEffort, ...] = ()
    formats: FormatRules | None = None
    schemas: SchemaForm = "any"
    extensible: bool = False
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    forced: tuple[ForcedCalls, ...] = ()
    plain: tuple[PlainFields, ...] = ()
    text_prediction: bool = False
    most: Mapping[str, float] = field(default_factory=dict)
    named_choice: bool = True
    closed: bool = False
    thinking: tuple[ThinkingTypes, ...] = ()
    budgets: bool = True
    stored_metadata: bool = False


# Dropped silently: they never change a response, only its accounting, its cache, or
# (`stream_options`) what the gateway asks for anyway.
HINTS = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
        "stream_options",
        "user",
    }
)


DEFAULT_VALUES: Mapping[str, tuple[object, ...]] = {
    **DEFAULTS,
    **FAMILY_DEFAULTS,
    "function_call": ("auto",),
    "parallel_tool_calls": (True, False),  # `False` is kept, see `WireRequest.one_call`
    "service_tier": ("auto", "default"),
    "tool_choice": ("auto",),
    "tools": ([],),
}
"""Values that ask for nothing: a field that has one is left out where it is not supported."""


CLOSED_DEFAULTS: Mapping[str, tuple[object, ...]] = {
    **DEFAULTS,
    "service_tier": ("auto", "default"),
}
"""Those of them that also every other vendor has as its default."""
