"""
A chat completion's request as Converse's, field by field.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and, newer
than it, the service's model in botocore.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from ....errors import RequestError
from ....schema.request import ChatRequest
from ....wire import json
from ....wire.http import WireRequest
from ...base import Target
from ...field_checks import (
    SHARED_FIELDS,
    SHARED_MESSAGE_FIELDS,
    check_fields,
)
from ...fields import UnsupportedFields, is_text
from ..models import find_model, has_media_results, is_claude, streams_tools
from ..rules import FUNCTIONS
from .cache_points import limit_points
from .messages import called_names, encode_conversation
from .settings import EXTRA, encode_settings
from .tools import encode_tools

# Converse's own fields, for clients that send them in `extra_body`, as LiteLLM's users do. They
# are merged into what is made of the other fields, and win.
NATIVE = (EXTRA, "guardrailConfig", "performanceConfig", "requestMetadata")

_FIELDS = SHARED_FIELDS | {
    "parallel_tool_calls",
    "service_tier",
    "thinking",  # LiteLLM's; Claude gets it unchanged
    *NATIVE,
}
_MESSAGE_FIELDS = SHARED_MESSAGE_FIELDS | {"cache_control", "thinking_blocks"}


def encode(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The request for `target`'s model. What the API cannot express is rejected, or noted."""
    unsupported = UnsupportedFields(target, "Bedrock")
    model = find_model(target)
    request = check_fields(
        request,
        unsupported,
        _FIELDS,
        _MESSAGE_FIELDS,
        names=FUNCTIONS,
        in_results=None if has_media_results(model.kind) else is_text,
    )
    body = encode_conversation(request, model.kind, unsupported) | encode_settings(
        request, model.kind, unsupported
    )
    called = called_names(body["messages"])
    tools, extra = encode_tools(request, model.kind, unsupported, called)
    if tools:
        body["toolConfig"] = tools
    limit_points(body, unsupported)
    if extra:
        body[EXTRA] = {**body.get(EXTRA, {}), **extra}
    for name in NATIVE:
        if given := request.body.get(name):
            body[name] = {**body.get(name, {}), **_checked(given, name)}
    # The whole response of such a model becomes the stream.
    stream = stream and (not tools or streams_tools(model.kind))
    # An id may be an ARN, whose colons and slashes must not separate parts of the path.
    path = f"/model/{quote(model.id, safe='')}/converse{'-stream' if stream else ''}"
    return WireRequest(
        path,
        json.encode(body),
        dropped=unsupported.dropped,
        one_call=request.parallel_tool_calls is False and not is_claude(model.kind),
    )


def _checked(given: Any, name: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise RequestError(f"`{name}` is not a JSON object", name)
    return given
