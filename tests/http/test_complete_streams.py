"""What comes after every choice has finished, or in an odd place, costs a response nothing."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from tests.http.openai_clients import HI
from tests.support.provider_steps import cut, end, piece, reset, role, say
from tests.support.scripted_provider import Step, Upstream

RACE: Any = {"model": "a, a", "extra_body": {"fastest_response": True}}


def event(value: object) -> Step:
    data = value if isinstance(value, str) else json.dumps(value)
    return piece(f"data: {data}\n\n".encode())


def choice(**fields: Any) -> dict[str, Any]:
    return {"id": "c", "model": "a", "choices": [{"index": 0, **fields}]}


FINISH = event(choice(delta={}, finish_reason="stop"))
LATE: dict[str, list[Step]] = {
    "the end as a JSON text": [event('"[DONE]"'), end],
    "an empty JSON text": [event('""'), event("[DONE]"), end],
    "an error": [event({"error": {"message": "late", "code": 500}}), event("[DONE]"), end],
    "no JSON": [event("{oops"), event("[DONE]"), end],
    "no end": [end],
    "a cut": [cut],
    "a reset": [reset],
}


def text_of(client: openai.OpenAI, **more: Any) -> tuple[str | None, str]:
    completion = client.chat.completions.create(messages=HI, **more)
    assert completion.choices[0].finish_reason
    return completion.choices[0].message.content, completion.choices[0].finish_reason


def streamed(client: openai.OpenAI, **more: Any) -> tuple[str | None, str]:
    with client.chat.completions.stream(messages=HI, **more) as stream:
        for _ in stream:
            pass
        choice = stream.get_final_completion().choices[0]
    return choice.message.content, choice.finish_reason


@pytest.mark.parametrize("name", LATE)
def test_what_comes_after_the_finish_reason_fails_nothing(
    client: openai.OpenAI, upstream: Upstream, name: str
) -> None:
    upstream.script("a", [role, say("Hello"), FINISH, *LATE[name]])
    assert streamed(client, model="a") == ("Hello", "stop")
    assert streamed(client, **RACE) == ("Hello", "stop")
    assert text_of(client, **RACE) == ("Hello", "stop")


@pytest.mark.parametrize("name", ["an error", "no end", "a cut", "a reset"])
def test_the_same_before_the_finish_reason_is_an_error(
    client: openai.OpenAI, upstream: Upstream, name: str
) -> None:
    upstream.script("a", [role, say("Hello"), *LATE[name]])
    with pytest.raises(openai.APIError):
        streamed(client, model="a")


@pytest.mark.parametrize(
    "content",
    [
        {"message": {"role": "assistant", "content": "Hello"}},
        {"message": {"role": "assistant", "content": "Hello"}, "delta": None},
        {"text": "Hello"},
    ],
    ids=["message", "message, delta is null", "text"],
)
def test_an_event_may_have_its_text_in_a_message(
    client: openai.OpenAI, upstream: Upstream, content: dict[str, Any]
) -> None:
    whole = event(choice(**content, finish_reason="stop"))
    upstream.script("a", [whole, event("[DONE]"), end])
    assert streamed(client, model="a") == ("Hello", "stop")
    assert text_of(client, **RACE) == ("Hello", "stop")


def test_a_plain_response_may_have_its_message_in_a_delta(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    whole = choice(delta={"role": "assistant", "content": "Hello"}, finish_reason="stop")
    upstream.script("a", [piece(json.dumps(whole).encode())])
    assert text_of(client, model="a") == ("Hello", "stop")


def test_a_choice_beyond_n_does_not_replace_another_models(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    odd = {"id": "c", "model": "a", "choices": [{"index": 1, "delta": {"content": "from a"}}]}
    last = {
        "id": "c",
        "model": "a",
        "choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}],
    }
    upstream.script("a", [event(odd), event(last), event("[DONE]"), end])
    upstream.script("b", [role, say("from b"), FINISH, event("[DONE]"), end])
    with client.chat.completions.stream(model="a, b", messages=HI) as stream:
        for _ in stream:
            pass
        choices = stream.get_final_completion().choices
    assert [choice.message.content for choice in choices] == ["from a", "from b"]


def test_a_choice_that_was_not_asked_for_is_left_out_of_all_responses(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    two = [{"index": i, "delta": {"content": f"{i}"}, "finish_reason": "stop"} for i in (0, 1)]
    upstream.script("a", [event({"id": "c", "model": "a", "choices": two}), event("[DONE]"), end])
    upstream.script("b", [role, say("from b"), FINISH, event("[DONE]"), end])
    with client.chat.completions.stream(model="a, b", messages=HI) as stream:
        for _ in stream:
            pass
        choices = stream.get_final_completion().choices
    assert [choice.message.content for choice in choices] == ["0", "from b"]


CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}
REST = {"index": 0, "function": {"arguments": ":1}"}}
WHOLE = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
OTHER = {"id": "d", "type": "function", "function": {"name": "g", "arguments": "{}"}}
SUMS: dict[str, tuple[list[dict[str, Any]], dict[str, Any], str]] = {
    "a text": ([{"content": "Hel"}, {"content": "lo"}], {"content": "Hello"}, "stop"),
    "reasoning": ([{"reasoning_content": "hm"}], {"reasoning_content": "hm"}, "stop"),
    "calls": (
        [{"tool_calls": [CALL]}, {"tool_calls": [REST]}], {"tool_calls": [WHOLE]}, "tool_calls"
    ),
    "a role and a text": ([{"content": ""}, {"content": "Hi"}], {"content": "Hi"}, "stop"),
    "a field that no delta had": (
        [{"reasoning_content": "hm"}], {"reasoning_content": "hm", "content": "Hello"}, "stop"
    ),
    "more of a text": ([{"content": "Hel"}], {"content": "Hello"}, "stop"),
    "calls after a text": (
        [{"content": "Hi"}], {"content": "Hi", "tool_calls": [WHOLE]}, "tool_calls"
    ),
    "one more call": (
        [{"tool_calls": [CALL]}, {"tool_calls": [REST]}],
        {"tool_calls": [WHOLE, OTHER]}, "tool_calls",
    ),
    "a call without its id": (
        [{"tool_calls": [CALL]}, {"tool_calls": [REST]}],
        {"tool_calls": [{**WHOLE, "id": None}, {**OTHER, "index": 0}]}, "tool_calls",
    ),
}  # fmt: skip


@pytest.mark.parametrize("ends", [True, False], ids=["after the end", "as the end"])
@pytest.mark.parametrize("name", SUMS)
def test_a_whole_message_after_deltas_is_not_sent_again(
    client: openai.OpenAI, upstream: Upstream, name: str, *, ends: bool
) -> None:
    deltas, message, reason = SUMS[name]
    events = [event(choice(delta=delta, finish_reason=None)) for delta in deltas]
    if ends:
        events[-1] = event(choice(delta=deltas[-1], finish_reason=reason))
    usage = {"prompt_tokens": 1, "completion_tokens": 4, "total_tokens": 5}
    whole = choice(message={"role": "assistant", **message}, finish_reason=reason)
    done = [event("[DONE]"), end]
    upstream.script("a", [role, *events, event({**whole, "usage": usage}), *done])
    for many in ({"model": "a"}, RACE, {"model": ["a", "a"]}):
        options: Any = {"stream_options": {"include_usage": True}, **many}
        with client.chat.completions.stream(messages=HI, **options) as stream:
            found = stream.get_final_completion()
        first = found.choices[0].to_dict()
        assert first["finish_reason"] == reason
        given = {key: value for key, value in message.items() if key != "tool_calls"}
        assert {**first["message"], **given} == first["message"]  # type: ignore[dict-item]
        calls = [call.to_dict() for call in found.choices[0].message.tool_calls or ()]
        assert [call["function"]["arguments"] for call in calls] == [  # type: ignore[index]
            call["function"]["arguments"] for call in message.get("tool_calls", ())
        ]
        assert found.usage is not None
        assert found.usage.completion_tokens == 4 * len(found.choices)


@pytest.mark.parametrize("text", ["Hello world", "Sorry, blocked", "Hel"])
def test_a_whole_message_with_another_text_than_the_deltas_adds_nothing(
    client: openai.OpenAI, upstream: Upstream, text: str
) -> None:
    events = [
        event(choice(delta={"content": one}, finish_reason=None)) for one in ("\n\nHel", "lo")
    ]
    whole = choice(message={"role": "assistant", "content": text}, finish_reason="stop")
    upstream.script("a", [role, *events, event(whole), event("[DONE]"), end])
    for many in ({"model": "a"}, RACE, {"model": ["a", "a"]}):
        assert streamed(client, **many) == ("\n\nHello", "stop")


def test_reasoning_has_two_names_in_one_stream(client: openai.OpenAI, upstream: Upstream) -> None:
    first = event(choice(delta={"reasoning": "hm"}, finish_reason=None))
    message = {"role": "assistant", "reasoning_content": "hm", "content": "Hi"}
    whole = event(choice(message=message, finish_reason="stop"))
    upstream.script("a", [role, first, whole, event("[DONE]"), end])
    found = client.chat.completions.create(messages=HI, **RACE).choices[0].message.to_dict()
    assert (found["content"], found.get("reasoning_content") or found["reasoning"]) == ("Hi", "hm")


@pytest.mark.parametrize("more", [{}, {"annotations": [{"index": 0, "x": "y"}]}], ids=str)
@pytest.mark.parametrize("reasons", [(None, "stop", None), ("stop", "stop", "stop")], ids=str)
def test_text_beside_and_after_a_finish_reason_stays_in_order(
    client: openai.OpenAI,
    upstream: Upstream,
    reasons: tuple[str | None, ...],
    more: dict[str, Any],
) -> None:
    deltas: list[dict[str, Any]] = [{"content": "Hel", **more}, {"content": "lo"}, {"content": "!"}]
    pieces = zip(deltas, reasons, strict=True)
    events = [event(choice(delta=delta, finish_reason=why)) for delta, why in pieces]
    upstream.script("a", [role, *events, event("[DONE]"), end])
    for many in ({"model": "a"}, RACE, {"model": ["a", "a"]}):
        assert streamed(client, **many) == ("Hello!", "stop")
    assert text_of(client, **RACE) == ("Hello!", "stop")


def test_a_name_in_each_delta_is_sent_once(client: openai.OpenAI, upstream: Upstream) -> None:
    """MiniMax's deltas have one, and SDKs join the pieces of a text."""
    named = [
        event(choice(delta={"name": "MiniMax AI", "content": text}, finish_reason=None))
        for text in ("Hel", "lo")
    ]
    upstream.script("a", [role, *named, FINISH, event("[DONE]"), end])
    for many in ({"model": "a"}, RACE, {"model": ["a", "a"]}):
        with client.chat.completions.stream(messages=HI, **many) as stream:
            message = stream.get_final_completion().choices[0].message.to_dict()
        assert (message["name"], message["content"]) == ("MiniMax AI", "Hello")
    message = client.chat.completions.create(messages=HI, **RACE).choices[0].message.to_dict()
    assert message["name"] == "MiniMax AI"
