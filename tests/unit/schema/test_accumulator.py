from __future__ import annotations

from typing import Any

from fanout.schema.accumulator import ChunkAccumulator


def chunk(*choices: dict[str, Any], **more: Any) -> Any:
    head = {"id": "1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
    return {**head, "choices": list(choices), **more}


def choice(index: int = 0, finish: str | None = None, /, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish}


def whole(*chunks: Any) -> Any:
    accumulator = ChunkAccumulator()
    for one in chunks:
        accumulator.add(one)
    return accumulator.completion()


def message(*deltas: dict[str, Any]) -> Any:
    return whole(*(chunk(choice(**delta)) for delta in deltas))["choices"][0]["message"]


def test_the_collected_response_is_that_of_a_plain_call() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    found = whole(
        chunk(choice(role="assistant", content="", refusal=None), system_fingerprint="fp"),
        chunk(choice(content="Hel")),
        chunk(choice(content="lo")),
        chunk(choice(0, "stop")),
        chunk(usage=usage, service_tier="default"),
    )
    assert found == {
        "id": "1",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "system_fingerprint": "fp",
        "service_tier": "default",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello"},
                "finish_reason": "stop",
            }
        ],
        "usage": usage,
    }


def test_choices_are_collected_by_their_index_and_sorted() -> None:
    found = whole(
        chunk(choice(1, content="B")), chunk(choice(0, content="A")), chunk(choice(1, content="b"))
    )
    texts = [(choice["index"], choice["message"]["content"]) for choice in found["choices"]]
    assert texts == [(0, "A"), (1, "Bb")]


def test_tool_calls_are_collected_by_their_index() -> None:
    first = {"index": 0, "id": "c0", "type": "function", "function": {"name": "f", "arguments": ""}}
    second = {"index": 1, "id": "c1", "function": {"name": "g"}}
    found = message(
        {"tool_calls": [first]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]},
        {"tool_calls": [second, {"index": 0, "function": {"arguments": "1}"}}]},
        {"tool_calls": [{"index": 1, "extra_content": {"sign": "s"}}]},
    )
    assert found["content"] is None
    assert found["tool_calls"] == [
        {"id": "c0", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "g", "arguments": ""},
            "extra_content": {"sign": "s"},
        },
    ]


def test_other_texts_than_the_content_are_collected_too() -> None:
    found = message(
        {"reasoning_content": "let me "}, {"reasoning_content": "think"}, {"content": "Hi"}
    )
    assert (found["reasoning_content"], found["content"]) == ("let me think", "Hi")


def test_the_content_of_a_refusal_is_null_and_that_of_an_empty_response_is_empty() -> None:
    assert message({"refusal": "I "}, {"refusal": "won't"}) == {
        "role": "assistant",
        "content": None,
        "refusal": "I won't",
    }
    assert message({"role": "assistant"}) == {"role": "assistant", "content": ""}


def test_the_content_of_spoken_audio_or_an_old_call_is_null_as_in_a_whole_response() -> None:
    spoken = message({"audio": {"id": "a", "data": "AA"}}, {"audio": {"data": "BB"}})
    assert (spoken["content"], spoken["audio"]["data"]) == (None, "AABB")
    called = message({"function_call": {"name": "f", "arguments": ""}}, {"content": ""})
    assert (called["content"], called["function_call"]["name"]) == (None, "f")
    assert message({"audio": {"id": "a"}}, {"content": "x"})["content"] == "x"


def test_lists_in_a_delta_are_joined_and_other_values_are_kept() -> None:
    found = message(
        {"content": "x", "citations": [{"n": 1}]}, {"citations": [{"n": 2}], "audio": {"id": "a"}}
    )
    assert found["citations"] == [{"n": 1}, {"n": 2}]
    assert found["audio"] == {"id": "a"}


def test_log_probabilities_are_joined() -> None:
    first = {**choice(content="a"), "logprobs": {"content": [{"token": "a"}], "refusal": None}}
    second = {**choice(content="b"), "logprobs": {"content": [{"token": "b"}], "refusal": None}}
    (joined,) = whole(chunk(first), chunk(second), chunk(choice(0, "stop")))["choices"]
    content = [{"token": "a"}, {"token": "b"}]
    assert joined["logprobs"] == {"content": content, "refusal": None}


def test_the_last_usage_counts_and_is_available_before_the_end() -> None:
    accumulator = ChunkAccumulator()
    assert accumulator.usage is None
    accumulator.add(chunk(choice(content="a"), usage={"total_tokens": 1}))
    accumulator.add(chunk(choice(content="b"), usage=None))
    accumulator.add(chunk(usage={"total_tokens": 2}))
    assert accumulator.usage == {"total_tokens": 2}
    whole_usage: Any = accumulator.completion()["usage"]
    assert whole_usage == {"total_tokens": 2}


def test_fields_that_belong_to_a_chunk_only_are_left_out() -> None:
    found = whole(chunk(choice(content="a"), obfuscation="xxxx"))
    assert "obfuscation" not in found
    assert found["object"] == "chat.completion"


def test_a_stream_without_choices_is_a_response_without_choices() -> None:
    assert whole(chunk())["choices"] == []
    assert ChunkAccumulator().completion()["choices"] == []


def test_chunks_are_not_changed() -> None:
    first = chunk(choice(tool_calls=[{"index": 0, "id": "c", "function": {"arguments": "{"}}]))
    second = chunk(choice(tool_calls=[{"index": 0, "function": {"arguments": "}"}}]))
    third = chunk(choice(content="x", citations=[1]))
    before = repr([first, second, third])
    whole(first, second, third, third)
    assert repr([first, second, third]) == before
