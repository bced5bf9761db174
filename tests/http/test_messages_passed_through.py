"""`POST /v1/messages` for a model whose vendor has this API: the bytes are the client's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import answers, end, piece, refuse, reply
from tests.support.scripted_provider import Upstream

HI: Any = [{"role": "user", "content": "Hi"}]
CLAUDE_CODE = json.loads((Path(__file__).parent / "claude_code_requests.json").read_text())

# Odd spaces, escapes, an unknown field, a signature: nothing that JSON needs to keep.
SENT = (
    b' {"max_tokens" : 9, "new_field": [1.50, {"\\u00e4":null}], "model":"claude" ,'
    b'"messages":[{"role":"user","content":"\\u0048i \\/"},{"role":"assistant","content":['
    b'{"type":"thinking","thinking":"t","signature":"c2ln\\/bmVk"}, {"type":"text","text":"x"}]},'
    b'{"role":"user","content":"And?"}],"fanout": {"mode":"one"}, "timeout":30,"stream": %b }'
)
GOT = SENT.replace(b'"model":"claude"', b'"model":"claude-x"').replace(
    b',"fanout": {"mode":"one"}, "timeout":30,', b","
)
WHOLE = (
    b'{"id": "msg_1", "type":"message","role":"assistant","model":"claude-x-2026","content":['
    b'{"type":"thinking","thinking":"Hm","signature":"c2ln\\/"},{"type":"text","text":"Hello"}],'
    b'"stop_reason":"end_turn", "stop_sequence":null,"usage":{"input_tokens":5,'
    b'"output_tokens":7,"cache_read_input_tokens":4,"new":1}, "context_management":{"a":[]}}'
)


def named(data: bytes) -> bytes:
    """An event with its name."""
    return b"event: %b\ndata: %b\n\n" % (json.loads(data)["type"].encode(), data)


START = (
    b'{"type":"message_start", "message":{"id":"msg_1","type":"message","role":"assistant",'
    b'"model":"claude-x-2026","content":[],"stop_reason":null,'
    b'"usage":{"input_tokens":5,"output_tokens":1}}}'
)
BLOCK = b'{"type":"content_block_start","index":%d,"content_block":%b}'
DELTA = b'{"type":"content_block_delta","index":%d,"delta":%b}'
CALL = b'{"type":"tool_use","id":"toolu_1","name":"weather","input":{}}'
END = (
    b'{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},'
    b'"usage":{"output_tokens":7}, "context_management":{}}'
)
EVENTS = [
    named(data)
    for data in (
        START,
        b'{"type": "ping"}',
        BLOCK % (0, b'{"type":"thinking","thinking":"","signature":""}'),
        DELTA % (0, b'{"type":"thinking_delta","thinking":"H\\u006d"}'),
        DELTA % (0, b'{"type":"signature_delta","signature":"c2ln\\/"}'),
        b'{"type":"content_block_stop","index":0 }',
        b'{"type":"new_event","x":[1.0]}',
        BLOCK % (1, CALL),
        DELTA % (1, rb'{"type":"input_json_delta","partial_json":"{\"city\": \"Ulm\"}"}'),
        b'{"type":"content_block_stop","index":1}',
        END,
        b'{"type":"message_stop"}',
    )
]
STREAM = b"".join(EVENTS)


def streamed(*events: bytes) -> list[Any]:
    return [*map(piece, events), end]


def renamed(data: bytes) -> bytes:
    """With the client's name of the model."""
    return data.replace(b'"model":"claude-x-2026"', b'"model":"claude"')


def post(
    server: RunningGateway, body: Any, headers: Mapping[str, str] = {}
) -> tuple[int, Any, bytes]:
    with server.ask(body, "/v1/messages?beta=true", headers=headers) as response:
        return response.status, response.headers, response.read()


@pytest.fixture
def client(server: RunningGateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="anything", base_url=server.url, max_retries=0) as made:
        yield made


