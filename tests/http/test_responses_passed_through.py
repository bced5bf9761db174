"""`POST /v1/responses` for a model whose vendor has this API: the bytes are the client's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from fanout.endpoints.sealed import seal
from fanout.providers import registry
from fanout.providers.base import Target
from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import answers, end, hang, piece, refuse, reply, wait
from tests.support.scripted_provider import Upstream

# Odd spaces, escapes, an unknown field, a hosted tool: nothing that JSON needs to keep.
SENT = (
    b' {"input": "\\u0048i \\/", "new_field": [1.50, {"\\u00e4":null}], "model":"native" ,'
    b'"tools":[{"type":"file_search","vector_store_ids":["vs_1"]}], "store": true,'
    b'"fanout": {"mode":"one"}, "timeout":30,"stream": %b }'
)
GOT = SENT.replace(b'"model":"native"', b'"model":"a"').replace(
    b'"fanout": {"mode":"one"}, "timeout":30,', b""
)
RESPONSE: dict[str, Any] = {
    "id": "resp_vendor",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "a-2026",
    "output": [
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12, "new": [1.5]},
    "new": None,
}
WHOLE = json.dumps(RESPONSE).encode().replace(b'"Hello"', b'"\\u0048ello"')


def event(number: int, kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": f"response.{kind}", "sequence_number": number, **fields}).encode()
    return b"event: response.%b\ndata: %b\n\n" % (kind.encode(), data)


BEGUN = {**RESPONSE, "status": "in_progress", "output": []}
FIRST = [
    event(0, "created", response=BEGUN),
    event(1, "in_progress", response=BEGUN),
    event(2, "web_search_call.searching", item_id="ws_1", output_index=0),
    event(3, "output_text.delta", item_id="msg_1", output_index=1, content_index=0, delta="Hello"),
]
EVENTS = [*FIRST, event(4, "completed", response=RESPONSE)]
RENAMED = b"".join(EVENTS).replace(b'"a-2026"', b'"native"')


@pytest.fixture
def native(upstream: Upstream) -> Iterator[RunningGateway]:
    """A gateway with a model that is marked, one of OpenAI's names, and one with chat alone."""
    upstream.reset()
    listed = [
        entry(upstream, "native", "openai/responses/a"),
        entry(upstream, "other", "openai/responses/c"),
        entry(upstream, "chat", "openai/b"),
    ]
    with serve({"model_list": listed, "router_settings": {"num_retries": 0}}) as served:
        yield served


def ask(gateway: RunningGateway, body: bytes) -> tuple[int, dict[str, str], bytes]:
    with gateway.ask(body, "/v1/responses") as response:
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, response.read()


def test_the_bytes_pass_both_ways(native: RunningGateway, upstream: Upstream) -> None:
    upstream.script("a", [reply(200, WHOLE)], [piece(b"".join(EVENTS)), end])
    status, headers, body = ask(native, SENT % b"false")
    assert (status, body) == (200, WHOLE.replace(b'"a-2026"', b'"native"'))
    assert "x-fanout-dropped" not in headers
    status, headers, body = ask(native, SENT % b"true")
    assert (status, body) == (200, RENAMED + b"data: [DONE]\n\n")
    calls = upstream.calls_to("a")
    assert [call.path for call in calls] == ["/v1/responses"] * 2
    assert [call.raw for call in calls] == [GOT % b"false", GOT % b"true"]


def test_a_model_with_chat_alone_rejects_what_only_the_api_has(
    native: RunningGateway, upstream: Upstream
) -> None:
    body = SENT.replace(b'"native"', b'"chat"') % b"false"
    status, _, found = ask(native, body)
    error = json.loads(found)["error"]
    assert (status, error["param"], error["code"]) == (
        400,
        "tools[0].type",
        "unsupported_parameter",
    )
    assert upstream.calls_to("b") == []


