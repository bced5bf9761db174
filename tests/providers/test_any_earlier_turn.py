"""
Any JSON in any field of an earlier message of the assistant is a request or a 400, never a bug.

Clients send back what some model's response had, which another program may have changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.errors import RequestError
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.request import ChatRequest
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest

U = {"role": "user", "content": "Hello."}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
SIGNED = {"google": {"thought_signature": "AA=="}}
CALLS = [
    {
        "id": "a",
        "type": "function",
        "index": 0,
        "function": {"name": "f", "arguments": "{}"},
        "extra_content": SIGNED,
        "cache_control": {"type": "ephemeral"},
    },
    {"id": "b", "type": "custom", "custom": {"name": "g", "input": "x"}},
]
RESULTS = [{"role": "tool", "tool_call_id": one, "content": "r"} for one in ("a", "b")]

EVERYTHING: dict[str, Any] = {
    "content": [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
        {"type": "refusal", "refusal": "r"},
        {"type": "thinking", "thinking": "t", "signature": "s"},
        IMAGE,
        {"type": "tool_use", "id": "c", "name": "f", "input": {}},
    ],
    "refusal": "no",
    "name": "n",
    "reasoning": "hm",
    "reasoning_content": "hm",
    "reasoning_details": [{"type": "reasoning.text", "text": "t", "index": 0}],
    "thinking_blocks": [
        {"type": "thinking", "thinking": "t", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
    ],
    "tool_calls": CALLS,
    "audio": {"id": "audio_1", "data": "AA", "transcript": "t", "expires_at": 1},
    "annotations": [{"type": "url_citation"}],
    "images": [{**IMAGE, "extra_content": SIGNED}],
    "citations": [{"start": 0, "end": 1, "text": "a", "sources": []}],
    "extra_content": SIGNED,
    "cache_control": {"type": "ephemeral"},
    "prefix": True,
    "function_call": {"name": "f", "arguments": "{}"},
}
"""Every field that some response has."""

ABSENT = object()
ODD: list[Any] = [
    *(ABSENT, None, True, 0, 1.5, "", "x", [], [None], ["x"], [0], [[]], [{}], {}),
    *({"type": "x"}, {"type": None}, [{"type": []}]),
]
TARGETS = [
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-3-7-sonnet-latest"),
    ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("bedrock", "amazon.nova-pro-v1:0"),
    ("cohere", "command-a"),
    ("gemini", "gemini-3-pro-preview"),
    ("gemini", "gemini-2.5-flash-image"),
    ("openai", "o3"),
    ("mistral", "magistral-medium"),
    ("groq", "openai/gpt-oss-20b"),
    ("moonshot", "kimi-k2-thinking"),
    ("hosted_vllm", "m"),
]


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each value inside `value`."""
    inside: Any = value.items() if isinstance(value, dict) else ()
    inside = enumerate(value) if isinstance(value, list) else inside
    for key, one in inside:
        yield (*path, key)
        yield from paths(one, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """`value` with `new` at the path, or without what is there."""
    if not path:
        return new
    inside = dict(value) if isinstance(value, dict) else dict(enumerate(value))
    inside[path[0]] = changed(inside[path[0]], path[1:], new)
    if inside[path[0]] is ABSENT:
        del inside[path[0]]
    return inside if isinstance(value, dict) else list(inside.values())


def check_path(error: RequestError) -> None:
    """A 400 names a field of the messages."""
    assert (error.param or "").startswith("messages"), error


def parse(*messages: Any, **more: Any) -> ChatRequest | None:
    """The checked request; `None` for a 400, which is for every vendor."""
    try:
        return parse_chat({"model": "m", "messages": [U, *messages], **more})
    except RequestError as error:
        check_path(error)
        return None


def encode(request: ChatRequest | None, provider: str, model: str) -> WireRequest | None:
    """The vendor's request; `None` for a 400 of a field of the messages."""
    assert request is not None
    options = {"aws_region_name": "us-east-1"} if provider == "bedrock" else {}
    target = Target("m", model, True, options)
    try:
        return registry.find(provider).chat.encode(request, target, False)
    except RequestError as error:
        check_path(error)
        return None


BASES: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "with calls": ({"content": "x", "tool_calls": CALLS}, [*RESULTS, U]),
    "without calls": ({"content": "x"}, [U]),
    "the last": ({"content": "x"}, []),
}


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", EVERYTHING)
def test_any_json_in_any_field_of_an_earlier_turn_is_no_bug(name: str, base: str) -> None:
    """
    Those models that can think do: what they need of earlier thinking is read, too.

    Each value at each place meets each model with one of the bases.
    """
    message, tail = BASES[base]
    given = {"role": "assistant", **message, name: EVERYTHING[name]}
    places = [(name,), *paths({name: given[name]})]
    for number, (path, new) in enumerate(product(places, ODD), list(BASES).index(base)):
        odd = changed(given, path, new)
        request = parse(odd, *tail, reasoning_effort="high")
        for provider, model in TARGETS[number % len(BASES) :: len(BASES)] if request else ():
            encode(request, provider, model)


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-3-7-sonnet-latest"])
@pytest.mark.parametrize(
    "odd",
    [
        *({}, None, "x", {"thinking": "x", "signature": "s"}, {"type": "weird", "signature": "s"}),
        {"type": None, "thinking": "x", "signature": "s"},
        {"type": "thinking", "signature": "s"},
        {"type": "thinking", "thinking": "x", "signature": 5},
        {"type": "thinking", "thinking": 5, "signature": "s"},
        {"type": "redacted_thinking", "data": {}},
    ],
    ids=str,
)
def test_thinking_that_is_not_anthropics_is_left_out_and_noted(model: str, odd: Any) -> None:
    signed = {"type": "thinking", "thinking": "t", "signature": "s"}
    message = {"role": "assistant", "content": "x", "thinking_blocks": [odd, signed]}
    wire = encode(parse(message, U), "anthropic", model)
    assert wire is not None
    content = json.loads(wire.body)["messages"][1]["content"]
    assert content == [signed, {"type": "text", "text": "x"}]
    assert wire.dropped == ("messages[].thinking_blocks",)


