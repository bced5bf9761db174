"""The second turn of a conversation by Anthropic's API, with each vendor after each vendor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.test_messages import CLAUDE_CODE
from tests.http.test_second_turn import VENDORS, StrictVendors
from tests.support.gateway_server import entry, serve
from tests.support.in_process import InProcess, run_in_process
from tests.support.provider_steps import end, piece, reply
from tests.support.scripted_provider import Upstream

U = {"role": "user", "content": "Hello."}
ASK = {"max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2000}}


@pytest.fixture(scope="module")
def app() -> Iterator[InProcess]:
    """All vendors; Claude on Bedrock by Converse, because the vendors' double has only that."""
    listed = [
        {
            "model_name": name,
            "litellm_params": {
                "model": model.replace("bedrock/", "bedrock/converse/"),
                "api_key": "k",
                "api_base": f"https://{name}.test",
            },
        }
        for name, (model, _, _) in VENDORS.items()
    ]
    config = {"model_list": listed, "router_settings": {"num_retries": 0}}
    with run_in_process(config, StrictVendors()) as running:
        yield running


def post(app: InProcess, **fields: Any) -> bytes:
    body = json.dumps({**ASK, **fields}).encode()
    response = app.ask("POST", "/v1/messages", [body], [(b"content-type", b"application/json")])
    assert response.status == 200, response.body
    return response.body


def streamed_content(body: bytes) -> list[Any]:
    """The blocks of a message's events; each block ends before the next one begins."""
    blocks: list[Any] = []
    for data in (line[6:] for line in body.split(b"\n") if line.startswith(b"data: ")):
        event = json.loads(data)
        match event["type"]:
            case "content_block_start":
                assert event["index"] == len(blocks)
                blocks.append({**event["content_block"], "json": ""})
            case "content_block_delta":
                assert event["index"] == len(blocks) - 1
                delta = {k: v for k, v in event["delta"].items() if k != "type"}
                for field, text in delta.items():
                    name = "json" if field == "partial_json" else field
                    blocks[-1][name] = blocks[-1].get(name, "") + text
            case _:
                pass
    for block in blocks:
        text = block.pop("json")
        if block["type"] == "tool_use":
            block["input"] = json.loads(text or "{}")
    return blocks


def tools_of(content: list[Any]) -> dict[str, Any]:
    """The tools that were called, which Anthropic's API requires."""
    names = dict.fromkeys(block["name"] for block in content if block["type"] == "tool_use")
    schema = {"type": "object", "properties": {}}
    tools = [{"name": name, "input_schema": schema} for name in names]
    return {"tools": tools} if tools else {}


def next_turn(content: list[Any]) -> list[Any]:
    calls = [block["id"] for block in content if block["type"] == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": one, "content": "1"} for one in calls]
    text = {"type": "text", "text": "Go on."}
    return [
        U,
        {"role": "assistant", "content": content},
        {"role": "user", "content": [*results, text]},
    ]


def test_every_model_responds_to_a_turn_that_another_has_begun(app: InProcess) -> None:
    wrong = []
    for name in VENDORS:
        whole = json.loads(post(app, model=name, messages=[U]))["content"]
        streamed = streamed_content(post(app, model=name, messages=[U], stream=True))
        assert whole, name
        assert streamed, name
        for content in (whole, streamed):
            turns = {"messages": next_turn(content), **tools_of(content)}
            found = json.loads(post(app, model=[*VENDORS], **turns))
            others = found["fanout"]["responses"]
            wrong += [(name, one) for one in others if one["type"] == "error"]
            assert len(others) == len(VENDORS) - 1
    assert wrong == []


def test_every_vendor_accepts_claude_codes_requests(app: InProcess) -> None:
    """Anthropic's double has no betas, so its own fields are not sent to it here."""
    wrong = []
    for sent in (CLAUDE_CODE["first"], CLAUDE_CODE["after_tool"]):
        headers = [(name.encode(), value.encode()) for name, value in sent["headers"].items()]
        for name in VENDORS.keys() - {"anthropic"}:
            body = json.dumps({**sent["body"], "model": name}).encode()
            response = app.ask("POST", "/v1/messages", [body], headers, b"beta=true")
            if response.status != 200 or b"event: message_stop" not in response.body:
                wrong.append((name, response.body[:300]))
    assert wrong == []


THOUGHTS: list[dict[str, Any]] = [
    {"type": "reasoning", "id": f"rs_{n}", "summary": [], "encrypted_content": f"ENC{n}"}
    for n in (1, 2)
]
SAID = {"type": "message", "content": [{"type": "output_text", "text": "Let me look."}]}
CALLED = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}
OUTPUT = [THOUGHTS[0], SAID, THOUGHTS[1], CALLED]


def test_encrypted_reasoning_goes_back_to_its_maker_alone(upstream: Upstream) -> None:
    whole = {"id": "r", "created_at": 1, "model": "a-2026", "status": "completed", "output": OUTPUT}
    events: list[dict[str, Any]] = [
        {"type": "response.output_item.done", "output_index": number, "item": item}
        for number, item in enumerate(OUTPUT)
    ]
    events.append({"type": "response.completed", "response": whole})
    stream = b"".join(b"data: %b\n\n" % json.dumps(one).encode() for one in events)
    native = "openai/responses/a"
    listed = [
        entry(upstream, "maker", native, api_key="k"),
        entry(upstream, "twins", native, api_key="k"),
        entry(upstream, "twins", native, api_key="other"),
        entry(upstream, "other", "openai/responses/c", api_key="k"),
    ]
    answer = reply(200, json.dumps(whole).encode())
    wrong = []
    with serve({"model_list": listed}) as gateway:
        first = {**ASK, "model": "maker", "messages": [U]}
        upstream.script("a", [answer], [piece(stream), end])
        _, _, message = gateway.json(first, "/v1/messages")
        with gateway.ask({**first, "stream": True}, "/v1/messages") as response:
            streamed = streamed_content(response.read())
        assert [one["type"] for one in message["content"]] == ["thinking", "text", "tool_use"]
        kinds = ["thinking", "text", "thinking", "tool_use"]
        assert [one["type"] for one in streamed] == kinds
        for content in (message["content"], streamed):
            for model, script, expected in (
                ("maker", "a", ["ENC1", "ENC2"]),
                ("maker, other", "a", ["ENC1", "ENC2"]),
                ("maker, other", "c", []),
                ("other", "c", []),
                ("twins", "a", []),
            ):
                upstream.reset()
                upstream.script("a", [answer])
                upstream.script("c", [answer])
                second = {**ASK, "model": model, "messages": next_turn(content)}
                status, _, _ = gateway.json(second, "/v1/messages")
                sent = upstream.calls_to(script)[0].body["input"]
                found = [one["encrypted_content"] for one in sent if one.get("type") == "reasoning"]
                if (status, found) != (200, expected) or "fanout1." in json.dumps(sent):
                    wrong.append((model, script, status, sent))
    assert wrong == []
