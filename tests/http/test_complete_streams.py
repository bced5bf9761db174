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
