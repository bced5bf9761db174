"""The config's defaults in requests that pass through: added where the client leaves them out."""

from __future__ import annotations

import json
from typing import Any

from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import reply
from tests.support.scripted_provider import Upstream

MESSAGE = b'{"id":"msg_1","type":"message","role":"assistant","model":"x","content":[],"usage":{}}'
RESPONSE = b'{"id":"resp_1","object":"response","status":"completed","model":"x","output":[]}'
HI = [{"role": "user", "content": "Hi"}]

DEFAULTS = {
    "temperature": 0.5,
    "max_output_tokens": 99,
    "reasoning": {"effort": "low"},
    "min_p": 0.1,
}

# The request, for Messages its version, and what the vendor gets beside it.
RESPONSES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {},
        DEFAULTS,
    ),
    (
        {
            "temperature": 0.1,
            "max_output_tokens": 5,
            "reasoning": {"summary": "auto"},
            "min_p": 0.2,
        },
        {},
    ),
]
MESSAGES: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({}, "2023-06-01", {"temperature": 0.5, "metadata": {"user_id": "u"}, "top_k": 4}),
    ({"temperature": 1, "metadata": {}, "top_k": 1}, "2023-06-01", {}),
    # Claude takes no other temperature when it thinks, and none at all since this version.
    (
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "metadata": {}, "top_k": 1},
        "2023-06-01",
        {},
    ),
    ({}, "2026-10-21", {"metadata": {"user_id": "u"}}),
]


def test_defaults_of_the_config_are_added_where_the_client_leaves_them_out(
    upstream: Upstream,
) -> None:
    upstream.reset()
    listed = [
        entry(upstream, "gpt", "openai/responses/a"),
        entry(upstream, "claude", "anthropic/claude-sonnet-4-5"),
    ]
    listed[0]["litellm_params"] |= {
        "temperature": 0.5,
        "max_tokens": 99,
        "reasoning_effort": "low",
        "min_p": 0.1,  # a field that only the provider knows
        "seed": 1,  # the Responses API does not have it
    }
    listed[1]["litellm_params"] |= {"temperature": 0.5, "user": "u", "top_k": 4}
    with serve({"model_list": listed, "router_settings": {"num_retries": 0}}) as gateway:
        faults = [*of_responses(gateway, upstream), *of_messages(gateway, upstream)]
    assert faults == []


def of_responses(gateway: RunningGateway, upstream: Upstream) -> list[Any]:
    faults = []
    for own, added in RESPONSES:
        upstream.script("a", [reply(200, RESPONSE)])
        gateway.json({"model": "gpt", "input": "Hi", **own}, "/v1/responses")
        sent = upstream.calls_to("a")[-1].body
        if sent != {"model": "a", "input": "Hi", **added, **own}:
            faults.append(sent)
    return faults


def of_messages(gateway: RunningGateway, upstream: Upstream) -> list[Any]:
    faults = []
    for own, version, added in MESSAGES:
        upstream.script("claude-sonnet-4-5", [reply(200, MESSAGE)])
        body = {"model": "claude", "max_tokens": 2000, "messages": HI, **own}
        gateway.json(body, "/v1/messages", headers={"anthropic-version": version})
        sent = upstream.calls_to("claude-sonnet-4-5")[-1].body
        if sent != {**body, "model": "claude-sonnet-4-5", **added}:
            faults.append((json.dumps(own), sent))
    return faults
