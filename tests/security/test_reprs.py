"""No repr shows a prompt or a response, which a traceback could carry into a log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from rich.pretty import pretty_repr

from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.run import GatewayResponse
from fanout.routing.leg import Leg
from fanout.schema.fanout import parse_request
from fanout.transport.client import ChatResponse
from fanout.wire.http import WireEvent, WireRequest, WireResponse

SAID = "zebra-4711"
MESSAGES = [
    {"role": "system", "content": SAID},
    {"role": "user", "content": [{"type": "text", "text": SAID}]},
    {
        "role": "assistant",
        "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": SAID}}
        ],
    },
    {"role": "tool", "tool_call_id": "c", "content": SAID},
]
REQUEST = parse_request(
    {
        "model": "a",
        "messages": MESSAGES,
        "tools": [{"type": "function", "function": {"name": SAID}}],
    }
)
CATALOG = resolve(
    check({"model_list": [{"model_name": "a", "litellm_params": {"model": "gpt-4o"}}]}, {}), {}
)
DEPLOYMENT = CATALOG.find("a")[0]
WIRE = DEPLOYMENT.provider.chat.encode(REQUEST.conversations[0], DEPLOYMENT.target, False)
COMPLETION: Any = {"choices": [{"message": {"content": SAID}}]}

HOLDERS: Mapping[str, Any] = {
    "a request": REQUEST,
    "a conversation": REQUEST.conversations[0],
    "its messages": REQUEST.conversations[0].messages,
    "its tools": REQUEST.conversations[0].tools,
    "a call": WIRE,
    "a call by hand": WireRequest("/x", SAID.encode()),
    "a reply": WireResponse(200, {"x": SAID}, SAID.encode()),
    "an event": WireEvent(SAID.encode()),
    "a decoded reply": ChatResponse(COMPLETION),
    "an answer": GatewayResponse(COMPLETION, "one"),
    "a leg": Leg("a", "req", headers={}),
}


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS.keys())
def test_no_repr_contains_a_prompt_or_a_response(holder: Any) -> None:
    shown = [repr(holder), str(holder), pretty_repr([holder], expand_all=True)]
    assert [text for text in shown if SAID in text] == []