def test_every_byte_but_the_models_name_passes_both_ways(
    server: RunningGateway, upstream: Upstream
) -> None:
    given = {"anthropic-version": "2026-10-21", "anthropic-beta": "a-1,b-2", "x-api-key": "mine"}
    for stream, script, wanted in (
        (b"false", [reply(200, WHOLE)], WHOLE),
        (b"true", streamed(STREAM), STREAM),
        (b"true", streamed(*EVENTS), STREAM),
    ):
        upstream.script("claude-x", script)
        status, headers, got = post(server, SENT % stream, given)
        call = upstream.calls_to("claude-x")[-1]
        assert call.raw == GOT % stream
        sent = {name: call.headers.get(name) for name in ("anthropic-version", "anthropic-beta")}
        assert sent == {"anthropic-version": "2026-10-21", "anthropic-beta": "a-1,b-2"}
        assert call.headers["x-api-key"] == "sk-provider-claude"
        assert "mine" not in str(call.headers)
        assert (status, got) == (200, renamed(wanted))
        assert (headers["x-fanout-winner"], headers["x-fanout-dropped"]) == ("claude", None)
        used: Any = server.observer.attempts[-1].usage
        assert used["completion_tokens"] == 7


def test_claude_codes_requests_pass_as_they_are(server: RunningGateway, upstream: Upstream) -> None:
    upstream.script("claude-x", streamed(STREAM))
    for name in ("first", "after_tool"):
        sent = CLAUDE_CODE[name]
        body = json.dumps({**sent["body"], "model": "claude"}).encode()
        status, _, got = post(server, body, sent["headers"])
        call = upstream.calls_to("claude-x")[-1]
        assert call.raw == body.replace(b'"model": "claude"', b'"model": "claude-x"', 1)
        assert call.headers["anthropic-beta"] == sent["headers"]["anthropic-beta"]
        assert (status, got) == (200, renamed(STREAM))


def test_a_vendors_rejection_reaches_the_client_word_for_word(
    server: RunningGateway, upstream: Upstream
) -> None:
    texts = (
        "context_management: Extra inputs are not permitted",
        "max_tokens: 128000 > 8192, which is the maximum allowed number of output tokens for x",
        "prompt is too long: 210000 tokens > 200000 maximum",
    )
    for text in texts:
        upstream.script("claude-x", [refuse(400, type="invalid_request_error", message=text)])
        for flag in (b"false", b"true"):
            status, _, got = post(server, SENT % flag)
            error = json.loads(got)["error"]
            assert (status, error) == (400, {"type": "invalid_request_error", "message": text})
    upstream.script("claude-x", [refuse(529, type="overloaded_error", message="Overloaded")])
    status, _, got = post(server, SENT % b"false")
    assert (status, json.loads(got)["error"]["type"]) == (529, "overloaded_error")


def test_both_lanes_compete_in_a_race(client: anthropic.Anthropic, upstream: Upstream) -> None:
    upstream.script("a", [refuse(503, message="full")])
    upstream.script("claude-x", streamed(STREAM))
    race: Any = {
        "model": "a, claude",
        "max_tokens": 9,
        "messages": HI,
        "extra_body": {"fastest_response": True},
    }
    whole: Any = client.messages.create(**race)
    with client.messages.stream(**race) as stream:
        deltas: Any = [event for event in stream if event.type == "message_delta"]
        joined: Any = stream.get_final_message()
    assert upstream.calls_to("claude-x")[-2].body["stream"] is True
    for message in (whole, joined):
        assert (message.model, message.stop_reason) == ("claude", "tool_use")
        thought, call = message.content
        assert (thought.thinking, thought.signature) == ("Hm", "c2ln/")
        assert (call.id, call.input) == ("toolu_1", {"city": "Ulm"})
        assert (message.usage.input_tokens, message.usage.output_tokens) == (5, 7)
    for report in (whole.model_extra["fanout"], deltas[-1].model_extra["fanout"]):
        loser, winner = report["attempts"]
        assert loser["outcome"] in {"cancelled", "failed"}  # whichever is first
        assert winner["outcome"] == "won"
    upstream.script("claude-x", [reply(200, WHOLE)])
    every: Any = client.messages.create(model="a, claude", max_tokens=9, messages=HI)
    assert [block.type for block in every.content] == ["thinking", "text"]
    assert every.content[0].signature == "c2ln/"