def test_what_is_unknown_here_passes_to_a_vendor_that_may_know_it(
    native: RunningGateway, upstream: Upstream
) -> None:
    hello = {"role": "user", "content": "Hi"}
    newkind = {"role": "user", "content": [{"type": "input_newkind", "x": 1}]}
    rows: list[tuple[Any, str]] = [
        ({"type": "compaction", "encrypted_content": "gAAAA"}, "input[1].type"),
        ({"type": "agent_message", "content": "x"}, "input[1].type"),
        (newkind, "input[1].content[0].type"),
        ({"type": "function_call_output", "call_id": "c", "output": newkind["content"]}, "input["),
        ({"role": "critic", "content": "Hi"}, "input[1].role"),
        ({"role": "user", "content": "effort zork"}, "reasoning.effort"),
    ]
    faults = []
    for item, param in rows:
        request: dict[str, Any] = {"model": "native", "input": [hello, item]}
        if param == "reasoning.effort":
            request["reasoning"] = {"effort": "zork"}
        upstream.script("a", [reply(200, WHOLE)])
        status, _, body = ask(native, json.dumps(request).encode())
        sent = upstream.calls_to("a")[-1].body["input"]
        if (status, sent) != (200, request["input"]):
            faults.append((item, status, body))
        status, _, body = ask(native, json.dumps({**request, "model": "chat"}).encode())
        if status != 400 or not json.loads(body)["error"]["param"].startswith(param):
            faults.append((item, status, body))
        upstream.script("a", [reply(200, WHOLE)])
        both = {**request, "model": "native, chat"}
        status, _, body = ask(native, json.dumps(both).encode())
        found = json.loads(body)
        is_right = status == 200 and found["fanout"]["responses"][0]["error"] is not None
        if not is_right:
            faults.append((item, status, body))
    assert faults == []


def test_what_only_its_maker_can_read_is_named_when_it_is_left_out(
    native: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("b", answers("Hello"))
    sealed = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}
    items = [{"role": "user", "content": "Hi"}, sealed, {"role": "user", "content": "And?"}]
    _, headers, _ = ask(native, json.dumps({"model": "chat", "input": items}).encode())
    assert headers["x-fanout-dropped"] == "input[].reasoning"


def test_a_race_with_a_report(native: RunningGateway, upstream: Upstream) -> None:
    for stream in (False, True):
        upstream.script("a", [piece(b"".join(EVENTS)), end])
        upstream.script("b", [hang])
        request = {"model": "native, chat", "fastest_response": True, "input": "Hi"}
        _, headers, body = ask(native, json.dumps({**request, "stream": stream}).encode())
        assert headers["x-fanout-winner"] == "native"
        if stream:
            assert body.startswith(RENAMED[: RENAMED.index(b"event: response.completed")])
            last = body.removesuffix(b"\n\ndata: [DONE]\n\n").split(b"data: ")[-1]
            body = json.dumps(json.loads(last)["response"]).encode()
        response = json.loads(body)
        assert response["fanout"]["attempts"][0]["outcome"] == "won"
        assert response["fanout"]["attempts"][0]["usage"]["total_tokens"] == 12
        del response["fanout"]
        assert response == {**RESPONSE, "model": "native"}


def test_a_rejection_is_no_error_of_the_server(native: RunningGateway, upstream: Upstream) -> None:
    upstream.script("a", [reply(200, WHOLE)])
    upstream.script("b", [refuse(400, "too odd", type="invalid_request_error")])
    body = json.dumps({"model": "native, chat", "input": "Hi"}).encode()
    (other,) = json.loads(ask(native, body)[2])["fanout"]["responses"]
    assert (other["error"]["code"], "too odd" in other["error"]["message"]) == (
        "invalid_prompt",
        True,
    )


def test_all_with_a_model_of_each_kind(native: RunningGateway, upstream: Upstream) -> None:
    for stream in (False, True):
        upstream.script("a", [piece(b"".join(EVENTS)), end] if stream else [reply(200, WHOLE)])
        upstream.script("b", answers("Bonjour"))
        body = json.dumps({"model": "native, chat", "input": "Hi", "stream": stream}).encode()
        found = ask(native, body)[2]
        if stream:
            last = found.removesuffix(b"\n\ndata: [DONE]\n\n").split(b"data: ")[-1]
            response = json.loads(last)["response"]
        else:
            response = json.loads(found)
            assert response["new"] is None
        both = [response, *response["fanout"]["responses"]]
        texts = {one["model"]: one["output"][0]["content"][0]["text"] for one in both}
        assert texts == {"native": "Hello", "chat": "Bonjour"}


