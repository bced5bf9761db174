"""
Whether a request can be passed through to a vendor with this API, and what it is then.

Anthropic's API rejects what other vendors' models left in a conversation. Their thinking and their
ids are left out or replaced (`foreign_blocks.py`). With their names of calls, the same id twice or
an empty response, the request is translated. So is one for thinking with a budget in a turn that
another vendor's model has begun.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import RequestError
from ...schema.pass_through import DefaultField, OriginalRequest
from ..base import RequestBody
from ..original_bytes import members_or_none
from .foreign_blocks import LEFT_OUT, without_foreign
from .tools import is_vendors

API = "messages"
HEADERS = ("anthropic-beta", "anthropic-version")

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_QUERY = re.compile(r"[\w.~%=&+,:-]*", re.ASCII)
MOST_LETTERS = 128
"""Of a tool's name: https://platform.claude.com/docs/en/api/messages/create, 2026-11."""


def _tools(value: Any) -> Any:
    """Tools as they are here, else `None`: Converse has them in another form."""
    has_names = isinstance(value, list) and all("name" in tool for tool in value)
    return value if has_names else None


def _tool_choice(value: Any) -> Any:
    """The same of the choice of a tool."""
    return value if isinstance(value, dict) and "type" in value else None


def _name(value: Any) -> Any:
    """The same of a name."""
    return value if isinstance(value, str) else None


_CHOICE = DefaultField(("tool_choice",), convert=_tool_choice)
_THINKING = DefaultField(("thinking", "output_config.effort"))
DEFAULTS = {
    "parallel_tool_calls": _CHOICE,
    "reasoning_effort": _THINKING,
    "response_format": DefaultField(("output_config.format",)),
    "service_tier": DefaultField(("service_tier",), convert=_name),
    "stop": DefaultField(("stop_sequences",)),
    "temperature": DefaultField(("temperature",)),
    "thinking": _THINKING,
    "tool_choice": _CHOICE,
    "tools": DefaultField(("tools",), convert=_tools),
    "top_k": DefaultField(("top_k",)),
    "top_p": DefaultField(("top_p",)),
    "user": DefaultField(("metadata.user_id",)),
}
"""Where the API has the parameters that a config may set for all requests."""

_SAMPLING = frozenset({"temperature", "top_k", "top_p"})
WITHOUT_SAMPLING = "2026-10-21"
"""The first version of the API that rejects them: platform.claude.com/docs/en/api/versioning."""

SAFE = frozenset(
    {
        "cache_control",
        "context_management",
        "inference_geo",
        "max_tokens",
        "messages",
        "metadata",
        "output_config",
        "output_format",
        "service_tier",
        "speed",
        "stop_sequences",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
"""Fields that choose no other model: Anthropic's SDK for Python 2.14, 2026-11."""


def original_of(
    body: RequestBody,
    own: frozenset[str],
    error: RequestError | None = None,
    threaded: RequestError | None = None,
) -> OriginalRequest | None:
    """
    The client's request as it is; `None` if no vendor with this API would accept it.

    `own` are the gateway's own fields. `error` is why it cannot be translated, `threaded` the error
    if no vendor that may get it keeps its thread. The value may have any form.
    """
    value = body.value
    given = _listed(value.get("messages"))
    if not all(map(_is_portable, _blocks(given))):
        return None
    members = members_or_none(body.data)
    if members is None:
        return None
    members, messages = without_foreign(members, given)
    if members is None or not _has_turns(messages):
        return None
    if _lacks_thinking(value.get("thinking"), messages):
        return None
    return OriginalRequest(
        API,
        members,
        {name: body.headers[name] for name in HEADERS if name in body.headers},
        tuple(sorted(own & value.keys() - {"model", "stream"})),
        (*sorted(value.keys() - SAFE - own), *_vendors_tools(value)),
        error,
        defaults=_defaults(body.headers),
        is_bound=threaded is not None,
        needs_keeper=threaded,
        query=body.query if _QUERY.fullmatch(body.query) else "",
        left_out=(LEFT_OUT,) if len([*_blocks(messages)]) < len([*_blocks(given)]) else (),
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _defaults(headers: Mapping[str, str]) -> Mapping[str, DefaultField]:
    if headers.get("anthropic-version", "") < WITHOUT_SAMPLING:
        return DEFAULTS
    return {name: DEFAULTS[name] for name in DEFAULTS.keys() - _SAMPLING}


def _blocks(messages: list[Any]) -> Iterator[Mapping[str, Any]]:
    """The blocks of all messages."""
    for message in messages:
        content = _listed(message.get("content")) if isinstance(message, dict) else []
        yield from (block for block in content if isinstance(block, dict))


def _has_turns(messages: list[Any]) -> bool:
    """Whether each turn of the model has content, and no two of its calls have one id."""
    turns = [one.get("content") for one in messages if _role(one) == "assistant"]
    ids = [block.get("id") for block in _blocks(messages) if block.get("type") == "tool_use"]
    texts = [one for one in ids if isinstance(one, str)]
    return all(turns) and len(set(texts)) == len(texts)


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, dict) else None


def _is_portable(block: Mapping[str, Any]) -> bool:
    match block:
        case {"type": "tool_use", "name": str(name)}:
            return _NAME.fullmatch(name) is not None and len(name) <= MOST_LETTERS
        case _:
            return True


def _lacks_thinking(thinking: object, messages: list[Any]) -> bool:
    """
    Whether thinking has a budget, and the assistant's last turn calls a tool without thinking.

    "A final `assistant` message must start with a thinking block": the API's own error, platform.
    claude.com/docs/en/build-with-claude/extended-thinking, "Common error scenarios", 2026-11.
    """
    if not isinstance(thinking, dict) or thinking.get("type") != "enabled":
        return False
    responses: list[set[str]] = []
    for message in reversed(messages):
        kinds = {kind for one in _blocks([message]) if isinstance(kind := one.get("type"), str)}
        if _role(message) == "assistant":
            responses.append(kinds)
        elif responses and _role(message) == "user" and "tool_result" not in kinds:
            break
    if not responses or "tool_use" not in responses[0]:
        return False
    return not responses[-1] & {"thinking", "redacted_thinking"}


def _vendors_tools(value: Mapping[str, Any]) -> Iterator[str]:
    for index, tool in enumerate(_listed(value.get("tools"))):
        if is_vendors(tool):
            yield f"tools[{index}].type"
