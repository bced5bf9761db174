"""Streams through API Gateway: each chunk arrives as soon as the provider sends it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2

from .deployed_stack import TIMEOUT, DeployedStack, Response, chat_body
from .scripted_provider import ANSWER, WORDS, ScriptedProvider


def words(chunks: Iterator[Any]) -> Iterator[str]:
    """Yield the words of a stream."""
    for chunk in chunks:
        for choice in chunk.choices:
            if choice.delta.content:
                yield choice.delta.content


def test_a_stream_has_text_a_finish_reason_and_the_usage(
    stack: DeployedStack, models: list[str]
) -> None:
    body: Any = chat_body(models[0])
    chunks = list(
        stack.sdk().chat.completions.create(
            **body, stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(words(iter(chunks)))
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] in {"stop", "length"}
    assert chunks[-1].usage is not None
    assert chunks[-1].choices == []


def test_each_chunk_arrives_before_the_provider_sends_the_next(
    own: DeployedStack, provider: ScriptedProvider
) -> None:
    body: Any = chat_body("gated")
    stream = words(own.sdk().chat.completions.create(**body, stream=True))
    for count, word in enumerate(WORDS, 1):
        assert next(stream) == word
        assert provider.words_sent("gated") == count
        provider.gate.release()
    assert list(stream) == []


def test_the_stream_has_openais_events_and_ends_with_done(own: DeployedStack) -> None:
    lines = stream_lines(own, "quick")
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    assert {json.loads(event)["object"] for event in data[:-1]} == {"chat.completion.chunk"}


def stream_lines(stack: DeployedStack, model: str, **more: object) -> Sequence[str]:
    with httpx2.stream(
        "POST",
        f"{stack.url}/chat/completions",
        json=chat_body(model, stream=True, **more),
        headers={"authorization": f"Bearer {stack.key}"},
        timeout=TIMEOUT,
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        return list(answer.iter_lines())


def test_a_streamed_race_is_decided_before_its_first_chunk(
    own: DeployedStack, provider: ScriptedProvider
) -> None:
    body: Any = chat_body("stuck, late")
    stream = own.sdk().chat.completions.create(
        **body, stream=True, extra_body={"fastest_response": True}
    )
    chunks = list(stream)
    assert "".join(words(iter(chunks))) == ANSWER
    assert {chunk.model for chunk in chunks} == {"late"}
    assert provider.was_disconnected("stuck")


def test_streams_of_all_models_interleave_by_index(own: DeployedStack) -> None:
    body: Any = chat_body("slow, quick")
    texts: dict[int, str] = {0: "", 1: ""}
    order = []
    for chunk in own.sdk().chat.completions.create(**body, stream=True):
        for choice in chunk.choices:
            if choice.delta.content:
                texts[choice.index] += choice.delta.content
                order.append(choice.index)
    assert texts == {0: ANSWER, 1: ANSWER}
    assert order[0] == 1  # the quick one, although it was named last


def test_a_failure_before_the_first_chunk_is_an_ordinary_error(own: DeployedStack) -> None:
    response = own.chat("broken", stream=True)
    assert response.status >= 500
    assert response.error["code"] == "provider_overloaded"


def test_a_cold_environment_streams_and_another_starts_beside_a_stream(
    cold: DeployedStack, provider: ScriptedProvider
) -> None:
    """The first request of an environment, and one that needs a second environment."""
    body: Any = chat_body("gated")
    stream = words(cold.sdk().chat.completions.create(**body, stream=True))
    assert next(stream) == WORDS[0]
    assert provider.words_sent("gated") == 1

    responses: list[Response] = []
    other = threading.Thread(target=lambda: responses.append(cold.chat("quick")))
    other.start()
    other.join(TIMEOUT)
    assert responses[0].json["choices"][0]["message"]["content"] == ANSWER
    assert provider.words_sent("gated") == 1  # the stream has not moved on

    for _ in WORDS[1:]:
        provider.gate.release()
    assert list(stream) == list(WORDS[1:])