def test_what_only_its_maker_can_read_is_not_passed(upstream: Upstream) -> None:
    """Encrypted reasoning is only for one model of one account, whatever name it has here."""
    user = {"role": "user", "content": "Hi"}
    ours = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "encrypted_content": seal({"thinking_blocks": [{}]}),
    }
    theirs = {**ours, "encrypted_content": "gAAA"}
    stored = {"type": "item_reference", "id": "rs_gAAA"}
    native = "openai/responses/a"
    listed = [
        *(entry(upstream, name, native) for name in ("native", "reached", "reached", "far")),
        entry(upstream, "reached too", native, api_key="sk-provider-other"),
        entry(upstream, "other", "openai/responses/c"),
        entry(upstream, "chat", "openai/b"),
    ]
    listed[4]["model_name"] = "far"  # two accounts
    config = {"model_list": listed, "router_settings": {"fallbacks": [{"reached": ["other"]}]}}
    faults = []
    with serve(config) as gateway:
        for item, model, passes in (
            (ours, "native", False),
            (theirs, "native", True),
            (theirs, "native, chat", True),
            (theirs, "native, other", False),
            (theirs, "far", False),
            (theirs, "reached", False),
            (stored, "native", True),
            (stored, "native, other", False),
            (stored, "far", False),
        ):
            upstream.reset()
            upstream.script("a", *[[reply(200, WHOLE)]] * 2)
            upstream.script("c", [reply(200, WHOLE)])
            upstream.script("b", answers("Hello"))
            body = {"model": model, "input": [user, item], "x": 1.50}
            status, headers, _ = ask(gateway, json.dumps(body).encode())
            sent = json.dumps(upstream.calls_to("a")[0].body)
            is_named = "reasoning" in headers.get("x-fanout-dropped", "")
            is_right = ("gAAA" in sent) is passes and "fanout1." not in sent
            if status != 200 or not is_right or (passes and model == "native" and is_named):
                faults.append((model, sent, headers))
            if model in {"far", "reached"} and not (is_named and '"x": 1.5' in sent):
                faults.append((model, sent, headers))
        upstream.script("a", [reply(200, WHOLE)])
        body = {"model": "native", "store": False, "input": [user, stored]}
        _, headers, _ = ask(gateway, json.dumps(body).encode())
        assert headers["x-fanout-dropped"] == "input[].reasoning"
        assert upstream.calls_to("a")[-1].body["input"] == [user]
    assert faults == []


def test_only_what_other_models_left_is_left_out(
    native: RunningGateway, upstream: Upstream
) -> None:
    user = {"role": "user", "content": "Hi"}
    ours = {"type": "reasoning", "summary": [], "encrypted_content": seal({})}
    call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c" * 65}
    output = {"type": "function_call_output", "call_id": "c" * 65, "output": "1"}
    tools = [{"type": "file_search", "vector_store_ids": ["vs_1"]}]
    items = [user, ours, {**call, "extra_content": {"other": 1}}, output, user]
    upstream.script("a", [reply(200, WHOLE)])
    request = {"model": "native", "input": items, "tools": tools, "x": 1.5}
    status, headers, _ = ask(native, json.dumps(request).encode())
    sent = upstream.calls_to("a")[-1].body
    assert (status, headers["x-fanout-dropped"]) == (200, "input[].reasoning")
    assert (sent["tools"], sent["x"]) == (tools, 1.5)
    short = {"call_id": sent["input"][1]["call_id"]}
    assert sent["input"] == [user, {**call, **short}, {**output, **short}, user]
    assert len(short["call_id"]) <= 64


def test_a_failure_amid_a_stream_keeps_what_the_vendor_sent(
    native: RunningGateway, upstream: Upstream
) -> None:
    begun = {**BEGUN, "created_at": 7, "store": True}
    item = {**RESPONSE["output"][0], "content": [], "status": "in_progress"}
    first = [
        event(0, "created", response=begun),
        event(1, "output_item.added", output_index=0, item=item),
        event(2, "output_text.delta", item_id="msg_1", output_index=0, delta="Hello"),
    ]
    error = {"code": "rate_limit_exceeded", "message": "Try again in 2s"}
    failed = {**RESPONSE, **begun, "status": "failed", "error": error, "output": [], "new": [1]}
    for last, output, usage, code in (
        ([], "Hello", None, "server_error"),
        ([event(3, "failed", response=failed)], "", RESPONSE["usage"], "rate_limit_exceeded"),
    ):
        upstream.script("a", [*map(piece, [*first, *last]), end])
        body = ask(native, b'{"model":"native","input":"Hi","stream":true}')[2]
        *_, told, found, done = body.removesuffix(b"\n\n").split(b"data: ")
        shown, ended = (json.loads(part.split(b"\n")[0]) for part in (told, found))
        response = ended["response"]
        assert (shown["type"], shown["sequence_number"], done) == ("error", 3, b"[DONE]")
        assert (ended["type"], ended["sequence_number"]) == ("response.failed", 4)
        assert (response["id"], response["created_at"]) == ("resp_vendor", 7)
        assert (response["model"], response["store"]) == ("native", False)
        texts = [one["content"][0]["text"] for one in response["output"]]
        assert "".join(texts) == output
        assert response["error"]["code"] == code
        assert usage is None or response["usage"] == usage


