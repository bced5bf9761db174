"""
A Messages request as the body of a chat request, field by field.

Unknown fields are no error: they are left out and named, because clients send new ones before
gateways know them. Source: https://platform.claude.com/docs/en/api/messages/create, 2026-11.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from ...errors import RequestError
from ...schema.extensions import EFFORTS
from ...schema.gateway_fields import GATEWAY_FIELDS
from .dropped_fields import DroppedFields
from .history import chat_messages
from .tools import chat_tools

MOST_USER_LETTERS = 64
"""Letters of `user` that OpenAI accepts; a longer id is sent as its hash."""

_SAME = ("cache_control", "max_tokens", "temperature", "top_k", "top_p")

OWN = GATEWAY_FIELDS - {"stream_options"}
"""The gateway's own fields, which are those of chat completions."""

_READ = frozenset(
    {
        "messages",
        "metadata",
        "output_config",
        "output_format",
        "service_tier",
        "stop_sequences",
        "system",
        "thinking",
        "tool_choice",
        "tools",
        *_SAME,
    }
)

DEFAULT_EFFORT = "medium"
"""The effort of adaptive thinking without one: that of OpenAI's models."""


VENDORS_FALLBACKS = "server-side-fallback"
"""
The beta with which `fallbacks` is a field of Anthropic's: `BetaFallbackParam` in its SDK, 2026-11.
"""


def own_fields(headers: Mapping[str, str]) -> frozenset[str]:
    """The gateway's fields in a request with these headers."""
    is_vendors = VENDORS_FALLBACKS in headers.get("anthropic-beta", "")
    return OWN - {"fallbacks"} if is_vendors else OWN


_NEEDED = ("container", "mcp_servers")
"""Fields with files, skills or servers that the conversation is about."""


class ChatBody(NamedTuple):
    """The body of a chat request, and where its messages and its tools are in the client's."""

    fields: dict[str, Any]
    paths: list[str]
    numbers: Sequence[tuple[int, ...]] = ()
    results: Mapping[str, tuple[int, ...]] = MappingProxyType({})
    tool_paths: tuple[str, ...] = ()


def chat_body(
    body: Mapping[str, Any], dropped: DroppedFields, own: frozenset[str] = OWN
) -> ChatBody:
    """
    The body of the chat request; raises `RequestError` with the path of a wrong field.

    `own` are the gateway's own fields, which are those of a chat request.
    """
    if body.get("max_tokens") is None:
        raise RequestError("`max_tokens` is missing", "max_tokens", "missing_required_parameter")
    _check_kind(body, dropped)
    chat, history = _own_body(body, own), chat_messages(body, dropped)
    tools, tool_paths = chat_tools(body, dropped)
    chat |= {"messages": history.messages, **tools}
    chat |= {name: body[name] for name in _SAME if body.get(name) is not None}
    if (stops := body.get("stop_sequences")) is not None:
        if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
            raise RequestError("`stop_sequences` must be a list of strings", "stop_sequences")
        chat |= {"stop": stops} if stops else {}
    chat |= _thinking(body, dropped)
    chat |= _format(body)
    if user := _user(body.get("metadata"), dropped):
        chat["user"] = user
    if body.get("service_tier") == "standard_only":
        chat["service_tier"] = "default"
    for name in body.keys() - _READ - own:
        if body[name] is not None:
            dropped.add(name)
    return ChatBody(chat, history.paths, history.numbers, history.results, tool_paths)


def stand_in(body: Mapping[str, Any], own: frozenset[str]) -> ChatBody:
    """What takes the place of a translation where there is none: only the gateway reads it."""
    text = {"role": "user", "content": "The request is passed through."}
    tokens = body.get("max_tokens")
    limit = {"max_tokens": tokens} if type(tokens) is int and tokens > 0 else {}
    return ChatBody({**_own_body(body, own), **limit, "messages": [text]}, ["messages"])


def _own_body(body: Mapping[str, Any], own: frozenset[str]) -> dict[str, Any]:
    """The gateway's own fields in a chat request."""
    chat = {name: body[name] for name in own if name in body}
    if chat.get("stream"):
        chat["stream_options"] = {"include_usage": True}
    # A field that a model does not take is named in the response, and does not end an agent's work.
    chat.setdefault("drop_params", True)
    return chat


def _check_kind(body: Mapping[str, Any], dropped: DroppedFields) -> None:
    """Reject what asks for another response than the next message, or is about other things."""
    if body.get("compaction") is not None:
        raise RequestError(
            "`compaction` is only for models with Anthropic's API: ask for a summary in `messages`",
            "compaction",
            "unsupported_parameter",
        )
    for name in _NEEDED:
        if body.get(name):
            dropped.add_needed(name, name)


def _object(given: Any, name: str) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise RequestError(f"`{name}` must be an object", name)
    return given


def _thinking(body: Mapping[str, Any], dropped: DroppedFields) -> dict[str, Any]:
    """
    `thinking` with a budget, or `reasoning_effort`.

    Adaptive thinking leaves it to the model how much it thinks: in a chat request, the effort does.
    """
    thinking = _object(body.get("thinking"), "thinking")
    config = _object(body.get("output_config"), "output_config")
    for name in config.keys() - {"effort", "format"}:
        dropped.add(f"output_config.{name}")
    kind, effort = thinking.get("type"), config.get("effort")
    if effort is not None and not (isinstance(effort, str) and effort in EFFORTS):
        names = ", ".join(f"`{one}`" for one in sorted(EFFORTS))
        place = "output_config.effort"
        raise RequestError(f"`{place}` must be one of {names}", place, "invalid_value")
    if kind == "disabled":
        return {"thinking": {"type": kind}}
    if kind == "adaptive":
        return {"reasoning_effort": DEFAULT_EFFORT if effort is None else effort}
    if kind == "enabled":
        return {"thinking": thinking}
    if thinking:
        dropped.add("thinking")
    return {} if effort is None else {"reasoning_effort": effort}


def _format(body: Mapping[str, Any]) -> dict[str, Any]:
    """`response_format`."""
    config = _object(body.get("output_config"), "output_config")
    place = "output_config.format"
    form = _object(config.get("format") or body.get("output_format"), place)
    if not form:
        return {}
    if form.get("type") != "json_schema" or not isinstance(form.get("schema"), dict):
        raise RequestError(f"`{place}` must be a `json_schema` with its `schema`", place)
    schema = {"name": "response", "schema": form["schema"], "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _user(given: Any, dropped: DroppedFields) -> str | None:
    """The client's user; one that is too long for most vendors is sent as its hash."""
    metadata = _object(given, "metadata")
    for name in metadata.keys() - {"user_id"}:
        dropped.add(f"metadata.{name}")
    user = metadata.get("user_id")
    if not isinstance(user, str) or len(user) <= MOST_USER_LETTERS:
        return user if isinstance(user, str) else None
    return hashlib.sha256(user.encode(errors="surrogatepass")).hexdigest()
