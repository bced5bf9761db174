"""
Whether a request can be passed through to a vendor with this API, and what it is then.

What only the maker of an earlier response can read is not sent to another. Fanout's own reasoning
is left out (`foreign_items.py`); if a vendor with this API may know what it holds, the request is
translated, unless that loses anything. One with a vendor's encrypted reasoning also has its members
without that, for a request that more than one account may get. A reference to stored reasoning is
treated alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...errors import RequestError
from ...schema.fanout import FanOutRequest
from ...schema.gateway_fields import GATEWAY_FIELDS
from ...schema.pass_through import LEFT_OUT_REASONING, DefaultField, OriginalRequest
from ...wire import json
from ...wire.json_members import Members
from ..base import RequestBody
from ..original_bytes import members_or_none
from .foreign_items import may_be_read, without_foreign
from .reasoning import is_plain, is_reference

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
"""OpenAI's own error: "string does not match pattern", 2026-11."""

API = "responses"
HEADERS = ("openai-beta",)

OWN = GATEWAY_FIELDS - {"model", "stream", "stream_options"}
"""The gateway's own fields."""


def _flat_tools(tools: Any) -> Any:
    """Tools as they are here; in a chat request, `strict` is false if it is not set."""
    return [
        {"strict": False, **_flat_choice(tool)} if "function" in tool else tool for tool in tools
    ]


def _flat_choice(value: Any) -> Any:
    """A tool, or the choice of one, without the object `function` of a chat request."""
    inner = value.get("function") if isinstance(value, dict) else None
    return {"type": "function", **inner} if isinstance(inner, dict) else value


def _flat_format(value: Any) -> Any:
    """A response format without the object `json_schema` of a chat request."""
    inner = value.get("json_schema") if isinstance(value, dict) else None
    return {"type": "json_schema", **inner} if isinstance(inner, dict) else value


_LIMIT = DefaultField(("max_output_tokens",), ("max_completion_tokens", "max_tokens"))
_EFFORT = DefaultField(("reasoning.effort",), ("reasoning_effort",))
_SAME = (
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "top_p",
    "user",
)
DEFAULTS = {
    **{name: DefaultField((name,)) for name in _SAME},
    "max_completion_tokens": _LIMIT,
    "max_tokens": _LIMIT,
    "reasoning_effort": _EFFORT,
    "response_format": DefaultField(("text.format",), ("response_format",), _flat_format),
    "thinking": _EFFORT,
    "tool_choice": DefaultField(("tool_choice",), convert=_flat_choice),
    "tools": DefaultField(("tools",), convert=_flat_tools),
    "verbosity": DefaultField(("text.verbosity",), ("verbosity",)),
}
"""Where the API has the parameters that a config may set for all requests."""

SAFE = frozenset(
    {
        "client_metadata",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)
"""Fields that choose no other model: openai-python 3.54.0, 2026-11."""

SAFE_TOOLS = frozenset(
    {
        "apply_patch",
        "custom",
        "function",
        "local_shell",
        "namespace",
        "shell",
        "tool_search",
        "web_search",
        "web_search_preview",
    }
)
"""The same of tools: `image_generation` names a model, and `mcp` a server."""


def original_of(
    body: RequestBody, request: FanOutRequest, error: RequestError | None, *, is_whole: bool
) -> OriginalRequest | None:
    """
    The client's request as it is; `None` if no vendor with this API should get it.

    `error` is why it cannot be translated; `is_whole` says whether its translation loses nothing.
    """
    value = body.value
    if request.check is not None or _is_changed(value):
        return None
    given = _items(value)
    if not all(map(_is_portable, given)):
        return None
    if is_whole and error is None and any(map(may_be_read, given)):
        return None
    members = members_or_none(body.data)
    if members is None:
        return None
    members, items = without_foreign(members, given, is_stored=value.get("store") is not False)
    if members is None:
        return None
    return OriginalRequest(
        API,
        members,
        {name: body.headers[name] for name in HEADERS if name in body.headers},
        tuple(sorted(OWN & value.keys())),
        (*sorted(value.keys() - SAFE - OWN), *_vendors_tools(value)),
        error,
        DEFAULTS,
        is_bound=any(_is_bound(item) or is_plain(item) for item in items),
        unbound=_unbound(members, items),
        left_out=(LEFT_OUT_REASONING,) if len(items) < len(given) else (),
        has_plain_reasoning=any(map(is_plain, items)),
    )


def _is_changed(value: Mapping[str, Any]) -> bool:
    """Whether the gateway adds a schema to the request, or fields of an SDK's `extra_body`."""
    fanout = value.get("fanout")
    adds_schema = isinstance(fanout, dict) and fanout.get("schema") is not None
    return adds_schema or "extra_body" in value


def _items(value: Mapping[str, Any]) -> list[Any]:
    given = value.get("input")
    return given if isinstance(given, list) else []


def _is_bound(item: Mapping[str, Any]) -> bool:
    """Whether only one account can read an item, or find what it refers to."""
    return bool(item.get("encrypted_content")) or is_reference(item)


def _unbound(members: Members, items: list[Any]) -> Members | None:
    """The members without bound reasoning; the same ones if none is, `None` if more is bound."""
    bound = [item for item in items if _is_bound(item)]
    if not bound:
        return members
    if not all(item.get("type") == "reasoning" or is_reference(item) for item in bound):
        return None
    kept = [item for item in items if not _is_bound(item)]
    return members_or_none(members.changed({"input": json.encode(kept)}))


def _is_portable(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    if item.get("type") != "function_call":
        return True
    return _NAME.fullmatch(str(item.get("name"))) is not None and bool(item.get("call_id"))


def _vendors_tools(value: Mapping[str, Any]) -> list[str]:
    tools = value.get("tools")
    return [
        f"tools[{index}].type"
        for index, tool in enumerate(tools if isinstance(tools, list) else ())
        if isinstance(tool, dict) and str(tool.get("type")) not in SAFE_TOOLS
    ]