def test_a_fallback_of_another_vendor_gets_a_translation(
    client: anthropic.Anthropic, upstream: Upstream
) -> None:
    upstream.script("claude-x", [refuse(503, message="full")])
    upstream.script("a", answers("from a"))
    made: Any = client.messages.with_raw_response.create(
        model="claude",
        max_tokens=9,
        messages=HI,
        extra_body={"fallbacks": ["a"], "context_management": {}},
    )
    assert made.parse().content[0].text == "from a"
    assert made.headers["x-fanout-dropped"] == "context_management"
    assert upstream.calls_to("claude-x")[-1].body.keys() == {
        *("context_management", "max_tokens", "messages", "model")
    }


def test_thinking_of_other_models_and_their_ids_never_reach_anthropic(
    server: RunningGateway, upstream: Upstream
) -> None:
    """They are left out or replaced, and what only Anthropic's API has is still passed on."""
    upstream.script("claude-x", [reply(200, WHOLE)])
    blocks: Any = [
        [{"type": "thinking", "thinking": "secret", "signature": "fanout-unsigned"}],
        [{"type": "thinking", "thinking": "secret", "signature": ""}],
        [{"type": "tool_use", "id": "functions.weather:0", "name": "weather", "input": {}}],
    ]
    for own in blocks:
        history = [*HI, {"role": "assistant", "content": [*own, {"type": "text", "text": "x"}]}]
        result = {"type": "tool_result", "tool_use_id": "functions.weather:0", "content": "wet"}
        results = [result] if own[0]["type"] == "tool_use" else []
        history.append({"role": "user", "content": [*results, {"type": "text", "text": "y"}]})
        search = {"type": "web_search_20250305", "name": "web_search"}
        tools = [{"name": "weather", "input_schema": {"type": "object"}}, search]
        body = {"model": "claude", "max_tokens": 9, "messages": history, "tools": tools, "new": 1.5}
        status, headers, got = post(server, body)
        raw = upstream.calls_to("claude-x")[-1].raw
        sent = json.loads(raw)
        assert (sent["tools"], sent["new"], sent["messages"][0]) == (tools, 1.5, HI[0])
        if results:
            use, result = sent["messages"][1]["content"][0], sent["messages"][2]["content"][0]
            assert use["id"] == result["tool_use_id"]
        else:
            assert headers["x-fanout-dropped"] == "messages[].content[].thinking"
        assert (status, json.loads(got)["type"]) == (200, "message")
        assert b"secret" not in raw
        assert b"functions.weather:0" not in raw


def test_a_client_with_some_models_cannot_choose_another_by_a_vendors_field(
    provider: Upstream, upstream: Upstream
) -> None:
    config = {
        "model_list": [entry(provider, "claude", "anthropic/claude-x")],
        "general_settings": {"keys": [{"name": "some", "key": "sk-some", "models": ["claude"]}]},
    }
    upstream.script("claude-x", [reply(200, WHOLE)])
    ask: Any = {"model": "claude", "max_tokens": 9, "messages": HI}
    advisor = {"type": "advisor_20260301", "name": "advisor", "model": "claude-other"}
    with serve(config) as server:
        for fields, wanted in (
            ({}, 200),
            ({"context_management": {}}, 200),
            ({"advisor_model": "other"}, 403),
            ({"tools": [advisor]}, 403),
        ):
            both = {"authorization": "Bearer sk-some", "x-api-key": "sk-some"}
            for headers in (both, {"x-api-key": "sk-some"}):
                status, _, got = post(server, {**ask, **fields}, headers)
                assert (fields, status) == (fields, wanted)
        assert json.loads(got)["error"]["type"] == "permission_error"
        assert post(server, ask)[0] == 401


