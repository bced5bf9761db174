"""Wrong requests get an OpenAI error with the right 4xx status that names the field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from time import thread_time
from typing import Any

import pytest

from fanout.schema.fanout import parse_request
from tests.support.in_process import HelloEngine, InProcess, run_in_process

HI = [{"role": "user", "content": "Hi"}]
GOOD: dict[str, Any] = {"model": "a", "messages": HI}
TOOL = {"type": "function", "function": {"name": "f"}}


def models(*names: str) -> dict[str, Any]:
    return {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {
                    "model": f"openai/{name}",
                    "api_key": "k",
                    "api_base": "https://x.test",
                },
            }
            for name in names
        ]
    }


@pytest.fixture(scope="module")
def engine() -> HelloEngine:
    return HelloEngine()


@pytest.fixture(scope="module")
def running(engine: HelloEngine) -> Iterator[InProcess]:
    with run_in_process(models("a", "b"), engine) as app:
        yield app


@pytest.fixture
def app(running: InProcess, engine: HelloEngine) -> Iterator[InProcess]:
    """An app; a test fails if a request reaches a provider or causes a bug."""
    engine.sent.clear()
    running.observer.clear()
    yield running
    assert not engine.sent
    assert not running.observer.unexpected_errors


NOT_JSON = {
    "nothing": b"",
    "blanks": b" \n",
    "half an object": b'{"model": "a", "messages": [',
    "a word": b"hello",
    "two values": b"{} {}",
    "a trailing comma": b'{"model": "a",}',
    "single quotes": b"{'model': 'a'}",
    "NaN": b'{"model": "a", "messages": [], "temperature": NaN}',
    "broken UTF-8": b'{"model": "\xff\xfe"}',
    "UTF-16": '{"model": "a"}'.encode("utf-16"),
    "a control character": b'{"model": "a\x00b"}',
    "a number out of range": b'{"temperature": 1e999}',
    "a number of 5,000 digits": b'{"n": ' + b"1" * 5000 + b"}",
    "absurd nesting": b"[" * 200_000,
    "a form": b"model=a&messages=hi",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_a_body_that_is_not_json_is_a_400_with_the_reason(app: InProcess, body: bytes) -> None:
    response = app.post(body)
    assert response.status == 400
    assert response.error["code"] == "invalid_json"
    assert response.error["message"].startswith("the body is not JSON: ")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it is empty"),
        (b"{", "it ends too early"),
        (b"{a: 1}", "object keys must be strings (byte 1)"),
        (b'{"n": 1e999}', "number out of range"),
        (b"\xff", "invalid character (byte 0)"),
    ],
)
def test_the_reason_why_a_body_is_not_json_is_one_sentence(
    app: InProcess, body: bytes, reason: str
) -> None:
    assert app.post(body).error["message"] == f"the body is not JSON: {reason}"


@pytest.mark.parametrize("body", [[], "x", 1, None, True, [GOOD]])
def test_json_that_is_no_object_is_a_400(app: InProcess, body: object) -> None:
    response = app.post(body)
    assert (response.status, response.error["code"]) == (400, "invalid_type")


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"model": "a", "model": "b", "messages": [{"role": "user", "content": "Hi"}]}', "model"),
        (
            b'{"model": "a", "messages": [{"role": "user", "content": "x", "role": "system"}]}',
            "role",
        ),
        (b'{"model": "a", "messages": [], "mess\\u0061ges": []}', "messages"),
        (b'{"metadata": {"x": 1, "x": [[[[[[]]]]]]}}', "x"),
    ],
)
def test_a_duplicate_key_is_rejected_by_name(app: InProcess, body: bytes, key: str) -> None:
    response = app.post(body)
    assert (response.status, response.error["param"]) == (400, key)
    assert f"`{key}`" in response.error["message"]


def message(**fields: Any) -> dict[str, Any]:
    """A request whose only message has these fields."""
    return {"messages": [fields]}


# What is changed in a good request, and the field that the answer must name.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"model": None}, "model"),
    ({"model": 1}, "model"),
    ({"model": ""}, "model"),
    ({"model": " "}, "model"),
    ({"model": "a,"}, "model"),
    ({"model": ",,"}, "model"),
    ({"model": []}, "model"),
    ({"model": [""]}, "model"),
    ({"model": ["a", 1]}, "model[1]"),
    ({"model": {"name": "a"}}, "model"),
    ({"model": ["a"] * 10_000}, "model"),
    ({"model": ",".join(["a"] * 10_000)}, "model"),
    ({"messages": None}, "messages"),
    ({"messages": "Hi"}, "messages"),
    ({"messages": {}}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": [[]]}, "messages[0]"),
    ({"messages": [HI, []]}, "messages[1]"),
    ({"messages": [HI, HI[0]]}, "messages[1]"),
    ({"messages": [HI[0], HI]}, "messages[0]"),
    ({"messages": [HI, "Hi"]}, "messages[1]"),
    ({"messages": [[HI]]}, "messages[0][0]"),
    ({"messages": ["Hi"]}, "messages[0]"),
    ({"messages": [None]}, "messages[0]"),
    ({"messages": [{}]}, "messages[0].role"),
    ({"messages": [HI, [{"role": "king", "content": "Hi"}]]}, "messages[1][0].role"),
    ({"messages": [HI] * 10_001}, "messages"),
    (message(role="king", content="Hi"), "messages[0].role"),
    (message(role=1, content="Hi"), "messages[0].role"),
    (message(role="user"), "messages[0].content"),
    (message(role="user", content=None), "messages[0].content"),
    (message(role="user", content=1), "messages[0].content"),
    (message(role="user", content=[{"type": "smell"}]), "messages[0].content[0].type"),
    (message(role="user", content=[{"type": "text"}]), "messages[0].content[0].text"),
    (message(role="user", content=["Hi"]), "messages[0].content[0]"),
    (
        message(role="user", content=[{"type": "image_url", "image_url": "x"}]),
        "messages[0].content[0].image_url",
    ),
    (message(role="tool", content="4"), "messages[0].tool_call_id"),
    (message(role="assistant", tool_calls="f()"), "messages[0].tool_calls"),
    ({"n": 0}, "n"),
    ({"n": -1}, "n"),
    ({"n": 10**9}, "n"),
    ({"n": 10**30}, "n"),
    ({"n": 1.5}, "n"),
    ({"n": "2"}, "n"),
    ({"n": True}, "n"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_completion_tokens": -5}, "max_completion_tokens"),
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": 2.1}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_p": 2}, "top_p"),
    ({"top_logprobs": 21}, "top_logprobs"),
    ({"presence_penalty": -3}, "presence_penalty"),
    ({"frequency_penalty": 3}, "frequency_penalty"),
    ({"seed": 1.5}, "seed"),
    ({"seed": 10**30}, "seed"),
    ({"stop": 1}, "stop"),
    ({"stop": [1]}, "stop[0]"),
    ({"logit_bias": {"50256": 101}}, "logit_bias[...]"),
    ({"logit_bias": []}, "logit_bias"),
    ({"tools": {}}, "tools"),
    ({"tools": [{}]}, "tools[0].type"),
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": [TOOL | {"function": {}}]}, "tools[0].function.name"),
    ({"tool_choice": "maybe"}, "tool_choice"),
    ({"response_format": "json"}, "response_format"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"reasoning_effort": "huge"}, "reasoning_effort"),
    ({"user": 1}, "user"),
    ({"metadata": []}, "metadata"),
    ({"stream": "yes"}, "stream"),
    ({"stream": 1}, "stream"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"stream": True, "stream_options": []}, "stream_options"),
    ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
    ({"fastest_response": "yes"}, "fastest_response"),
    ({"timeout": 0}, "timeout"),
    ({"timeout": -1}, "timeout"),
    ({"timeout": 10**9}, "timeout"),
    ({"request_timeout": "soon"}, "request_timeout"),
    ({"num_retries": -1}, "num_retries"),
    ({"num_retries": 10**9}, "num_retries"),
    ({"fallbacks": "b"}, "fallbacks"),
    ({"fallbacks": [1]}, "fallbacks[0]"),
    ({"fallbacks": [{"a": "b"}]}, "fallbacks[0].a"),
    ({"fallbacks": ["nope"]}, "model"),
    ({"fallbacks": ["b"] * 10_001}, "fallbacks"),
    ({"fanout": True}, "fanout"),
    ({"fanout": {"mode": "war"}}, "fanout.mode"),
    ({"fanout": {"speed": 1}}, "fanout"),
    ({"fanout": {"models": []}}, "fanout.models"),
    ({"fanout": {"models": ["a", ""]}}, "fanout.models[1]"),
    ({"fanout": {"models": ["a", " "]}}, "fanout.models"),
    ({"fanout": {"models": ["a"] * 10_000}}, "fanout.models"),
    ({"fanout": {"mode": "one", "models": ["a", "b"]}}, "fanout.mode"),
    ({"fanout": {"mode": "all", "models": ["a", "b"]}, "fastest_response": True}, "fanout.mode"),
    ({"fanout": {"mode": "all", "stagger": 1}}, "fanout.stagger"),
    ({"fanout": {"stagger": -1}}, "fanout.stagger"),
    ({"fanout": {"max_parallel": 0}}, "fanout.max_parallel"),
    ({"fanout": {"max_parallel": 10**9}}, "fanout.max_parallel"),
    ({"fanout": {"shape": "cube"}}, "fanout.shape"),
    ({"fanout": {"shape": "list"}, "stream": True}, "fanout.shape"),
    ({"api_base": "https://elsewhere.test"}, "api_base"),
    ({"api_key": "k"}, "api_key"),
]


@pytest.mark.parametrize(("change", "param"), WRONG, ids=lambda value: str(value)[:60])
def test_a_wrong_field_is_a_400_that_names_it(
    app: InProcess, change: dict[str, Any], param: str
) -> None:
    response = app.post(GOOD | change)
    assert response.error["param"] == param
    assert response.status == (404 if change.get("fallbacks") == ["nope"] else 400)
    assert len(response.body) < 2_000


NAMED = {"type": "function", "function": {"name": "f"}}
WITHOUT_TOOLS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"messages": HI, "tool_choice": "required"}),
    ("/v1/chat/completions", {"messages": HI, "tool_choice": NAMED}),
    ("/v1/messages", {"messages": HI, "max_tokens": 5, "tool_choice": {"type": "any"}}),
    (
        "/v1/messages",
        {"messages": HI, "max_tokens": 5, "tool_choice": {"type": "tool", "name": "f"}},
    ),
    ("/v1/responses", {"input": "Hi", "tool_choice": "required"}),
    ("/v1/responses", {"input": "Hi", "tool_choice": {"type": "function", "name": "f"}}),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("path", "body"), WITHOUT_TOOLS, ids=lambda value: str(value)[:40])
def test_a_required_call_without_tools_is_a_400_that_names_the_choice(
    app: InProcess, path: str, body: dict[str, Any], *, stream: bool
) -> None:
    """Every vendor's codec is in tests/unit/transport/test_required_calls.py."""
    absences: tuple[dict[str, Any], ...] = ({}, {"tools": None}, {"tools": []})
    for absent in absences:
        sent = {"model": "a", "stream": stream, **body, **absent}
        response = app.ask("POST", path, [json.dumps(sent).encode()])
        assert response.status == 400
        error = json.loads(response.body)["error"]
        assert "`tool_choice`" in error["message"]
        assert error.get("param", "tool_choice") == "tool_choice"


