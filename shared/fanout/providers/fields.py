"""
The fields of a request that a provider does not support: rejected, left out or adapted, and noted.

Knows no provider. Each codec lists the fields that it reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import Unsupported
from ..schema.chat import Object
from ..schema.request import ChatRequest
from ..schema.validation import replace_messages
from .base import Target

KEPT = frozenset(
    {
        "audio",
        "function_call",
        "functions",
        "logprobs",
        "modalities",
        "n",
        "response_format",
        "tool_choice",
        "tools",
        "top_logprobs",
        "web_search_options",
    }
)
"""
The fields that `drop_params` never drops: without them, the response would not be what is asked.

It also drops no content and no calls of messages. Sampling, effort and the like are dropped.
"""

_IN_MESSAGES = re.compile(r"messages\[\d+\]\.(?:audio|content|tool_calls)\b")
_DETAILS = (".detail", ".strict")  # how closely to look, and to keep to a schema

_ADVICE = "Leave it out, or set `drop_params: true` in the config."
_KEPT_ADVICE = (
    "Leave it out, or call a model that takes it; `drop_params` does not drop it, because the "
    "response would not be what is asked."
)


def is_kept(param: str) -> bool:
    """Whether `drop_params` does not drop the field at this path."""
    if param.endswith(_DETAILS):
        return False
    return param.partition("[")[0].partition(".")[0] in KEPT or bool(_IN_MESSAGES.match(param))


class UnsupportedFields:
    """
    The fields of a request that a provider does not support.

    What the client asked for is rejected, or dropped with `drop_params` unless it is one of `KEPT`.
    What other providers added to earlier messages is adapted in any case. Both are noted for the
    log.
    """

    def __init__(self, target: Target, provider: str) -> None:
        self._target = target
        self._provider = provider
        self._dropped: list[str] = []

    def add(self, param: str, why: str = "", *, kept: bool | None = None) -> None:
        """
        Reject the request with a 400 that names `param`; with `drop_params`, note it instead.

        What is `kept` (by default, as `is_kept` says) is rejected in any case.
        """
        kept = is_kept(param) if kept is None else kept
        if kept or not self._target.drop_params:
            reason = f": {why}" if why else ""
            raise Unsupported(
                f"`{self._target.name}`: {self._provider} does not take `{param}`{reason}. "
                f"{_KEPT_ADVICE if kept else _ADVICE}",
                param,
            )
        self._dropped.append(param)

    def note(self, param: str) -> None:
        """Note what is left out or adapted although nothing that the client asked for is lost."""
        if param not in self._dropped:
            self._dropped.append(param)

    @property
    def dropped(self) -> tuple[str, ...]:
        """For the log: the names of all fields that were left out or adapted."""
        return tuple(self._dropped)


DEFAULTS: Mapping[str, tuple[object, ...]] = {
    "frequency_penalty": (0,),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "parallel_tool_calls": (True,),
    "presence_penalty": (0,),
    "store": (False,),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
}
"""What OpenAI documents as the default of a field. A client that sends it asks for nothing."""

SHARED_FIELDS = frozenset(
    {
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "model",
        "reasoning_effort",
        "response_format",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
        # The client's user, its records, and hints to OpenAI's cache: no response depends on them.
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
        "user",
    }
)
"""The fields that every codec of another API reads or may ignore; each adds its own."""

SHARED_MESSAGE_FIELDS = frozenset(
    {
        "audio",
        "content",
        "reasoning_content",  # our own responses have it, and clients send them back
        "refusal",
        "role",
        "tool_call_id",
        "tool_calls",
    }
)
"""The same for the fields of a message."""

COMBINED = frozenset({"allOf", "anyOf", "oneOf"})
"""The keywords that combine schemas. Some vendors reject them at the top of a function's."""

OPENING = "Begin."
"""The user's first words where a vendor requires some and the assistant begins."""

MADE_FIELDS = frozenset(
    {
        "annotations",
        "cache_control",
        "citations",
        "content_parts",  # ours, for parts that are no text
        "context",  # Azure's, of its own search
        "executed_tools",
        "extra_content",
        "images",
        "provider_specific_fields",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "reasoning_steps",
        "search_results",
        "thinking_blocks",
    }
)
"""
Fields of messages that only some vendors have. They are left out for the others.

Most are of responses, which clients send back with the next turn. None changes what a message says.
"""


def check_fields(
    request: ChatRequest,
    unsupported: UnsupportedFields,
    fields: frozenset[str],
    message_fields: frozenset[str],
    defaults: Mapping[str, tuple[object, ...]] = DEFAULTS,
) -> ChatRequest:
    """
    Account for every field of the request: those that are not listed are unsupported.

    Returns the request, with calls of tools for earlier calls in OpenAI's old form.

    A field that has one of its `defaults` asks for nothing. Messages have no names in the other
    APIs, so `name` is left out. So is any unknown field of an assistant's message, because another
    vendor's response had it.
    """
    for name, value in request.body.items():
        if value is not None and name not in fields and value not in defaults.get(name, ()):
            unsupported.add(name)
    effort = request.body.get("reasoning_effort")
    if "reasoning_effort" in request.extensions and effort != "default":  # Groq's
        unsupported.add("reasoning_effort", "there is no such level")
    request = _without_legacy(request, unsupported, message_fields)
    for index, message in enumerate(request.body["messages"]):
        raw: Object = message
        if not message_fields.issuperset(raw):
            _check_message(raw, f"messages[{index}]", unsupported, message_fields)
        if isinstance(parts := raw.get("content"), list):
            for name in sorted({n for part in parts for n in part} & MADE_FIELDS - message_fields):
                unsupported.note(f"messages[].content[].{name}")
    return request


def _without_legacy(
    request: ChatRequest, unsupported: UnsupportedFields, known: frozenset[str]
) -> ChatRequest:
    messages = request.body["messages"]
    if all(known.issuperset(message) for message in messages):
        return request  # a result in the old form has a name
    from .legacy_calls import as_tool_calls, is_legacy  # only old conversations need it

    if not any(is_legacy(message) for message in messages):
        return request
    unsupported.note("messages[].function_call")
    return replace_messages(request, {**request.body, "messages": as_tool_calls(messages)})


def _check_message(
    raw: Object, path: str, unsupported: UnsupportedFields, known: frozenset[str]
) -> None:
    for name in sorted(raw.keys() - known):
        value = raw[name]
        if value is None or value == []:
            continue
        if name == "name":
            # A tool's name only repeats its call's.
            if value and raw["role"] != "tool":
                unsupported.note("messages[].name")
        elif name in MADE_FIELDS or raw["role"] == "assistant":
            unsupported.note(f"messages[].{name}")
        else:
            unsupported.add(f"{path}.{name}")
