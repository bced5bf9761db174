"""
Half of a surrogate pair in a request: programs that cut a text in the middle of an emoji send it.

The half is U+FFFD to every provider, and costs nothing else. (`test_cut_texts.py` has responses.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.bulk.input.line_parser import parse_line
from fanout.bulk.input.lines import read_head
from fanout.http.endpoints import parse_body
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.validation import parse_chat
from fanout.wire.lenient_json import whole_characters
from tests.support.in_process import HelloEngine, InProcess, run_in_process

STEADY = settings(derandomize=True, deadline=None, max_examples=200)
HALVES = [r"\ud83d", r"\uDE00", r"a\ud83db", r"\ud83d\ud83d\ude00", r"\ude00\ud83d"]
VENDORS = {
    "openai": "gpt-4o", "openai_like": "m", "groq": "m", "mistral": "m", "deepseek": "m",
    "anthropic": "claude-sonnet-4-5", "gemini": "gemini-2.5-flash", "cohere": "command-a",
    "bedrock": "amazon.nova-pro-v1:0",
}  # fmt: skip


def body_with(half: str) -> bytes:
    """A conversation with calls that has the half in every text and key that a client may set."""
    text = json.dumps("HALF")
    arguments = json.dumps(json.dumps({"INNER": "INNER", "b": ["HALF"]}))
    schema = '{"type": "object", "properties": {"HALF": {"type": "string", "description": "HALF"}}}'
    body = f"""{{
        "model": "a",
        "messages": [
            {{"role": "system", "content": {text}}},
            {{"role": "user", "content": [{{"type": "text", "text": {text}}}]}},
            {{"role": "assistant", "content": {text}, "tool_calls": [{{"id": "c", "type":
                "function", "function": {{"name": "f", "arguments": {arguments}}}}}]}},
            {{"role": "tool", "tool_call_id": "c", "content": "{{\\"HALF\\": 1}}"}},
            {{"role": "user", "content": {text}}}
        ],
        "tools": [{{"type": "function", "function": {{
            "name": "f", "description": {text}, "parameters": {schema}}}}}],
        "stop": [{text}]
    }}"""
    inner = half.replace("\\", "\\\\")  # an escape of the JSON that is inside the text
    return body.replace("HALF", half).replace("INNER", inner).encode()


@pytest.fixture(scope="module")
def engine() -> HelloEngine:
    return HelloEngine()


@pytest.fixture(scope="module")
def app(engine: HelloEngine) -> Iterator[InProcess]:
    params = {"model": "openai/a", "api_key": "k", "api_base": "https://x.test"}
    with run_in_process(
        {"model_list": [{"model_name": "a", "litellm_params": params}]}, engine
    ) as one:
        yield one
        assert not one.observer.unexpected_errors


@pytest.mark.parametrize("half", HALVES)
def test_a_request_with_half_a_character_is_sent_without_it(
    app: InProcess, engine: HelloEngine, half: str
) -> None:
    response = app.post(body_with(half))
    assert response.status == 200
    sent = msgspec.json.decode(engine.sent[-1].body)
    assert "\ufffd" in sent["messages"][0]["content"]


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize(("provider", "model"), VENDORS.items())
def test_no_provider_gets_half_a_character(provider: str, model: str, half: str) -> None:
    body: Any = parse_body(body_with(half))
    options = {"region": "us-east-1", "api_base": "https://a.test/v1"}
    target = Target("a", model, drop_params=True, options=options)
    wire = registry.find(provider).chat.encode(parse_chat(body), target, False)
    sent = msgspec.json.decode(wire.body)  # which rejects halves
    assert "\ufffd" in wire.body.decode()
    for text in texts_of(sent):
        if text.startswith("{") and provider != "openai":
            msgspec.json.decode(text)


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from texts_of(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts_of(one)


def test_the_arguments_of_a_call_stay_an_object() -> None:
    body: Any = parse_body(body_with(r"\ud83d"))
    target = Target("a", "claude-sonnet-4-5")
    wire = registry.find("anthropic").chat.encode(parse_chat(body), target, False)
    (call,) = [
        block
        for message in json.loads(wire.body)["messages"]
        for block in message["content"]
        if isinstance(block, dict) and block["type"] == "tool_use"
    ]
    assert call["input"] == {"\ufffd": "\ufffd", "b": ["\ufffd"]}


def test_two_keys_that_become_equal_are_ambiguous(app: InProcess) -> None:
    response = app.post(rb'{"model": "a", "messages": [], "\ud83d": 1, "\ud83e": 2}')
    assert response.status == 400
    assert "appears twice" in response.error["message"]


LINES = [
    rb'{"custom_id": "a", "body": {"model": "m", "messages": [{"role": "user", "content": "%s"}]}}',
    rb'{"messages": [{"role": "user", "content": "%s"}]}',
    rb'{"prompt": "%s"}',
    rb'[{"role": "user", "content": "%s"}]',
]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("half", HALVES)
def test_so_is_a_line_of_a_job(line: bytes, half: str) -> None:
    data = line.replace(b"%s", half.encode())
    assert read_head(data, 1, "m").models == ("m",)
    parsed = parse_line(data, 1, "m")
    assert parsed.parse_error is None
    assert "\ufffd" in parsed.body["messages"][0]["content"]


PIECES = st.sampled_from([r"\ud83d", r"\ude00", r"\\", r"\u0041", r"\"", "u", "d83d", "é", r"\n"])


@STEADY
@given(st.lists(PIECES, max_size=12))
def test_every_other_escape_stays(pieces: list[str]) -> None:
    data = f'"{"".join(pieces)}"'
    found = json.loads(whole_characters(data.encode()))
    assert found == "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in json.loads(data))
    assert msgspec.json.decode(whole_characters(data.encode())) == found
