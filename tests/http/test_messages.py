"""`POST /v1/messages` with Anthropic's own SDK, in front of models with OpenAI's API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest

from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import answers, delta, piece, refuse, reply, stop, wait
from tests.support.scripted_provider import Upstream

HI: Any = [{"role": "user", "content": "Hi"}]
CLAUDE_CODE = json.loads((Path(__file__).parent / "claude_code_requests.json").read_text())
"""Requests of Claude Code 2.1.332, with shorter texts and fewer tools."""

MARK = {"type": "ephemeral"}
WEATHER: Any = {
    "name": "weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    "cache_control": MARK,
}
FUNCTION = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": WEATHER["input_schema"],
    },
    "cache_control": MARK,
}
HISTORY: Any = [
    {"role": "user", "content": [{"type": "text", "text": "Rain?", "cache_control": MARK}]},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "Two cities.", "signature": "fanout-unsigned"},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Ulm"}},
            {"type": "tool_use", "id": "call_2", "name": "weather", "input": {}},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "call_1", "content": "wet"},
            {
                "type": "tool_result",
                "tool_use_id": "call_2",
                "content": [{"type": "text", "text": "no city"}],
                "is_error": True,
            },
            {"type": "text", "text": "And?"},
        ],
    },
    {"role": "system", "content": "Be brief."},
]


@pytest.fixture
def client(server: RunningGateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="anything", base_url=server.url, max_retries=0) as made:
        yield made


def chunk(**fields: Any) -> Any:
    """A step that sends one delta of a stream, of the model `a`."""
    return delta(**fields)


def whole(message: Any, reason: str = "stop", **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    usage = {
        "prompt_tokens": 50,
        "completion_tokens": 7,
        "total_tokens": 57,
        "prompt_tokens_details": {"cached_tokens": 40},
    }
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "a"}
    return json.dumps({**head, "choices": [{**choice, **more}], "usage": usage}).encode()


def test_a_conversation_with_tools_becomes_a_chat_request(
    client: anthropic.Anthropic, upstream: Upstream
) -> None:
    call = {
        "id": "call_3",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "Bonn"}'},
    }
    upstream.script(
        "a", [reply(200, whole({"content": "Next.", "tool_calls": [call]}, "tool_calls"))]
    )
    made = client.messages.with_raw_response.create(
        model="a",
        max_tokens=100,
        system=[{"type": "text", "text": "You know.", "cache_control": {"type": "ephemeral"}}],
        messages=HISTORY,
        tools=[WEATHER, {"type": "web_search_20250305", "name": "web_search"}],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        stop_sequences=["END"],
        metadata={"user_id": "u" * 100},
        extra_body={"context_management": {"edits": []}, "thinking": {"type": "disabled"}},
    )
    body = upstream.calls_to("a")[-1].body
    assert [one["role"] for one in body["messages"]] == [
        *("system", "user", "assistant", "tool", "tool", "user", "system")
    ]
    said = body["messages"]
    assert said[2]["tool_calls"][0]["function"] == {
        "name": "weather",
        "arguments": '{"city":"Ulm"}',
    }
    assert said[3]["content"] == "wet"
    assert json.dumps(said[4]["content"]).count("Error:") == 1
    assert body["tools"] == [FUNCTION]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)
    assert (body["stop"], len(body["user"])) == (["END"], 64)
    dropped = made.headers["x-fanout-dropped"].split(", ")
    assert {"context_management", "tools[].web_search_20250305"} <= set(dropped)
    message: Any = made.parse()
    assert (message.stop_reason, message.model, message.id) == ("tool_use", "a", "msg_1")
    assert [block.type for block in message.content] == ["text", "tool_use"]
    assert message.content[1].input == {"city": "Bonn"}
    used = message.usage
    assert (used.input_tokens, used.cache_read_input_tokens, used.output_tokens) == (10, 40, 7)


def test_a_stream_has_blocks_one_after_the_other(
    client: anthropic.Anthropic, upstream: Upstream
) -> None:
    def call(index: int, arguments: str, **more: Any) -> Any:
        function = {"arguments": arguments, **({"name": "weather"} if more else {})}
        return chunk(tool_calls=[{"index": index, "function": function, **more}])

    upstream.script(
        "a",
        [
            chunk(reasoning_content="Let me "),
            chunk(reasoning_content="think."),
            chunk(content="I "),
            chunk(content="look."),
            call(0, "", id="call_1", type="function"),
            call(1, '{"city"', id="call_2", type="function"),
            call(0, '{"city":"Ulm"}'),
            call(1, ':"Bonn"}'),
            stop,
        ],
    )
    with client.messages.stream(
        model="a",
        max_tokens=2000,
        messages=HI,
        tools=[WEATHER],
        thinking={"type": "enabled", "budget_tokens": 1024},
    ) as stream:
        events = [event.type for event in stream if event.type.startswith(("message", "content"))]
        message = stream.get_final_message()
    assert events[0] == "message_start"
    assert events[-2:] == ["message_delta", "message_stop"]
    assert events.count("content_block_start") == events.count("content_block_stop") == 4
    blocks: Any = message.content
    assert [block.type for block in blocks] == ["thinking", "text", "tool_use", "tool_use"]
    assert (blocks[0].thinking, blocks[1].text) == ("Let me think.", "I look.")
    assert [block.input for block in blocks[2:]] == [{"city": "Ulm"}, {"city": "Bonn"}]
    assert [block.id for block in blocks[2:]] == ["call_1", "call_2"]
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (5, 7)


def test_claude_codes_requests_reach_a_model_with_another_api(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers("Hello"))
    for name in ("first", "after_tool"):
        sent = CLAUDE_CODE[name]
        body = {**sent["body"], "model": "a"}
        with server.ask(body, sent["path"], headers=sent["headers"]) as response:
            assert response.status == 200
            dropped = response.headers["x-fanout-dropped"].split(", ")
            events = response.read().decode().split("\n\n")
        assert "context_management" in dropped
        assert events[0].startswith("event: message_start\ndata: {")
        assert events[-2] == 'event: message_stop\ndata: {"type":"message_stop"}'
        got = upstream.calls_to("a")[-1].body
        assert [one["role"] for one in got["messages"][:3]] == ["system", "user", "system"]
        assert len(got["messages"][0]["content"]) == 3
        assert (got["reasoning_effort"], len(got["tools"])) == ("medium", 3)
        assert "context_management" not in got


def test_errors_have_anthropics_form_and_the_vendors_words(
    client: anthropic.Anthropic, upstream: Upstream
) -> None:
    text = "messages.1.role: Input should be 'user' or 'assistant'"
    cases: list[tuple[Any, dict[str, Any], type[anthropic.APIStatusError], str, str]] = [
        (refuse(400, message=text), {}, anthropic.BadRequestError, "invalid_request_error", text),
        (refuse(429, message="slow"), {}, anthropic.RateLimitError, "rate_limit_error", "slow"),
        *(
            (refuse(status, "no", type="invalid_request_error", code=code), {}, kind, name, "no")
            for status, code, kind, name in (
                (404, "model_not_found", anthropic.NotFoundError, "not_found_error"),
                (413, None, anthropic.APIStatusError, "request_too_large"),
                (429, None, anthropic.RateLimitError, "rate_limit_error"),
                (529, None, anthropic.APIStatusError, "overloaded_error"),
            )
        ),
        (None, {"model": "none"}, anthropic.NotFoundError, "not_found_error", "none"),
        (
            None,
            {"fanout": {"shape": "list"}},
            anthropic.BadRequestError,
            "invalid_request_error",
            "fanout.shape`",
        ),
        (
            None,
            {"messages": [{"role": "tool", "content": ""}]},
            anthropic.BadRequestError,
            "invalid_request_error",
            "`messages[0].role` must be one of `user`, `assistant`, `system`",
        ),
        (
            None,
            {"system": "S", "messages": [{"role": "user", "content": [{"type": "text"}]}]},
            anthropic.BadRequestError,
            "invalid_request_error",
            "`messages[0].content[0].text` must be a string",
        ),
    ]
    wrong = []
    for script, fields, kind, name, words in cases:
        if script is not None:
            upstream.script("a", [script])
        more = {"extra_body": {"fanout": fields.pop("fanout")}} if "fanout" in fields else {}
        given: Any = {"model": "a", "max_tokens": 9, "messages": HI, **fields, **more}
        for stream in (False, True):
            with pytest.raises(anthropic.APIStatusError) as raised:
                client.messages.create(**given, stream=stream)
            body: Any = raised.value.body
            found = body["error"]
            if not (
                isinstance(raised.value, kind)
                and found["type"] == name
                and (found["message"] == words or (script is None and words in found["message"]))
                and body["request_id"] == raised.value.response.headers["request-id"]
            ):
                wrong.append((words, stream, body))
    assert wrong == []


def test_errors_before_an_endpoint_have_anthropics_form_too(
    client: anthropic.Anthropic, server: RunningGateway
) -> None:
    version = {"anthropic-version": "2023-06-01"}
    cases: list[tuple[str, str, dict[str, str], int]] = [
        ("GET", "/v1/messages", {}, 405),
        ("GET", "/v1/messages/count_tokens", {}, 405),
        ("POST", "/v1/messages/batches", {}, 404),
        ("GET", "/v1/models/none", version, 404),
    ]
    wrong = []
    for method, path, headers, expected in cases:
        status, _, body = server.json({} if method == "POST" else None, path, method, headers)
        if (status, body.get("type")) != (expected, "error") or "request_id" not in body:
            wrong.append((path, status, body))
    assert wrong == []
    assert "type" not in server.json(None, "/v1/models/none", "GET", {})[2]
    given: Any = {"model": "a", "max_tokens": 9, "messages": HI, "tools": [WEATHER]}
    image: Any = [{"role": "user", "content": [{"type": "image", "source": None}]}]
    with pytest.raises(anthropic.BadRequestError, match=r"tool_choice\.name"):
        client.messages.create(**{**given, "tool_choice": {"type": "tool"}})
    with pytest.raises(anthropic.BadRequestError, match=r"messages\[0\]\.content\[0\]\.source"):
        client.messages.create(**{**given, "messages": image})


def test_what_is_lost_is_named_as_the_client_names_it(upstream: Upstream) -> None:
    budget = {"type": "enabled", "budget_tokens": 1024}
    low = {"output_config": {"effort": "low"}}
    rows: list[tuple[str, dict[str, Any], str | None]] = [
        ("openai/gpt-5", {"thinking": budget}, None),  # it becomes an effort
        ("hosted_vllm/x", {"thinking": budget}, None),
        ("deepseek/x", {"thinking": budget}, "thinking.budget_tokens"),
        ("openai/gpt-4o", {"thinking": {"type": "adaptive"}}, "thinking"),
        ("openai/gpt-4o", low, "output_config.effort"),
        ("mistral/x", {"metadata": {"user_id": "u"}}, "metadata.user_id"),
        ("deepseek/x", {"metadata": {"user_id": "u"}}, "metadata.user_id"),
    ]
    models = {model for model, _, _ in rows}
    wrong = []
    with serve({"model_list": [entry(upstream, model, model) for model in models]}) as served:
        for model, fields, expected in rows:
            upstream.script(model.partition("/")[2], [reply(200, whole({"content": "Hi"}))])
            body = {"model": model, "max_tokens": 9, "messages": HI, **fields}
            with served.ask(json.dumps(body).encode(), "/v1/messages") as response:
                found = response.status, response.headers["x-fanout-dropped"]
            if found != (200, expected):
                wrong.append((model, fields, found))
    assert wrong == []


def test_a_failure_amid_a_stream_is_an_error_event(
    client: anthropic.Anthropic, upstream: Upstream
) -> None:
    broken = {"error": {"message": "we are full", "type": "server_error"}}
    upstream.script(
        "a", [chunk(content="Hel"), piece(b"data: %b\n\n" % json.dumps(broken).encode())]
    )
    with pytest.raises(anthropic.APIStatusError, match="we are full"):
        for _ in client.messages.create(model="a", max_tokens=9, messages=HI, stream=True):
            pass


def test_several_models_race_or_all_respond(
    client: anthropic.Anthropic, upstream: Upstream
) -> None:
    upstream.script("a", [refuse(400, message="not today")])
    upstream.script("b", answers("from b"))
    upstream.script("c", answers("from c"))
    ask: Any = {"max_tokens": 9, "messages": HI}
    raced: Any = client.messages.create(model="a, b", extra_body={"fastest_response": True}, **ask)
    assert (raced.model, raced.content[0].text) == ("b", "from b")
    report = raced.model_extra["fanout"]
    loser, winner = report["attempts"]
    assert loser["outcome"] in {"cancelled", "failed"}  # whichever is first
    assert winner["outcome"] == "won"
    every: Any = client.messages.create(model="a, b, c", **ask)
    assert every.content[0].text == "from b"
    others = every.model_extra["fanout"]["responses"]
    assert [one["model"] for one in others] == ["a", "c"]
    assert others[0]["error"]["message"] == "`a`: not today"
    assert others[1]["content"] == [{"type": "text", "text": "from c"}]
    with client.messages.stream(model="a, b", **ask) as stream:
        last: Any = [event for event in stream if event.type == "message_delta"][-1]
        message: Any = stream.get_final_message()
    assert (message.model, message.content[0].text) == ("b", "from b")
    fanout: Any = last.model_extra["fanout"]
    assert [one["model"] for one in fanout["responses"]] == ["a"]


def test_a_silence_has_pings(provider: Upstream, upstream: Upstream) -> None:
    gate = upstream.gate()
    upstream.script("a", [wait(gate), *answers("at last")])
    with serve({"model_list": [entry(provider, "a")]}, keep_alive=0.01) as server:
        body = {"model": "a", "max_tokens": 9, "messages": HI, "stream": True}
        with server.ask(body, "/v1/messages") as response:
            ping = b'event: ping\ndata: {"type": "ping"}\n\n'
            assert response.read(3 * len(ping)) == 3 * ping
            gate.open()
            rest = response.read()
    assert b"at last" in rest
    assert rest.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


def test_models_vote_and_responses_are_checked(
    client: anthropic.Anthropic, upstream: Upstream
) -> None:
    for name in ("a", "b", "c"):
        upstream.script(name, answers("no" if name == "b" else "yes"))
    vote = {"fanout": {"mode": "agree", "k": 2}}
    ask: Any = {"model": "a, b, c", "max_tokens": 9, "messages": HI, "extra_body": vote}
    voted: Any = client.messages.create(**ask)
    assert (voted.content[0].text, voted.model_extra["fanout"]["mode"]) == ("yes", "agree")
    with client.messages.stream(**ask) as stream:
        assert stream.get_final_text() == "yes"
    for name in ("a", "b", "c"):
        upstream.script(name, answers(name), answers(name))
    reasons = [client.messages.create(**ask).stop_reason]
    with client.messages.stream(**ask) as stream:
        reasons.append(stream.get_final_message().stop_reason)
    assert reasons == ["refusal", "refusal"]
    upstream.script("a", answers("prose"), answers('{"n": 1}'))
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form: Any = {"format": {"type": "json_schema", "schema": schema}}
    checked: Any = client.messages.create(
        model="a",
        max_tokens=9,
        messages=HI,
        output_config=form,
        extra_body={"fanout": {"check": True}},
    )
    assert checked.content[0].text == '{"n": 1}'
    assert len(checked.model_extra["fanout"]["attempts"]) == 2
