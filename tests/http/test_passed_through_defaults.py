"""The config's defaults in requests that pass through: added where the client leaves them out."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import reply
from tests.support.scripted_provider import Upstream

MESSAGE = b'{"id":"msg_1","type":"message","role":"assistant","model":"x","content":[],"usage":{}}'
RESPONSE = b'{"id":"resp_1","object":"response","status":"completed","model":"x","output":[]}'
HI = [{"role": "user", "content": "Hi"}]

FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {}}}
TOOL = {"type": "function", "strict": False, **FUNCTION}
FORM = {"name": "o", "schema": {"type": "object", "properties": {}}}
DEFAULTS = {
    "temperature": 0.5,
    "max_output_tokens": 99,
    "reasoning": {"effort": "low"},
    "min_p": 0.1,
    "store": False,
    "tools": [TOOL],
    "text": {"format": {"type": "json_schema", **FORM}},
    "parallel_tool_calls": False,
}
OWN = {
    "temperature": 0.1,
    "max_output_tokens": 5,
    "reasoning": {"summary": "auto", "effort": "high"},
    "min_p": 0.2,
    "store": True,
    "tools": [],
    "text": {"format": {"type": "text"}},
    "parallel_tool_calls": True,
}

# The request, for Messages its version, and what the vendor gets beside it.
RESPONSES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, DEFAULTS),
    (OWN, {}),
    # Of an object, the client may set other members.
    (
        {**OWN, "reasoning": {"summary": "auto"}},
        {"reasoning": {"summary": "auto", "effort": "low"}},
    ),
]
THINKING = {"type": "enabled", "budget_tokens": 1024}
TIER = {"service_tier": "standard_only"}
ALWAYS = {"metadata": {"user_id": "u"}, "stop_sequences": ["END"], **TIER}
MESSAGES: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({}, "2023-06-01", {"temperature": 0.5, "top_k": 4, **ALWAYS}),
    ({"temperature": 1, "metadata": {}, "top_k": 1}, "2023-06-01", ALWAYS),
    ({"metadata": {"user_id": "x"}, "stop_sequences": []}, "2026-10-21", TIER),
    # Claude takes no other temperature when it thinks, and none at all since this version.
    ({"thinking": THINKING, "top_k": 1}, "2023-06-01", ALWAYS),
    ({}, "2026-10-21", ALWAYS),
]
# Claude thinks by the config, but for a client that says otherwise or where it could not.
BUDGET: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"thinking": THINKING}),
    ({"thinking": {"type": "disabled"}}, {}),
    ({"temperature": 0.1}, {}),
    ({"max_tokens": 500}, {}),
]


def test_defaults_of_the_config_are_added_where_the_client_leaves_them_out(
    upstream: Upstream,
) -> None:
    upstream.reset()
    listed = [
        entry(upstream, "gpt", "openai/responses/a"),
        entry(upstream, "claude", "anthropic/claude-sonnet-4-5"),
        entry(upstream, "thinker", "anthropic/claude-sonnet-4-5"),
        entry(upstream, "adaptive", "anthropic/claude-opus-4-8"),
        entry(upstream, "azures", "azure/b"),
    ]
    in_the_config = {
        "temperature": 0.5,
        "max_tokens": 99,
        "reasoning_effort": "low",
        "min_p": 0.1,  # a field that only the provider knows
        "seed": 1,  # the Responses API does not have it
        "store": False,
        "tools": [{"type": "function", "function": FUNCTION}],
        "response_format": {"type": "json_schema", "json_schema": FORM},
        "parallel_tool_calls": False,
    }
    listed[0]["litellm_params"] |= in_the_config
    listed[4]["litellm_params"] |= in_the_config  # Azure's chat API has other forms
    listed[1]["litellm_params"] |= {"temperature": 0.5, "user": "u", "top_k": 4}
    listed[1]["litellm_params"] |= {"stop": "END", "service_tier": "default"}
    listed[2]["litellm_params"] |= {"thinking": THINKING}
    listed[3]["litellm_params"] |= {"thinking": THINKING}
    with serve({"model_list": listed, "router_settings": {"num_retries": 0}}) as gateway:
        faults = [*of_responses(gateway, upstream), *of_messages(gateway, upstream)]
    assert faults == []


def of_responses(gateway: RunningGateway, upstream: Upstream) -> list[Any]:
    faults = []
    for (name, model), (own, added) in product((("gpt", "a"), ("azures", "b")), RESPONSES):
        upstream.script(model, [reply(200, RESPONSE)])
        gateway.json({"model": name, "input": "Hi", **own}, "/v1/responses")
        sent = upstream.calls_to(model)[-1].body
        if sent != {"model": model, "input": "Hi", **own, **added}:
            faults.append(sent)
    return faults


def of_messages(gateway: RunningGateway, upstream: Upstream) -> list[Any]:
    faults = []
    adaptive = {"type": "adaptive", "display": "summarized"}
    as_effort = {"thinking": adaptive, "output_config": {"effort": "low"}}
    cases = [
        *(("claude", *case) for case in MESSAGES),
        *(("thinker", own, "2023-06-01", added) for own, added in BUDGET),
        ("adaptive", {}, "2023-06-01", as_effort),  # the form that this model takes
    ]
    for name, own, version, added in cases:
        model = "claude-opus-4-8" if name == "adaptive" else "claude-sonnet-4-5"
        upstream.script(model, [reply(200, MESSAGE)])
        body = {"model": name, "max_tokens": 2000, "messages": HI, **own}
        gateway.json(body, "/v1/messages", headers={"anthropic-version": version})
        sent = upstream.calls_to(model)[-1].body
        if sent != {**body, "model": model, **added}:
            faults.append((name, json.dumps(own), sent))
    return faults
