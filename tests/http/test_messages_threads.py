"""Conversations that a vendor keeps: Anthropic's tool runner, in front of every kind of model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import beta_tool

from tests.http.test_messages_on_clouds import Clouds
from tests.http.test_messages_on_clouds import config as clouds_config
from tests.http.test_messages_passed_through import WHOLE
from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.in_process import run_in_process
from tests.support.provider_steps import refuse, reply
from tests.support.scripted_provider import Call, Upstream

HI: Any = [{"role": "user", "content": "Rain?"}]
CREATE = {"type": "create"}
CONTINUE = {"type": "continue", "previous_message_id": "msg_1"}


@beta_tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"wet in {city}"


async def claude(call: Call) -> None:
    """Anthropic, which keeps threads: calls the tool, and then says what it knows."""
    body = call.body
    is_continued = (body.get("thread") or {}).get("type") == "continue"
    if is_continued and ("tools" in body or len(body["messages"]) != 1):
        await refuse(400, "a continued thread with what it has")(call)
        return
    last = body["messages"][-1]["content"]
    has_result = isinstance(last, list) and last[-1]["type"] == "tool_result"
    use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Ulm"}}
    text = {"type": "text", "text": f"It is {last[-1]['content']}" if has_result else ""}
    message = {
        "id": f"msg_{len(body['messages'])}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [text if has_result else use],
        "stop_reason": "end_turn" if has_result else "tool_use",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    await reply(200, json.dumps(message).encode())(call)


async def other(call: Call) -> None:
    """A model with chat completions, which needs the whole conversation."""
    last = call.body["messages"][-1]
    function = {"name": "weather", "arguments": '{"city": "Ulm"}'}
    made: dict[str, Any] = {"role": "assistant", "content": f"It is {last['content']}"}
    if last["role"] != "tool":
        one = {"id": "call_1", "type": "function", "function": function}
        made = {"role": "assistant", "content": None, "tool_calls": [one]}
    choice = {"index": 0, "message": made, "finish_reason": "stop"}
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "a"}
    await reply(200, json.dumps({**whole, "choices": [choice]}).encode())(call)


@pytest.fixture
def gateway(provider: Upstream, upstream: Upstream) -> Iterator[RunningGateway]:
    listed = [
        entry(provider, "a"),
        entry(provider, "claude", "anthropic/claude-x"),
        entry(provider, "twice", "anthropic/claude-x"),
        entry(provider, "twice", "anthropic/claude-x"),
        entry(provider, "accounts", "anthropic/claude-x", api_key="sk-provider-1"),
        entry(provider, "accounts", "anthropic/claude-x", api_key="sk-provider-2"),
        entry(provider, "backed", "anthropic/claude-x"),
        entry(provider, "long", "anthropic/claude-x"),
    ]
    fallbacks = {
        "fallbacks": [{"backed": ["a"]}],
        "context_window_fallbacks": [{"long": ["a"]}],
    }
    alias = {"same": "claude", "both": {"models": ["claude", "a"], "mode": "race"}}
    config = {
        "model_list": listed,
        "router_settings": {"num_retries": 0, "model_group_alias": alias, **fallbacks},
    }
    upstream.script("claude-x", [claude])
    upstream.script("a", [other])
    with serve(config) as served:
        yield served


def test_the_tool_runner_keeps_its_conversation_with_every_model(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    race = {"fastest_response": True}
    rows: list[tuple[str, dict[str, Any], bool]] = [
        ("claude", {}, True),
        ("same", {}, True),
        ("twice", {}, True),
        ("a", {}, False),
        ("accounts", {}, False),
        ("backed", {}, False),
        ("long", {}, False),
        ("both", {}, False),
        ("claude", {"fallbacks": ["a"]}, False),
        ("claude, a", race, False),
        ("claude, accounts", race, False),
        ("claude, a", {}, False),  # all respond
        ("a, claude", {"fanout": {"mode": "hedge", "stagger": 1}}, False),
    ]
    faults: list[Any] = []
    with anthropic.Anthropic(api_key="k", base_url=gateway.url, max_retries=0) as client:
        for model, more, has_thread in rows:
            upstream.calls.clear()
            made: Any = client.beta.messages.tool_runner(
                model=model, max_tokens=99, tools=[weather], messages=HI, extra_body=more
            ).until_done()
            said = getattr(made.content[0], "text", made.content[0])
            threads = [call.body.get("thread") for call in upstream.calls]
            wanted = [CREATE, CONTINUE] if has_thread else [None] * len(threads)
            if said != "It is wet in Ulm" or threads != wanted:
                faults.append((model, more, said, threads))
    assert faults == []


def test_a_client_that_wants_a_thread_learns_that_there_is_none(gateway: RunningGateway) -> None:
    for thread, status, code in (
        (CREATE, 400, "thread_unsupported_request"),
        ({"type": "new"}, 400, "thread_unsupported_request"),
        (CONTINUE, 404, "thread_not_found"),
    ):
        rows: list[dict[str, Any]] = [{}, {"stream": True}, {"model": "accounts"}, {"messages": []}]
        for more in rows:
            body = {"model": "a", "max_tokens": 9, "messages": HI, "thread": thread, **more}
            got, _, found = gateway.json(body, "/v1/messages?beta=true")
            assert (got, found["type"]) == (status, "error")
            if thread != CREATE or "messages" not in more:
                assert found["error"]["details"] == {"error_code": code}
            kind = "not_found_error" if status == 404 else "invalid_request_error"
            assert found["error"]["type"] == kind
    with (
        anthropic.Anthropic(api_key="k", base_url=gateway.url, max_retries=0) as client,
        pytest.raises(anthropic.BadRequestError, match="`thread` needs one model"),
    ):
        client.beta.messages.thread(model="a", max_tokens=9, messages=HI).send()


def test_a_continued_thread_without_messages_passes_through(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    """The SDK sends none after `pause_turn`."""
    upstream.script("claude-x", [reply(200, WHOLE)])
    body: Any = {"model": "claude", "max_tokens": 9, "messages": [], "thread": CONTINUE}
    assert gateway.json(body, "/v1/messages")[0] == 200
    assert upstream.calls[-1].body == {**body, "model": "claude-x"}
    schema = {**body, "fanout": {"schema": {"type": "object"}}}
    assert gateway.json(schema, "/v1/messages")[0] == 404


def test_clouds_keep_no_threads() -> None:
    clouds = Clouds()
    with run_in_process(clouds_config(), clouds) as app:
        for name in ("bedrock", "converse", "vertex"):
            body = {"model": name, "max_tokens": 9, "messages": HI, "thread": CREATE}
            response = app.ask("POST", "/v1/messages", [json.dumps(body).encode()])
            found = json.loads(response.body)["error"]
            assert (response.status, found["details"]["error_code"]) == (
                400,
                "thread_unsupported_request",
            )
    assert clouds.sent == []
