"""
A chat completion's request as a Messages request, field by field.

Source: https://platform.claude.com/docs/en/api/messages/create.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from ...schema.request import ChatRequest
from ...wire import json
from ...wire.http import WireRequest
from ..base import Target
from ..field_checks import (
    SHARED_FIELDS,
    SHARED_MESSAGE_FIELDS,
    check_fields,
)
from ..fields import (
    DEFAULTS,
    UnsupportedFields,
)
from .messages import called_names, encode_conversation
from .models import Traits, find_traits
from .rules import FUNCTIONS, MOST_MARKS, MOST_USER_LETTERS, PERSONAL, is_blank
from .settings import encode_settings

PATH = "/v1/messages"

# LiteLLM's users send `thinking` and `cache_control`.
FIELDS = SHARED_FIELDS | {
    "cache_control",
    "parallel_tool_calls",
    "service_tier",
    "thinking",
}
_MESSAGE_FIELDS = SHARED_MESSAGE_FIELDS | {"cache_control", "thinking_blocks"}

# https://platform.claude.com/docs/en/api/service-tiers. OpenAI's `default` is the standard tier
# even if a better one was bought. Its `priority` is a demand, which Anthropic's API cannot express.
SERVICE_TIERS = {"auto": "auto", "default": "standard_only"}


def encode(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The request for `target`'s model. What the API cannot express is rejected, or noted."""
    unsupported = UnsupportedFields(target, "Anthropic")
    body = {"model": target.model, **encode_body(request, target.model, unsupported)}
    if stream:
        body["stream"] = True
    data = write_body(body, unsupported)
    return WireRequest(PATH, data, dropped=unsupported.dropped)


def write_body(body: dict[str, Any], unsupported: UnsupportedFields) -> bytes:
    """Our own `body` as JSON, with no more marks for the cache than the API accepts."""
    data = json.encode(body)
    if data.count(b'"cache_control":') > MOST_MARKS:
        from .cache_marks import limit_marks  # few requests have that many

        limit_marks(body, unsupported)
        data = json.encode(body)
    return data


def encode_body(
    request: ChatRequest,
    model: str,
    unsupported: UnsupportedFields,
    fields: frozenset[str] = FIELDS,
    defaults: Mapping[str, tuple[object, ...]] = DEFAULTS,
) -> dict[str, Any]:
    """The body without the model, which other services with this API have in the URL."""
    request = check_fields(
        request, unsupported, fields, _MESSAGE_FIELDS, names=FUNCTIONS, defaults=defaults
    )
    traits = find_traits(model)
    structured = traits.structured and _fits_schemas(request)
    settings = encode_settings(request, traits, unsupported)
    body = settings | encode_conversation(
        request, unsupported, structured=structured, prefill=traits.prefill
    )
    if request.tools or request.tool_choice is not None:
        body |= _tool_encoder()(request, traits, unsupported)
    if "tools" not in body and (called := called_names(body["messages"])):
        from .tools import declare  # an odd request: it offers none of the tools that were called

        unsupported.note("tools")
        body |= declare(called)
    if stops := encode_stops(request, unsupported):
        body["stop_sequences"] = stops
    if request.response_format is not None and (
        schema := _format_encoder()(request, unsupported, structured)
    ):
        body["output_config"] = {**body.get("output_config", {}), "format": schema}
    if user := _find_user(request, unsupported):
        body["metadata"] = {"user_id": user}
    if mark := request.body.get("cache_control"):
        body["cache_control"] = mark
    if tier := _encode_tier(request, unsupported):
        body["service_tier"] = tier
    return body


@cache
def _tool_encoder() -> Callable[[ChatRequest, Traits, UnsupportedFields], dict[str, Any]]:
    from .tools import encode_tools  # only requests with tools need it

    return encode_tools


@cache
def _format_encoder() -> Callable[[ChatRequest, UnsupportedFields, bool], dict[str, Any]]:
    from .schemas import encode_format  # only requests with a response format need it

    return encode_format


def _fits_schemas(request: ChatRequest) -> bool:
    """Whether the API accepts the schema of the response format, if there is one."""
    if request.response_format is None:
        return True
    from ..schemas import can_take  # only requests with a response format need it
    from .schemas import SCHEMAS

    return can_take(request, SCHEMAS)


def encode_stops(request: ChatRequest, unsupported: UnsupportedFields) -> list[str]:
    """The stop sequences that are not blank. An empty one stops nothing."""
    stops = [stop for stop in request.stops if not is_blank(stop)]
    if len(stops) < len([stop for stop in request.stops if stop]):
        unsupported.add("stop", "a sequence must be more than white space")
    return stops


def _find_user(request: ChatRequest, unsupported: UnsupportedFields) -> str | None:
    """The client's user, under any of its names; there is no field for other metadata."""
    metadata = request.metadata or {}
    if metadata.keys() - {"user_id"}:
        unsupported.note("metadata")
    user = metadata.get("user_id") or request.safety_identifier or request.user
    return _hide_person(str(user), unsupported) if user else None


def _hide_person(user: str, unsupported: UnsupportedFields) -> str:
    """`user`, or its hash if it is an e-mail address or a telephone number, or too long."""
    if len(user) <= MOST_USER_LETTERS and not PERSONAL.fullmatch(user):
        return user
    unsupported.note("user")
    return hashlib.sha256(user.encode(errors="surrogatepass")).hexdigest()


def _encode_tier(request: ChatRequest, unsupported: UnsupportedFields) -> str | None:
    if request.service_tier is None:
        return None
    if request.service_tier not in SERVICE_TIERS:
        unsupported.add("service_tier", f"it has {' and '.join(SERVICE_TIERS)}")
    return SERVICE_TIERS.get(request.service_tier)