@pytest.mark.parametrize("missing", ["model", "messages"])
def test_a_missing_field_is_named(app: InProcess, missing: str) -> None:
    response = app.post({name: value for name, value in GOOD.items() if name != missing})
    assert response.status == 400
    assert (response.error["param"], response.error["code"]) == (
        missing,
        "missing_required_parameter",
    )


UNKNOWN = ["nope", "a, nope", ["nope", "a"], "A", "a\na", "é", "x" * 100_000, "<b>", "a\u2028b"]


@pytest.mark.parametrize("model", UNKNOWN, ids=lambda model: repr(model)[:20])
def test_an_unknown_model_is_a_404_that_names_it_before_anything_is_paid(
    app: InProcess, model: Any
) -> None:
    response = app.post(GOOD | {"model": model})
    assert (response.status, response.error["code"]) == (404, "model_not_found")
    assert response.error["param"] == "model"
    assert len(response.body) < 2_000


def test_too_many_calls_in_one_request_are_rejected(app: InProcess) -> None:
    response = app.post({"model": "a, b", "messages": [HI] * 30_000})
    assert (response.status, response.error["param"]) == (400, "messages")
    assert "60000 calls" in response.error["message"]


def test_what_conversations_share_is_checked_once_for_all_of_them() -> None:
    """If the tools were checked once per conversation, this would take a minute."""
    tool = TOOL | {"function": {"name": "f", "parameters": {str(i): i for i in range(10_000)}}}
    started = thread_time()
    request = parse_request({"model": "a", "messages": [HI] * 10_000, "tools": [tool] * 20})
    assert thread_time() - started < 5
    assert len(request.conversations) == 10_000
    assert request.conversations[0].tools == request.conversations[-1].tools


def test_a_request_of_countless_fields_is_rejected(app: InProcess) -> None:
    response = app.post(GOOD | {f"x{index}": 1 for index in range(100_000)})
    assert response.status == 400
    assert "fields" in response.error["message"]


def test_deep_nesting_is_rejected_or_accepted_but_never_a_bug(
    running: InProcess,
) -> None:
    running.observer.clear()
    for depth in (10, 100, 300, 500, 900, 990, 1000, 1100, 2000, 5000):
        nested = b"[" * depth + b"]" * depth
        for name in (b"metadata", b"messages", b"tools", b"anything", b"fanout", b"model"):
            body = b'{"model":"a","messages":[{"role":"user","content":"Hi"}],"x":{"%b":%b}}'
            direct = b'{"model":"a","messages":[{"role":"user","content":"Hi"}],"y%b":%b}'
            for raw in (body % (name, nested), direct % (name, nested)):
                assert running.post(raw).status in {200, 400}
    assert not running.observer.unexpected_errors
