"""A request that requires a call without tools is a 400 that names the field, at every vendor."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.errors import RequestError
from fanout.providers import registry
from fanout.schema.validation import check_choice, parse_chat, with_defaults
from fanout.transport.request_encoding import encode_request
from tests.unit.config.sections import deployment

HI = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
NAMED = {"type": "function", "function": {"name": "f"}}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}}
CUSTOM = {"type": "custom", "custom": {"name": "f"}}
REQUIRED: tuple[Any, ...] = ("required", NAMED, ALLOWED, CUSTOM)
ABSENT: tuple[dict[str, Any], ...] = ({}, {"tools": None}, {"tools": []})
MODELS = (
    *(f"{name}/m" for name in registry.names() if name not in {"bedrock", "vertex_ai"}),
    "anthropic/claude-sonnet-4-5",
    "bedrock/anthropic.claude-3-haiku-20240307-v1:0",
    "bedrock/amazon.nova-lite-v1:0",
    "bedrock/openai.gpt-oss-20b-1:0",
    "gemini/gemini-2.5-flash",
    "openai/responses/gpt-5",
    "vertex_ai/gemini-2.5-flash",
    "vertex_ai/claude-sonnet-4-5",
)
ENV = {"AWS_REGION": "us-east-1", "VERTEXAI_PROJECT": "p", "VERTEXAI_LOCATION": "global"}


def model(name: str, **params: Any) -> Any:
    return deployment(name, ENV, api_base="https://x.test", api_key="k", **params)


@pytest.mark.parametrize("name", MODELS)
def test_no_vendor_gets_a_required_call_without_tools(name: str) -> None:
    for params in ({}, {"drop_params": True}, {"temperature": 0.5}):
        target = model(name, **params)
        for choice in REQUIRED:
            for absent in ABSENT:
                body: dict[str, Any] = {"messages": HI, "tool_choice": choice, **absent}
                for more in ({}, {"additional_drop_params": ["seed"]}):
                    request = with_defaults(parse_chat({**body, **more}), target.defaults)
                    with pytest.raises(RequestError, match="there are no `tools`") as raised:
                        encode_request(target, request, stream=bool(more))
                    assert raised.value.param == "tool_choice"


@pytest.mark.parametrize("name", MODELS)
def test_a_choice_that_requires_no_call_needs_no_tools(name: str) -> None:
    for choice in ("auto", "none", None):
        for absent in ABSENT:
            body: dict[str, Any] = {"messages": HI, "tool_choice": choice, **absent}
            encode_request(model(name), parse_chat(body), stream=False)


def test_tools_that_are_left_out_are_none() -> None:
    body: dict[str, Any] = {"messages": HI, "tools": [TOOL], "tool_choice": "required"}
    request = parse_chat({**body, "additional_drop_params": ["tools"]})
    with pytest.raises(RequestError, match="there are no `tools`"):
        encode_request(model("openai/m"), request, stream=False)
    encode_request(model("openai/m"), parse_chat(body), stream=False)


@pytest.mark.parametrize("name", MODELS)
def test_a_choice_that_is_left_out_needs_no_tools(name: str) -> None:
    dropped: dict[str, Any] = {"additional_drop_params": ["tool_choice"]}
    target = model(name, **dropped)
    for choice in REQUIRED:
        for absent in ABSENT:
            body: dict[str, Any] = {"messages": HI, "tool_choice": choice, **absent}
            for request in (
                parse_chat({**body, **dropped}),
                with_defaults(parse_chat(body), target.defaults),
            ):
                wire = encode_request(target, request, stream=False)
                assert wire.dropped == ("tool_choice",)
                assert b"tool_choice" not in wire.body


def test_the_tools_of_the_config_are_tools_and_its_choice_needs_some() -> None:
    target = model("openai/m", tools=[TOOL])
    request = parse_chat({"messages": HI, "tool_choice": "required"})
    encode_request(target, with_defaults(request, target.defaults), stream=False)
    added = model("openai/m", extra_body={"tools": [TOOL]})
    for more in ({}, {"additional_drop_params": ["seed"]}, {"allowed_openai_params": ["seed"]}):
        request = parse_chat({"messages": HI, "tool_choice": "required", **more})
        encode_request(added, with_defaults(request, added.defaults), stream=False)
    target = model("openai/m", tool_choice="required")
    without = with_defaults(parse_chat({"messages": HI}), target.defaults)
    assert b"tool_choice" not in encode_request(target, without, stream=False).body
    with_tool = parse_chat({"messages": HI, "tools": [TOOL]})
    wire = encode_request(target, with_defaults(with_tool, target.defaults), stream=False)
    assert b'"tool_choice":"required"' in wire.body


OTHER = {"type": "function", "function": {"name": "g"}}
SEARCH = {"type": "web_search"}
TOOLLESS: tuple[list[dict[str, Any]], ...] = (
    [],
    [OTHER],
    [SEARCH],
    [OTHER, SEARCH],
    [{"type": "custom", "custom": {"name": "g"}}],
)


def allowing(mode: str, tools: list[Any]) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


@pytest.mark.parametrize("more", [{}, {"additional_drop_params": ["seed"]}], ids=["", "fitted"])
@pytest.mark.parametrize("name", MODELS)
def test_no_vendor_gets_a_required_call_of_a_tool_that_is_not_there(
    name: str, more: dict[str, Any]
) -> None:
    choices = {
        "names none": [OTHER, {"type": "custom", "custom": {"name": "g"}}],
        "allows none": [allowing("required", tools) for tools in TOOLLESS],
    }
    for why, listed in choices.items():
        for choice in listed:
            for params in ({}, {"drop_params": True}):
                body = {"messages": HI, "tools": [TOOL], "tool_choice": choice, **more}
                with pytest.raises(RequestError, match=f"{why} of the `tools`") as raised:
                    encode_request(model(name, **params), parse_chat(body), stream=False)
                assert raised.value.param == "tool_choice"


@pytest.mark.parametrize("more", [{}, {"additional_drop_params": ["seed"]}], ids=["", "fitted"])
@pytest.mark.parametrize("name", MODELS)
def test_a_choice_that_allows_none_of_the_tools_is_a_request_without_tools(
    name: str, more: dict[str, Any]
) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "c", "content": "1"}
    target = model(name, drop_params=True)
    for messages in (HI, [*HI, said, result]):
        plain = encode_request(target, parse_chat({"messages": messages}), stream=False)
        for tools in TOOLLESS:
            given = {"tools": [TOOL], "tool_choice": allowing("auto", tools)}
            request = parse_chat({"messages": messages, **given, **more})
            assert encode_request(target, request, stream=False).body == plain.body


def test_tools_that_are_allowed_are_found_by_their_kind_and_name() -> None:
    custom = {"type": "custom", "custom": {"name": "c", "description": "Any text."}}
    tools = [TOOL, custom, SEARCH]
    for one in (NAMED, TOOL, {"type": "custom", "custom": {"name": "c"}}, SEARCH):
        for mode in ("auto", "required"):
            choice = allowing(mode, [OTHER, one])
            request = parse_chat({"messages": HI, "tools": tools, "tool_choice": choice})
            assert check_choice(request) is request
