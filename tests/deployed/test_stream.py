"""Streams through the front door: each piece comes as it is made."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2

from .deployed_stack import TIMEOUT, Deployed, Heard, asking
from .scripted_provider import ANSWER, WORDS, Provider


def words(chunks: Iterator[Any]) -> Iterator[str]:
    """What a stream says, word by word."""
    for chunk in chunks:
        for choice in chunk.choices:
            if choice.delta.content:
                yield choice.delta.content


def test_a_stream_says_what_the_whole_answer_would(stack: Deployed, models: list[str]) -> None:
    asked: Any = asking(models[0])
    chunks = list(
        stack.sdk().chat.completions.create(
            **asked, stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(words(iter(chunks)))
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] in {"stop", "length"}
    assert chunks[-1].usage is not None
    assert chunks[-1].choices == []


def test_each_piece_comes_before_the_next_is_made(own: Deployed, provider: Provider) -> None:
    asked: Any = asking("gated")
    stream = words(own.sdk().chat.completions.create(**asked, stream=True))
    for made, word in enumerate(WORDS, 1):
        assert next(stream) == word
        assert provider.words_said("gated") == made
        provider.gate.release()
    assert list(stream) == []


def test_the_wire_is_openais_events_to_the_end(own: Deployed) -> None:
    lines = stream_lines(own, "quick")
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    assert {json.loads(piece)["object"] for piece in data[:-1]} == {"chat.completion.chunk"}


def stream_lines(stack: Deployed, model: str, **more: object) -> Sequence[str]:
    with httpx2.stream(
        "POST",
        f"{stack.url}/chat/completions",
        json=asking(model, stream=True, **more),
        headers={"authorization": f"Bearer {stack.key}"},
        timeout=TIMEOUT,
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        return list(answer.iter_lines())


def test_a_streamed_race_is_decided_before_its_first_piece(
    own: Deployed, provider: Provider
) -> None:
    asked: Any = asking("stuck, quick")
    stream = own.sdk().chat.completions.create(
        **asked, stream=True, extra_body={"fastest_response": True}
    )
    chunks = list(stream)
    assert "".join(words(iter(chunks))) == ANSWER
    assert {chunk.model for chunk in chunks} == {"quick"}
    assert provider.was_hung_up_on("stuck")


def test_streamed_answers_of_all_models_interleave_by_index(own: Deployed) -> None:
    asked: Any = asking("slow, quick")
    said: dict[int, str] = {0: "", 1: ""}
    order = []
    for chunk in own.sdk().chat.completions.create(**asked, stream=True):
        for choice in chunk.choices:
            if choice.delta.content:
                said[choice.index] += choice.delta.content
                order.append(choice.index)
    assert said == {0: ANSWER, 1: ANSWER}
    assert order[0] == 1  # the quick one, though it was named last


def test_a_fault_before_the_first_piece_is_an_ordinary_error(own: Deployed) -> None:
    heard = own.chat("broken", stream=True)
    assert heard.status >= 500
    assert heard.error["code"] == "provider_overloaded"


def test_a_cold_environment_streams_and_another_starts_beside_a_stream(
    cold: Deployed, provider: Provider
) -> None:
    """The first request that an environment ever has, and one that must have its own."""
    asked: Any = asking("gated")
    stream = words(cold.sdk().chat.completions.create(**asked, stream=True))
    assert next(stream) == WORDS[0]
    assert provider.words_said("gated") == 1

    heard: list[Heard] = []
    other = threading.Thread(target=lambda: heard.append(cold.chat("quick")))
    other.start()
    other.join(TIMEOUT)
    assert heard[0].json["choices"][0]["message"]["content"] == ANSWER
    assert provider.words_said("gated") == 1  # the stream is still where it was

    for _ in WORDS[1:]:
        provider.gate.release()
    assert list(stream) == list(WORDS[1:])
