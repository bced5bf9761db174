"""
OpenAI's chat completions: the request, which is sent field by field, and the codec.

The client already uses this API. `response` has the way back.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from msgspec import Struct, field

from ...schema.request import ChatRequest
from ...schema.validation import reject_extensions
from ...wire import json
from ...wire.http import WireRequest
from ...wire.sse import SSEFramer
from ..base import Codec, Target
from ..fields import DEFAULTS, UnsupportedFields
from .history import MessageRules, fit_messages, fit_tools
from .response import ChatDecoder, decode
from .rules import FAMILY_DEFAULTS, MESSAGES, Family, fixed_fields


class Quirks(Struct, frozen=True):
    """
    How one vendor's API differs from OpenAI's.

    `drop` are the fields that it does not support, `rename` those with another name there,
    `default` those that it requires, with the value to send if the client has none. `path` is its
    endpoint. `messages` are its rules for messages, `families` the models that reject more fields.
    An `extensible` vendor has parts, tools and values of its own; they are sent unchanged.
    """

    vendor: str = "openai"
    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=dict)
    default: Mapping[str, Any] = field(default_factory=dict)
    path: str = "/chat/completions"
    messages: MessageRules = MESSAGES
    families: tuple[Family, ...] = ()
    extensible: bool = False


# Dropped silently: they never change a response, only its accounting, its cache, or
# (`stream_options`) what the gateway asks for anyway.
HINTS = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "stream_options",
        "user",
    }
)

_DEFAULTS = {
    **DEFAULTS,
    **FAMILY_DEFAULTS,
    "function_call": ("auto",),
    "parallel_tool_calls": (True, False),  # `False` is kept, see `WireRequest.one_call`
    "service_tier": ("auto",),
    "tool_choice": ("auto",),
    "tools": ([],),
}


def encode(
    quirks: Quirks,
    request: ChatRequest,
    target: Target,
    stream: bool,  # noqa: FBT001
    *,
    kind: str = "",
) -> WireRequest:
    """
    The client's own body, with the provider's model name and the vendor's quirks.

    `kind` is the model if the name that the provider knows it by does not show it.
    """
    if request.extensions and not quirks.extensible:
        reject_extensions(request)
    body = {**quirks.default, **request.body, "model": target.model}
    options = body.pop("stream_options", None) or {}
    if stream:
        body["stream"] = True
        if "stream_options" not in quirks.drop:
            body["stream_options"] = {**options, "include_usage": True}
    unsupported = UnsupportedFields(target, quirks.vendor)
    absent = quirks.drop
    if quirks.families:
        absent |= fixed_fields(quirks.families, kind or target.model, request.reasoning_effort)
    one_call = "parallel_tool_calls" in absent and request.parallel_tool_calls is False
    if not absent.isdisjoint(request.body):
        _drop(absent & request.body.keys(), body, unsupported)
    for name, theirs in quirks.rename.items():
        if (value := body.pop(name, None)) is not None and body.get(theirs) is None:
            body[theirs] = value
    body["messages"] = fit_messages(body["messages"], quirks.messages, unsupported)
    if tools := body.get("tools"):
        body["tools"] = fit_tools(tools, quirks.messages, unsupported)
    if "cache_control" in body and "cache_control" not in quirks.messages.fields:
        del body["cache_control"]  # Anthropic's hint
        unsupported.note("cache_control")
    return WireRequest(
        quirks.path, json.encode(body), dropped=unsupported.dropped, one_call=one_call
    )


def _drop(
    names: frozenset[str] | set[str], body: dict[str, Any], unsupported: UnsupportedFields
) -> None:
    """Remove `names` from our own `body`; one that asks for something is rejected, or noted."""
    for name in sorted(names - HINTS):
        value = body.pop(name)
        if value is not None and value not in _DEFAULTS.get(name, ()):
            unsupported.add(name)
    for name in names & HINTS:
        body.pop(name, None)


def plain_codec(quirks: Quirks) -> Codec:
    """The codec of a vendor whose responses are exactly OpenAI's."""
    return Codec(partial(encode, quirks), decode, SSEFramer, ChatDecoder)