def test_what_a_vendor_stores_is_not_stored_here(
    native: RunningGateway, upstream: Upstream
) -> None:
    stored = json.dumps({**RESPONSE, "store": True}).encode()
    begun = event(0, "created", response={**BEGUN, "store": True})
    ended = event(1, "completed", response={**RESPONSE, "store": True})
    upstream.script("a", [reply(200, stored)], [piece(begun + ended), end])
    for flag in (b"false", b"true"):
        body = ask(native, SENT % flag)[2]
        assert b'"store": false' in body.replace(b":false", b": false")
        assert b'"store": true' not in body
        assert upstream.calls_to("a")[-1].body["store"] is True


def test_a_silence_begins_the_response_once(upstream: Upstream) -> None:
    upstream.reset()
    gate = upstream.gate()
    upstream.script("a", [piece(b"".join(FIRST[:2])), wait(gate), piece(b"".join(EVENTS[2:])), end])
    config = {"model_list": [entry(upstream, "native", "openai/responses/a")]}
    with (
        serve(config, keep_alive=0.02) as served,
        openai.OpenAI(api_key="k", base_url=f"{served.url}/v1", max_retries=0) as client,
        client.responses.create(model="native", input="Hi", stream=True) as events,
    ):
        seen = []
        for one in events:
            seen.append(one)
            gate.open()
    kinds = [one.type for one in seen]
    assert kinds.count("response.created") == 1
    assert kinds[0] == "response.created"
    first, last = seen[0], seen[-1]
    assert first.type == "response.created"
    assert last.type == "response.completed"
    assert first.response.id == last.response.id
    assert last.response.output_text == "Hello"


def test_which_models_have_the_api() -> None:
    own: dict[str, str] = {}
    other = {"api_base": "http://127.0.0.1:1/v1"}
    dated = {"api_base": "https://x.openai.azure.com", "api_version": "2024-10-21"}
    rows: list[tuple[str, str, dict[str, str], bool]] = [
        ("openai", "gpt-5", own, True),
        ("openai", "gpt-4o-search-preview", own, False),
        ("openai", "gpt-5", other, False),
        ("openai", "responses/gpt-oss", other, True),
        ("openai", "o3-pro", other, True),
        ("azure", "gpt-5", {"api_base": "https://x.openai.azure.com"}, True),
        ("azure", "gpt-5", dated, False),
        ("azure", "responses/gpt-5", dated, True),
        ("groq", "llama", own, False),
    ]
    found = [
        registry.find(provider).pass_through("responses", Target("n", model, options=options))
        for provider, model, options, _ in rows
    ]
    assert [codec is not None for codec in found] == [has for *_, has in rows]


def test_the_vendor_counts_tokens(native: RunningGateway, upstream: Upstream) -> None:
    counted = b'{"object":"response.input_tokens","input_tokens":77}'
    upstream.script("a", [reply(200, counted)])
    body = {"model": "native", "input": "Hi", "store": False}
    status, headers, found = native.json(body, "/v1/responses/input_tokens")
    assert (status, found, headers["x-fanout-tokens"]) == (200, json.loads(counted), "counted")
    [call] = upstream.calls_to("a")
    assert (call.path, call.body) == (
        "/v1/responses/input_tokens",
        {"model": "a", "input": "Hi"},
    )


def test_a_checked_request_is_translated(native: RunningGateway, upstream: Upstream) -> None:
    schema = {"type": "object", "required": ["city"]}
    fenced = WHOLE.replace(b'"\\u0048ello"', b'"```json\\n{\\"city\\": \\"Ulm\\"}\\n```"')
    upstream.script("a", [reply(200, fenced)])
    body = {"model": "native", "input": "Hi", "fanout": {"schema": schema, "check": True}}
    _, _, found = native.json(body, "/v1/responses")
    [call] = upstream.calls_to("a")
    assert call.body["text"]["format"]["schema"]["required"] == ["city"]
    assert json.loads(found["output"][0]["content"][0]["text"]) == {"city": "Ulm"}