@pytest.mark.parametrize("target", TARGETS[4:7], ids=str)
@pytest.mark.parametrize("odd", [5, True, ["x"], {"a": 1}], ids=str)
def test_reasoning_that_is_no_text_is_left_out_and_noted(target: tuple[str, str], odd: Any) -> None:
    message = {"role": "assistant", "content": "x", "reasoning_content": odd}
    wire = encode(parse(message, U), *target)
    plain = encode(parse({"role": "assistant", "content": "x"}, U), *target)
    assert wire is not None
    assert plain is not None
    assert wire.body == plain.body
    assert wire.dropped == ("messages[].reasoning_content",)


@pytest.mark.parametrize("role", ["system", "developer"])
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_a_part_of_a_system_message_without_a_type_is_a_text(
    target: tuple[str, str], role: str
) -> None:
    """Only texts are parts of these."""
    mark = {"cache_control": {"type": "ephemeral"}}
    plain = {"role": role, "content": [{"type": "text", "text": "Be brief.", **mark}]}
    odd = {"role": role, "content": [{"text": "Be brief.", **mark}]}
    wires = [encode(parse(message, U), *target) for message in (plain, odd)]
    assert wires[0] is not None
    assert wires[0] == wires[1]


@pytest.mark.parametrize("odd", [0, True, [], {}, [None]], ids=str)
def test_thinking_of_a_type_that_is_no_text_is_an_error(odd: Any) -> None:
    request = parse_chat({"messages": [U], "thinking": {"type": odd, "budget_tokens": 1024}})
    for provider, model in TARGETS[:8]:
        options = {"aws_region_name": "us-east-1"}
        chat = registry.find(provider).chat
        with pytest.raises(RequestError, match=r"`thinking\.type` must be a string"):
            chat.encode(request, Target("m", model, False, options), False)


# ---- arguments ----

NUMBERS = ["1e999", "-1e999", "NaN", "Infinity", "1" + "0" * 400, "9" * 5_000, "-0", "0.1e-999"]
STRINGS = [r"\ud83d\ude00", r"\ud800", r"\udc00", r"\u0000", "\U0001f600", "\u2028", r"\x"]
TEXTS = [
    *(f'{{"a":{one}}}' for one in NUMBERS),
    *(f'{{"a":[{{"b":{one}}}]}}' for one in NUMBERS),
    *(f'{{"{one}":"{one}"}}' for one in STRINGS),
    *(f'{{"a":{"[" * depth}{"]" * depth}}}' for depth in (50, 99, 100, 500, 900, 990, 5_000)),
    *('{"a":' * depth + "1" + "}" * depth for depth in (50, 99, 100, 500, 900, 990, 5_000)),
    '{"a":1,"a":2}', "", " ", "null", "[1]", '"x"', "{", "}", "1e999", "\ufeff{}", "{} {}",
]  # fmt: skip
INNER = st.recursive(
    st.sampled_from([*NUMBERS, *(f'"{one}"' for one in STRINGS), "null", "true"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda all_: f"[{','.join(all_)}]"),
        st.lists(inner, max_size=3).map(
            lambda all_: "{" + ",".join(f'"{"ab"[i % 2]}":{v}' for i, v in enumerate(all_)) + "}"
        ),
    ),
)


def check_arguments(text: str) -> None:
    """Every vendor gets a request, of JSON; no call of it is lost."""
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": text}}
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    request = parse(said, RESULTS[0], U, tools=[tool])
    for provider, model in TARGETS:
        wire = encode(request, provider, model)
        assert wire is not None
        json.loads(wire.body, parse_constant=pytest.fail)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:20])
def test_no_text_as_the_arguments_of_an_earlier_call_is_a_bug(text: str) -> None:
    check_arguments(text)


@settings(max_examples=150, deadline=None)
@given(st.one_of(INNER, INNER.map('{{"a":{}}}'.format), st.text()))
def test_no_json_as_the_arguments_of_an_earlier_call_is_a_bug(text: str) -> None:
    check_arguments(text)


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
@pytest.mark.parametrize(
    ("provider", "model"),
    [("anthropic", "claude-sonnet-4-5"), ("gemini", "gemini-2.5-flash"), ("bedrock", "a.b")],
)
def test_arguments_with_a_number_that_is_too_large_are_one_text(
    provider: str, model: str, number: str
) -> None:
    text = f'{{"a":{number}}}'
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": text}}
    request = parse({"role": "assistant", "content": "x", "tool_calls": [call]}, RESULTS[0], U)
    wire = encode(request, provider, model)
    assert wire is not None
    assert json.dumps({"arguments": text}, separators=(",", ":")) in wire.body.decode()
    assert "messages[].tool_calls[].function.arguments" in wire.dropped
