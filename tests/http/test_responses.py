"""OpenAI's SDK as the judge of `POST /v1/responses`: create, streams, the helper, parsed output."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.responses import ResponseCustomToolCall
from openai.types.responses.response_output_item import ImageGenerationCall
from pydantic import BaseModel

from tests.http.responses_scripts import WEATHER, breaks, responds
from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import answers, hang, refuse, role, say, slow_and_fast, wait
from tests.support.scripted_provider import Upstream

TOOL: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": None,
}


class Answer(BaseModel):
    city: str


@pytest.fixture
def sdk(server: RunningGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=0) as client:
        yield client


def stream(server: RunningGateway, **body: Any) -> list[dict[str, Any]]:
    """The events of a streamed response; each has its own name, and they are numbered."""
    with server.ask({"model": "a", "input": "Hi", **body, "stream": True}, "/v1/responses") as got:
        text = got.read().decode()
    *blocks, last = text.removesuffix("\n\n").split("\n\n")
    events = []
    for block in [*blocks, last]:
        name, _, data = block.partition("\n")
        if block == "data: [DONE]":
            events.append({"type": "[DONE]"})
            continue
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        assert event["sequence_number"] == len(events)
        events.append(event)
    return events


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """The names of the events, without `response.`; repeated ones once."""
    names = [event["type"].removeprefix("response.") for event in events]
    return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]


PATCH_TOOL: Any = {"type": "custom", "name": "patch", "description": "Changes files"}
PATCH_CALL = {
    "id": "call_4",
    "type": "function",
    "function": {"name": "patch", "arguments": '{"input": "*** Begin\\n+ \\"a\\""}'},
}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}
MESSAGES: list[tuple[dict[str, Any], str]] = [
    ({"content": "Hello you"}, "stop"),
    ({"content": "Hello"}, "length"),
    ({"content": "Hel"}, "content_filter"),
    ({"content": None, "refusal": "I cannot"}, "stop"),
    ({"reasoning_content": "Let me think", "content": "Hello"}, "stop"),
    ({"content": None, "tool_calls": [WEATHER]}, "tool_calls"),
    ({"content": "Wait", "tool_calls": [WEATHER, {**WEATHER, "id": "call_2"}]}, "tool_calls"),
    (
        {
            "content": None,
            "tool_calls": [
                {"id": "call_3", "type": "custom", "custom": {"name": "sh", "input": "ls -l"}}
            ],
        },
        "tool_calls",
    ),
    ({"content": None, "tool_calls": [PATCH_CALL, WEATHER]}, "tool_calls"),
    ({"content": "See", "images": [IMAGE]}, "stop"),
    ({"content": None, "images": [IMAGE]}, "stop"),
    (
        {
            "content": "See it",
            "annotations": [
                {"type": "url_citation", "url_citation": {"url": "http://x", "title": "X"}}
            ],
        },
        "stop",
    ),
    ({"content": ""}, "stop"),
]


def test_a_streamed_response_is_the_plain_one(
    sdk: openai.OpenAI, server: RunningGateway, upstream: Upstream
) -> None:
    faults = []
    for message, reason in MESSAGES:
        upstream.script("a", *[responds(message, reason)] * 2)
        plain = sdk.responses.create(model="a", input="Hi", tools=[TOOL, PATCH_TOOL])
        events = stream(server, tools=[TOOL, PATCH_TOOL])
        streamed = events[-2]["response"]
        whole: Any = plain.to_dict()
        assert plain.status == ("completed" if reason in {"stop", "tool_calls"} else "incomplete")
        assert events[-2]["type"] == f"response.{plain.status}"
        done = [e["item"] for e in events if e["type"] == "response.output_item.done"]
        assert done == streamed["output"]
        for one in (whole, streamed):
            ids = [item.pop("id") for item in one["output"]]
            assert len({*ids}) == len(ids)
            for name in ("id", "created_at", "completed_at"):
                one.pop(name, None)
        if whole != streamed:
            faults.append((message, whole, streamed))
    assert faults == []


def test_a_custom_tool_is_a_function_with_one_text_elsewhere(
    sdk: openai.OpenAI, server: RunningGateway, upstream: Upstream
) -> None:
    """Codex offers `apply_patch` as a custom tool."""
    upstream.script(
        "a", *[responds({"content": None, "tool_calls": [PATCH_CALL]}, "tool_calls")] * 2
    )
    asked: Any = {"role": "user", "content": "Fix it"}
    choice: Any = {"type": "custom", "name": "patch"}
    response = sdk.responses.create(
        model="a", input=[asked], tools=[PATCH_TOOL], tool_choice=choice
    )
    events = stream(server, input=[asked], tools=[PATCH_TOOL])
    deltas = [e["delta"] for e in events if e["type"] == "response.custom_tool_call_input.delta"]
    [item] = response.output
    text = '*** Begin\n+ "a"'
    assert isinstance(item, ResponseCustomToolCall)
    assert (item.name, item.input, item.call_id, deltas) == ("patch", text, "call_4", [text])
    upstream.script("a", answers("Done"))
    result: Any = {"type": "custom_tool_call_output", "call_id": "call_4", "output": "ok"}
    history: Any = [asked, item.to_dict(), result]
    assert sdk.responses.create(model="a", input=history, tools=[PATCH_TOOL]).output_text == "Done"
    first, _, second = upstream.calls_to("a")
    assert first.body["tools"][0]["function"]["description"] == "Changes files"
    assert first.body["tool_choice"] == {"type": "function", "function": {"name": "patch"}}
    _, called, returned = second.body["messages"]
    [call] = called["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"input": text}
    assert (returned["role"], returned["content"]) == ("tool", "ok")


def test_an_image_that_a_model_makes_is_an_item_and_goes_back(
    sdk: openai.OpenAI, server: RunningGateway, upstream: Upstream
) -> None:
    far = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    cited = {"type": "url_citation", "url_citation": {"url": "http://x", "title": "X"}}
    spoken = {"content": "See", "images": [IMAGE, far], "audio": {"data": "AA=="}}
    spoken["annotations"] = [cited]
    upstream.script("a", responds(spoken), *[answers("Nice")] * 2)
    asked: Any = {"role": "user", "content": "Draw"}
    got = sdk.responses.with_raw_response.create(model="a", input=[asked])
    response = got.parse()
    assert got.headers["x-fanout-dropped"] == "output.audio, output.images"
    text, image = response.output
    assert isinstance(image, ImageGenerationCall)
    assert (image.result, image.status) == ("iVBORw==", "completed")
    history: Any = [asked, text.to_dict(), image.to_dict(), {"role": "user", "content": "And?"}]
    chat = sdk.responses.with_raw_response.create(model="a", input=history)
    named = chat.headers["x-fanout-dropped"]  # of a vendor with OpenAI's API
    names = ("input[].image_generation_call", "input[].content[].annotations")
    assert [name in named for name in names] == [True, True]
    history = [asked, image.to_dict(), {"role": "user", "content": "And?"}]
    assert sdk.responses.create(model="a", input=history).output_text == "Nice"
    upstream.script("a", responds(spoken))
    body = {"model": "a", "max_tokens": 9, "messages": [asked]}
    _, headers, message = server.json(body, "/v1/messages")
    lost = "output.annotations, output.audio, output.images"
    assert headers["x-fanout-dropped"] == lost
    assert [block["type"] for block in message["content"]] == ["text"]


def test_the_events_have_openais_order(server: RunningGateway, upstream: Upstream) -> None:
    message = {"reasoning_content": "Think", "content": "Hello", "tool_calls": [WEATHER]}
    upstream.script("a", responds(message, "tool_calls"))
    events = stream(server, tools=[TOOL])
    assert kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
        "[DONE]",
    ]
    first, last = events[0]["response"], events[-2]["response"]
    assert first["id"] == last["id"]
    assert first["output"] == []
    assert last["usage"] == {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 12,
    }


def test_the_sdk_makes_a_loop_of_tools(sdk: openai.OpenAI, upstream: Upstream) -> None:
    calls = {"content": None, "tool_calls": [WEATHER, {**WEATHER, "id": "call_2"}]}
    upstream.script("a", responds(calls, "tool_calls"), answers("Sunny"))
    history: Any = [{"role": "user", "content": "Weather?"}]
    first = sdk.responses.create(
        model="a", instructions="Be brief", input=history, tools=[TOOL], store=True
    )
    assert first.to_dict()["store"] is False
    assert [item.type for item in first.output] == ["function_call", "function_call"]
    history += [item.to_dict() for item in first.output]
    history += [
        {"type": "function_call_output", "call_id": call_id, "output": "sun"}
        for call_id in ("call_2", "call_1")
    ]
    second = sdk.responses.create(model="a", input=history, tools=[TOOL])
    assert second.output_text == "Sunny"
    first_body, second_body = (call.body for call in upstream.calls_to("a"))
    assert first_body["messages"][0] == {"role": "system", "content": "Be brief"}
    assert first_body["tools"][0]["function"]["name"] == "weather"
    assert "store" not in first_body
    assert second_body["messages"] == [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": calls["tool_calls"]},
        {"role": "tool", "tool_call_id": "call_2", "content": "sun"},
        {"role": "tool", "tool_call_id": "call_1", "content": "sun"},
    ]


def test_the_stream_helper_and_parsed_output(sdk: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script("a", *[responds({"content": '{"city":"Paris"}'})] * 2)
    parsed = sdk.responses.parse(model="a", input="Where?", text_format=Answer)
    assert parsed.output_parsed == Answer(city="Paris")
    with sdk.responses.stream(model="a", input="Where?", text_format=Answer) as events:
        seen = list(events)
        final = events.get_final_response()
    assert seen[-1].type == "response.completed"
    assert final.output_parsed == Answer(city="Paris")
    for call in upstream.calls_to("a"):
        form = call.body["response_format"]
        assert form["json_schema"]["name"] == "Answer"
        assert form["json_schema"]["strict"] is True


def test_a_race_shows_only_its_winner(sdk: openai.OpenAI, upstream: Upstream) -> None:
    slow_and_fast(upstream, "a", "b", "Hello")
    with sdk.responses.create(
        model="a, b", input="Hi", stream=True, extra_body={"fastest_response": True}
    ) as events:
        seen = list(events)
    assert seen[0].type == "response.created"
    assert seen[0].response.model == "b"
    assert seen[-1].type == "response.completed"
    report: Any = (seen[-1].response.model_extra or {})["fanout"]
    outcomes = [attempt["outcome"] for attempt in report["attempts"]]
    assert outcomes == ["cancelled", "won"]
    upstream.wait_disconnected("a")


def test_all_has_one_response_in_output(sdk: openai.OpenAI, upstream: Upstream) -> None:
    def script() -> None:
        upstream.script("a", [refuse(500)])
        upstream.script("b", answers("Bonjour"))
        upstream.script("c", answers("Ciao"))

    script()
    plain = sdk.responses.create(model="a, b, c", input="Hi")
    script()
    with sdk.responses.create(model="a, b, c", input="Hi", stream=True) as events:
        last = list(events)[-1]
    assert last.type == "response.completed"
    responses: list[Any] = [plain, last.response]
    for response in responses:
        assert response.output_text in {"Bonjour", "Ciao"}
        others: Any = (response.model_extra or {})["fanout"]["responses"]
        assert len(others) == 2
        assert {response.model, *(other["model"] for other in others)} == {"a", "b", "c"}
        failed, succeeded = others
        assert failed["status"] == "failed"
        assert failed["error"]["code"] == "provider_overloaded"
        assert succeeded["status"] == "completed"
        [item] = succeeded["output"]
        assert {item["content"][0]["text"], response.output_text} == {"Bonjour", "Ciao"}
    assert plain.model == "b"


def test_a_failure_amid_a_stream_is_an_error_and_a_failed_response(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", breaks({"content": "Hel"}))
    events = stream(server)
    assert kinds(events)[-3:] == ["error", "failed", "[DONE]"]
    assert events[-3]["code"] == "server_error"
    failed = events[-2]["response"]
    [item] = failed["output"]
    assert (item["status"], item["content"][0]["text"]) == ("incomplete", "Hel")
    assert failed["status"] == "failed"
    assert failed["error"]["code"] == "server_error"
    assert failed["id"] == events[0]["response"]["id"]


def test_errors_are_openais_and_name_the_clients_field(
    sdk: openai.OpenAI, server: RunningGateway
) -> None:
    user = {"role": "user", "content": "Hi"}
    wrong: list[tuple[dict[str, Any], str, str | None]] = [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "previous_response_not_found"),
        ({"conversation": "conv_1"}, "conversation", "unsupported_parameter"),
        ({"background": True}, "background", "unsupported_parameter"),
        ({"prompt": {"id": "p"}}, "prompt", "unsupported_parameter"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type", None),
        ({"input": [user, {"role": "user"}]}, "input[1].content", None),
        ({"input": [user, {"type": "odd"}]}, "input[1].type", "invalid_value"),
        ({"max_output_tokens": 0}, "max_output_tokens", None),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort", None),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.name", None),
        ({"tools": [{"type": "file_search"}]}, "tools[0].type", "unsupported_parameter"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", None),
        ({"input": None}, "input", "missing_required_parameter"),
        ({"temperature": 3}, "temperature", None),
        ({"metadata": 1}, "metadata", None),
    ]
    faults = []
    for fields, param, code in wrong:
        status, _, body = server.json({"model": "a", "input": "Hi", **fields}, "/v1/responses")
        error = body["error"]
        paths = (f"`{param}`", f"`{param.removesuffix('.type')}`", "Previous response with id")
        named = any(path in error["message"] for path in paths)
        if (
            (status, error["param"]) != (400, param)
            or not named
            or (code and error["code"] != code)
        ):
            faults.append((fields, status, error))
    assert faults == []
    with pytest.raises(openai.BadRequestError, match="Previous response with id 'resp_1'"):
        sdk.responses.create(model="a", input="Hi", previous_response_id="resp_1")
    with pytest.raises(openai.NotFoundError, match="nothing is stored"):
        sdk.responses.retrieve("resp_1")
    with pytest.raises(openai.NotFoundError, match="nothing is stored"):
        sdk.responses.input_items.list("resp_1")


def test_a_websocket_is_a_426(server: RunningGateway) -> None:
    headers = {"upgrade": "websocket", "connection": "upgrade", "sec-websocket-version": "13"}
    status, _, body = server.json(None, "/v1/responses", "GET", headers)
    assert (status, body["error"]["code"]) == (426, "websocket_not_supported")


def test_keep_alives_are_events_after_the_first(upstream: Upstream) -> None:
    config = {"model_list": [entry(upstream, "a"), entry(upstream, "b")]}
    gate = upstream.gate()
    upstream.script("a", [role, wait(gate), say("Hi"), hang])
    upstream.script("b", [hang])
    alive = b'data: {"type":"keepalive"}\n\n'
    with serve(config, keep_alive=0.02) as served:
        body = {"model": "a", "input": "Hi", "stream": True}
        with served.ask(body, "/v1/responses") as response:
            seen = b""
            while alive not in seen:
                seen += response.read1()
            assert seen.index(b"response.created") < seen.index(alive)
            gate.open()
            while b"output_text.delta" not in seen:
                seen += response.read1()
            assert seen.count(b"event: response.created") == 1
        body = {**body, "model": "a, b", "fastest_response": True}
        upstream.script("a", [hang])
        with served.ask(body, "/v1/responses") as response:
            assert response.read1().startswith(b": keep-alive")


def test_tools_of_namespaces_and_hosted_tools(server: RunningGateway, upstream: Upstream) -> None:
    called = {"name": "agents__close", "arguments": "{}"}
    call = {"id": "call_1", "type": "function", "function": called}
    upstream.script("a", *[responds({"content": None, "tool_calls": [call]}, "tool_calls")] * 2)
    function = {"type": "function", "name": "close", "parameters": {"type": "object"}}
    body = {
        "model": "a",
        "input": "Hi",
        "tools": [
            {"type": "namespace", "name": "agents", "tools": [function]},
            {"type": "web_search", "external_web_access": True},
        ],
    }
    _, headers, response = server.json(body, "/v1/responses")
    [item] = response["output"]
    assert (item["namespace"], item["name"]) == ("agents", "close")
    assert headers["x-fanout-dropped"] == "web_search"
    assert response["tools"] == body["tools"]
    again = {**body, "input": [item, {**item, "type": "function_call_output", "output": "ok"}]}
    assert server.json(again, "/v1/responses")[0] == 200
    first, second = (one.body for one in upstream.calls_to("a"))
    assert [tool["function"]["name"] for tool in first["tools"]] == ["agents__close"]
    assert second["messages"][0]["tool_calls"][0]["function"] == called


def test_tokens_are_counted_or_estimated(sdk: openai.OpenAI, upstream: Upstream) -> None:
    found = sdk.responses.input_tokens.with_raw_response.count(model="a", input="Hello " * 100)
    assert found.headers["x-fanout-tokens"] == "estimated"
    assert 75 <= found.parse().input_tokens <= 150
    assert upstream.calls_to("a") == []
