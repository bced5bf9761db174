"""
A chat completion's request as Converse's, field for field.

Every field that OpenAI documents is translated here, is known to ask for nothing, or is refused
by name. Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
and, newer than it, the service's model in botocore.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ....errors import RequestError
from ....schema.request import ChatRequest
from ....wire import json
from ....wire.http import WireRequest
from ...base import Losses, Target, refuse_unknown
from ..models import find_model
from .messages import MESSAGE_FIELDS, encode_conversation, has_tool_blocks
from .settings import EXTRA, encode_settings
from .tools import encode_tools

# Converse's own fields, for callers who send them in `extra_body` as they do to LiteLLM: they are
# laid over what is made of the others.
NATIVE = (EXTRA, "guardrailConfig", "performanceConfig", "requestMetadata")

KNOWN = frozenset(
    {
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "thinking",  # LiteLLM's, passed on to Claude as it is
        "metadata",
        "service_tier",
        *NATIVE,
    }
)
# Who asks, and hints to a cache: no answer depends on them.
MEANINGLESS = frozenset({"user", "safety_identifier", "prompt_cache_key"})
# What a client may send without asking for anything, because it is what happens anyway.
HARMLESS: Mapping[str, object] = {
    "frequency_penalty": 0,
    "functions": [],
    "logit_bias": {},
    "logprobs": False,
    "modalities": ["text"],
    "n": 1,
    "presence_penalty": 0,
    "store": False,
    "top_logprobs": 0,
    "verbosity": "medium",
}


def encode(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The request for `target`'s model; what the wire cannot say is refused, or noted."""
    losses = Losses(target, "Bedrock")
    model = find_model(target)
    idle = {name for name, value in HARMLESS.items() if request.body.get(name) == value}
    refuse_unknown(request, losses, KNOWN | MEANINGLESS | idle, MESSAGE_FIELDS)
    body = encode_conversation(request, losses) | encode_settings(request, model.kind, losses)
    is_called = has_tool_blocks(body["messages"])
    tools, extra = encode_tools(request, model.kind, losses, is_called=is_called)
    if tools:
        body["toolConfig"] = tools
    if extra:
        body[EXTRA] = {**body.get(EXTRA, {}), **extra}
    for name in NATIVE:
        if given := request.body.get(name):
            body[name] = {**body.get(name, {}), **_checked(given, name)}
    # An id may be an ARN, whose colons and slashes are no parts of a path.
    path = f"/model/{quote(model.id, safe='')}/converse{'-stream' if stream else ''}"
    return WireRequest(path, json.encode(body), dropped=losses.dropped)


def _checked(given: Any, name: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise RequestError(f"`{name}` is not a JSON object", name)
    return given
