"""One attempt of a request for embeddings. Imported with the first one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from ..concurrency import within
from ..config.deployment import Deployment
from ..errors import Unsupported
from ..providers.base import BadWire
from ..providers.embeddings import EmbeddingAPI, fit
from ..providers.registry import embeddings_of
from ..schema.embeddings import EmbeddingPart, Vectors
from ..transport.client import Transport
from ..wire import json
from ..wire.http import WireRequest, WireResponse
from .leg import Attempt

PARAMS = frozenset({"additional_drop_params", "allowed_openai_params"})
DEFAULTS = frozenset({"dimensions", "input_type", "user"}) | PARAMS
"""The fields of a part that a deployment's `litellm_params` may set."""


def api_of(deployment: Deployment) -> EmbeddingAPI:
    """The API of a deployment; raises `Unsupported` if its provider has none."""
    api = embeddings_of(deployment.provider.name, deployment.target)
    if api is None:
        raise Unsupported(
            f"`{deployment.name}`: there are no embeddings of this model of "
            f"`{deployment.provider.name}` here",
            "model",
        )
    return api


async def attempt_embedding(transport: Transport, part: EmbeddingPart, attempt: Attempt) -> Vectors:
    """
    The vectors of a part, from one deployment.

    Raises a `ProviderError`, `Unsupported` or `MissingKey`.
    """
    deployment = attempt.deployment
    api = api_of(deployment)
    target, provider = deployment.target, deployment.provider.name
    part = _with_defaults(part, deployment)
    absent: tuple[str, ...] = ()
    sent: Mapping[str, Any] = {}
    if part.additional_drop_params or part.allowed_openai_params:
        from .embedding_params import leave_out, set_aside  # few requests have them

        part, absent = leave_out(part)
        part, sent = set_aside(part, api)
    part, dropped = fit(api, part, target, provider)
    wire = _with_additions(api.encode(part, target), deployment, part, sent)

    def decode(response: WireResponse) -> Vectors:
        vectors = api.decode(response, target)
        if len(vectors.items) != len(part.inputs):
            raise BadWire(f"{len(vectors.items)} vectors for {len(part.inputs)} inputs")
        return vectors

    limit = deployment.timeout
    until = attempt.leg.call_end(limit, asyncio.get_running_loop().time())
    call = transport.call(deployment, wire, decode, until)
    attempt.note_request(replace(wire, dropped=tuple(dict.fromkeys((*absent, *dropped)))))
    vectors = await (call if limit is None else within(limit, call))
    if vectors.tokens is not None:
        tokens = vectors.tokens
        attempt.usage = {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}
    attempt.record("ok")
    return vectors


def _with_defaults(part: EmbeddingPart, deployment: Deployment) -> EmbeddingPart:
    """The part, with the deployment's defaults for the fields that the request does not set."""
    given = {**deployment.defaults, **deployment.additions.defaults}
    absent = {name: given[name] for name in DEFAULTS & given.keys() if getattr(part, name) is None}
    return replace(part, **absent) if absent else part


def _with_additions(
    wire: WireRequest, deployment: Deployment, part: EmbeddingPart, sent: Mapping[str, Any]
) -> WireRequest:
    """The request with the other defaults of its deployment, what is `sent`, and `extra_body`."""
    additions = deployment.additions
    left_out = {*DEFAULTS, "encoding_format", *(part.additional_drop_params or ())}
    below: Mapping[str, Any] = {
        name: value for name, value in additions.defaults.items() if name not in left_out
    }
    if not (below or sent or additions.body):
        return wire
    body = json.encode({**below, **json.decode(wire.body), **sent, **additions.body})
    return replace(wire, body=body)
