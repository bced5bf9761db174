"""
Fits a request that says itself which parameters its provider has.

LiteLLM's `additional_drop_params` are left out. Its `allowed_openai_params` are sent although
Fanout does not know that the provider has them. Loaded with the first request that has either, of
its own or from its deployment. Source: docs.litellm.ai/docs/completion/drop_params, 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from ..config.deployment import Deployment
from ..errors import RequestError, Unsupported
from ..schema.request import ChatRequest
from ..schema.validation import check_choice, parse_chat
from ..wire import json
from ..wire.http import WireRequest

NAMES = frozenset({"additional_drop_params", "allowed_openai_params"})

OWN_FIELD = "stream_options"
"""The field that codecs add to a stream, to ask for its usage; some servers reject it."""

_STEP = re.compile(r"\[(\d+|\*)\]|([^.\[\]]+)")


def encode(
    deployment: Deployment, request: ChatRequest, *, stream: bool, has_tools: bool
) -> WireRequest:
    """
    The request in the provider's format, without what is dropped and with what is allowed.

    `has_tools` says that the deployment adds tools to it.
    """
    body = {name: value for name, value in request.body.items() if name not in NAMES}
    dropped = []
    for path in request.additional_drop_params or ():
        fewer = without(body, path)
        if fewer is not body:
            dropped.append(path)
            body = fewer
    fitted, sent = replace(parse_chat(body), places=request.places), {}
    for name in request.allowed_openai_params or ():
        if name in body and name != "messages":
            fewer = {key: value for key, value in body.items() if key != name}
            if _is_left_out(name, deployment, fitted, parse_chat(fewer)):
                sent[name], body = body[name], fewer
                fitted = parse_chat(body)
    if "tools" not in sent and not has_tools:
        fitted = check_choice(fitted)
    wire = deployment.provider.chat.encode(fitted, deployment.target, stream)
    if sent:
        wire = replace(wire, body=json.encode({**json.decode(wire.body), **sent}))
    if stream and OWN_FIELD in (request.additional_drop_params or ()):
        fewer = {name: value for name, value in json.decode(wire.body).items() if name != OWN_FIELD}
        wire, dropped = replace(wire, body=json.encode(fewer)), [*dropped, OWN_FIELD]
    return replace(wire, dropped=(*dict.fromkeys((*wire.dropped, *dropped, *fitted.left_out)),))


def without(fields: dict[str, Any], path: str) -> dict[str, Any]:
    """
    The fields without what a path of `additional_drop_params` leads to; they themselves if there is
    nothing. Raises `RequestError` for what is no path.
    """
    fewer: dict[str, Any] = _without(fields, _steps(path))
    return fewer


def _is_left_out(
    name: str, deployment: Deployment, request: ChatRequest, fewer: ChatRequest
) -> bool:
    """Whether the provider's codec rejects a field, or leaves it out; `fewer` does not have it."""
    target, encode_chat = (
        replace(deployment.target, drop_params=True),
        deployment.provider.chat.encode,
    )
    try:
        return encode_chat(request, target, False).body == encode_chat(fewer, target, False).body
    except Unsupported as error:
        return error.param == name


def _steps(path: str) -> list[str]:
    """`tools[*].function.strict` -> `["tools", "*", "function", "strict"]`."""
    found = [index or name for index, name in _STEP.findall(path)]
    if not found or found == ["messages"] or _STEP.sub("", path).strip("."):
        name = "additional_drop_params"
        raise RequestError(
            f"`{name}` has names of parameters: `temperature`, `tools[*].function.strict`",
            name,
        )
    return found


def _without(value: Any, steps: Sequence[str]) -> Any:
    """The value without what the steps lead to; the value itself if there is nothing."""
    step, rest = steps[0], steps[1:]
    if isinstance(value, Mapping):
        if step not in value:
            return value
        if not rest:
            return {name: item for name, item in value.items() if name != step}
        inner = _without(value[step], rest)
        return value if inner is value[step] else {**value, step: inner}
    if isinstance(value, list):
        chosen = [step == "*" or step == str(index) for index in range(len(value))]
        if not rest:
            kept = [item for item, is_chosen in zip(value, chosen, strict=True) if not is_chosen]
            return kept if len(kept) < len(value) else value
        items = [
            _without(item, rest) if is_chosen else item
            for item, is_chosen in zip(value, chosen, strict=True)
        ]
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    return value
