"""
The types of keys, and LiteLLM's `allowed_routes`, of which some are what a type may do. Pure.

Source: litellm 1.110.2, `LiteLLMRoutes`, `RouteChecks.non_proxy_admin_allowed_routes_check`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import RequestError

LLM_API, MANAGEMENT, READ_ONLY = "llm_api", "management", "read_only"
"""The types of keys that call models, manage keys, or only read about all keys."""

INFO = "info"
"""The type of keys that only read about themselves, their team and their user."""

TYPES = (LLM_API, MANAGEMENT, READ_ONLY, INFO)

CALLS = frozenset({"llm_api_routes", "llm_api_routes_without_mcp"})
"""The groups of `allowed_routes` that call models; Fanout has no MCP."""

READS = frozenset({"info_routes", "management_routes"})
"""
The groups in which a key reads about itself, its team and its user.

Which others it reads about or manages depends on its user's role in LiteLLM, so here it gets none.
"""

OF_TYPES = {MANAGEMENT: {"management_routes"}, READ_ONLY: {"info_routes"}}
"""The groups that LiteLLM gives to a key of these types."""


def with_key_type(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    The fields of a key with a `key_type` instead of `allowed_routes`.

    Raises `RequestError` for routes that no type has, or another type than the request's.
    """
    given, kind = body.get("allowed_routes"), body.get("key_type") or None
    if not given:
        return body
    found = None
    if isinstance(given, list) and all(isinstance(one, str) for one in given):
        routes = frozenset(given)
        found = LLM_API if routes <= CALLS else INFO if routes <= READS else None
        if kind in OF_TYPES and routes <= OF_TYPES[kind]:
            found = kind
    if found is None or kind not in (None, found):
        raise RequestError(
            '`allowed_routes` may be `["llm_api_routes"]`, or `["info_routes"]` or'
            ' `["management_routes"]` for a key that reads about itself: use `key_type` instead',
            "allowed_routes",
        )
    rest = {name: value for name, value in body.items() if name != "allowed_routes"}
    return {**rest, "key_type": found}