def test_tokens_are_counted_by_the_vendor_or_estimated(
    client: anthropic.Anthropic, server: RunningGateway, upstream: Upstream
) -> None:
    sent = CLAUDE_CODE["count_tokens"]
    body = json.dumps({**sent["body"], "model": "claude"}).encode()
    words = b'{"type":"error","error":{"type":"invalid_request_error","message":"no"}}'
    for script, wanted in (
        (reply(200, b'{"input_tokens": 77}'), (200, {"input_tokens": 77}, "counted")),
        (reply(400, words), (400, json.loads(words), None)),
        (reply(404, b"{}"), (200, {"input_tokens": 26}, "estimated")),
        (reply(200, b"<html>"), (200, {"input_tokens": 26}, "estimated")),
    ):
        upstream.script("claude-x", [script])
        status, headers, found = server.json(body, sent["path"], headers=sent["headers"])
        assert (status, found, headers.get("x-fanout-tokens")) == wanted
        call = upstream.calls[-1]
        assert call.path == sent["path"] == "/v1/messages/count_tokens?beta=true"
        assert call.raw == body.replace(b'"model": "claude"', b'"model": "claude-x"')
    image = {"type": "base64", "media_type": "image/png", "data": "A" * 100_000}
    content: Any = [{"type": "image", "source": image}]
    estimate = client.messages.count_tokens(
        model="a", messages=[{"role": "user", "content": content}]
    )
    assert 1_600 < estimate.input_tokens < 1_700
    with pytest.raises(anthropic.NotFoundError):
        client.messages.count_tokens(model="none", messages=HI)


def test_gemini_counts_the_tokens_of_a_translated_prompt(upstream: Upstream) -> None:
    upstream.reset()
    listed = entry(upstream, "gem", "gemini/gemini-2.5-flash", api_base=upstream.url)
    rows: list[tuple[Any, int, str]] = [
        (reply(200, b'{"totalTokens": 31, "promptTokensDetails": []}'), 31, "counted"),
        (reply(400, b'{"error":{"code":400,"message":"x","status":"INVALID"}}'), 0, "estimated"),
        (reply(200, b"{}"), 0, "estimated"),
    ]
    faults: list[Any] = []
    with serve({"model_list": [listed]}) as gateway:
        for script, count, source in rows:
            for path, prompt in (
                ("/v1/messages/count_tokens", {"messages": HI, "system": "Be brief."}),
                ("/v1/responses/input_tokens", {"input": HI, "instructions": "Be brief."}),
            ):
                upstream.script("", [script])
                status, headers, found = gateway.json({"model": "gem", **prompt}, path)
                number = found["input_tokens"]
                is_right = number == count if count else 0 < number < 31
                if not is_right or (status, headers["x-fanout-tokens"]) != (200, source):
                    faults.append((path, source, status, headers, found))
                sent = upstream.calls[-1]
                asked = sent.body["generateContentRequest"]
                if "systemInstruction" not in asked or not sent.path.endswith(":countTokens"):
                    faults.append((path, sent.path, sent.body))
    assert faults == []


def test_the_list_of_models_serves_both_vendors_sdks(
    client: anthropic.Anthropic, server: RunningGateway
) -> None:
    page = client.models.list(limit=1000)
    names = [one.id for one in page]
    assert (names[0], page.first_id, page.last_id) == ("a", names[0], names[-1])
    assert (page.has_more, page.data[0].display_name) == (False, "a")
    assert page.data[0].created_at.year == 2023
    assert client.models.retrieve("claude").type == "model"
    with openai.OpenAI(api_key="k", base_url=f"{server.url}/v1") as other:
        assert [one.id for one in other.models.list()] == names
    with server.ask(None, "/api/hello", "HEAD") as response:
        assert response.status == 200


def test_fields_that_the_gateway_adds_and_the_vendors_own_fallbacks(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("claude-x", [reply(200, WHOLE)])
    ask: Any = {"model": "claude", "max_tokens": 2000, "messages": HI}
    schema = {"type": "object", "properties": {}}
    post(server, {**ask, "fanout": {"schema": schema, "check": False}})
    sent = upstream.calls_to("claude-x")[-1].body
    assert "fanout" not in sent
    assert "schema" in json.dumps(sent).lower()
    fallbacks = [{"model": "claude-other"}]
    betas = {"anthropic-beta": "server-side-fallback-2026-06-01"}
    assert post(server, {**ask, "fallbacks": fallbacks}, betas)[0] == 200
    assert upstream.calls_to("claude-x")[-1].body["fallbacks"] == fallbacks
