"""`stream_chunk_builder`: chunks of a stream become what the plain call returns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

import fanout
from fanout.errors import RequestError
from tests.library.ways import HI, Way, at
from tests.providers.test_contract import cases, chunks_of
from tests.providers.test_race_keeps_structure import by_sdk, tidy
from tests.support.provider_steps import answers, delta, role, say, stop
from tests.support.scripted_provider import Upstream

USAGE = {"include_usage": True}
STREAMS = cases("stream.txt")


def function(index: int, arguments: str, **more: str) -> Any:
    names = {"name": more.pop("name")} if "name" in more else {}
    call = {"index": index, "function": {**names, "arguments": arguments}, **more}
    return delta(tool_calls=[call])


def compared(response: Any) -> Any:
    """What does not differ from call to call."""
    value = response.model_dump()
    return tidy({name: value.get(name) for name in ("object", "model", "choices", "usage")})


def test_the_chunks_of_a_text_are_the_plain_response(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers("It is ", "late."))
    plain = call("completion", "openai/m", HI, **at(upstream))
    chunks = call.read("completion", "openai/m", HI, stream_options=USAGE, **at(upstream))
    built = fanout.stream_chunk_builder(chunks, messages=HI)
    assert isinstance(built, fanout.ChatCompletion)
    assert compared(built) == compared(plain)
    assert (built.choices[0].message.content, built.usage) == ("It is late.", plain.usage)


def test_a_stream_is_read_to_its_end(upstream: Upstream) -> None:
    upstream.script("m", answers("A", "B"))
    stream = fanout.completion("openai/m", HI, stream=True, **at(upstream))
    assert fanout.stream_chunk_builder(stream).choices[0].message.content == "AB"


def test_pieces_of_tool_calls_are_joined_call_by_call(upstream: Upstream) -> None:
    upstream.script(
        "m",
        [
            role,
            say("I look."),
            function(0, "", id="c0", type="function", name="weather"),
            function(0, '{"city": '),
            function(1, '{"city": "Ber', id="c1", type="function", name="weather"),
            function(0, '"Oslo"}'),
            function(1, 'gen"}'),
            stop,
        ],
    )
    chunks = list(fanout.completion("openai/m", HI, stream=True, **at(upstream)))
    (choice,) = fanout.stream_chunk_builder(chunks).choices
    assert choice.message.content == "I look."
    calls = choice.message.tool_calls or []
    assert [(one.id, one.model_dump()["function"]) for one in calls] == [
        ("c0", {"name": "weather", "arguments": '{"city": "Oslo"}'}),
        ("c1", {"name": "weather", "arguments": '{"city": "Bergen"}'}),
    ]


def test_interleaved_choices_of_several_models_are_kept_apart() -> None:
    def piece(index: int, content: str, **more: Any) -> dict[str, Any]:
        return {"index": index, "delta": {"content": content}, "finish_reason": None, **more}

    end = {"model": "b", "finish_reason": "stop", "usage": {"total_tokens": 7}}
    chunks: list[Any] = [
        {"id": "x", "created": 1, "model": "a, b", "choices": [one]}
        for one in (
            *(piece(1, ""), piece(0, ""), piece(1, "th"), piece(0, "one", model="a")),
            *(piece(1, "ree"), piece(1, "", **end), piece(0, "", finish_reason="length")),
        )
    ]
    total = {"prompt_tokens": 1, "completion_tokens": 9, "total_tokens": 10}
    chunks.append({**chunks[0], "choices": [], "usage": total, "fanout": {"mode": "all"}})
    built = fanout.stream_chunk_builder(chunks)
    found = [(c.index, c.message.content, c.model, c.finish_reason) for c in built.choices]
    assert found == [(0, "one", "a", "length"), (1, "three", "b", "stop")]
    assert built["usage"] == total
    assert built.choices[1]["usage"] == {"total_tokens": 7}
    assert built["fanout"]["mode"] == "all"


KINDS: dict[str, Any] = {
    "Fanout's": fanout.ChatCompletionChunk.from_json,
    "OpenAI's": ChatCompletionChunk.model_validate,
    "dicts": dict,
}


@pytest.mark.parametrize("case", STREAMS)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_it_equals_what_openais_sdk_makes_of_every_recorded_stream(case: Path, kind: Any) -> None:
    chunks = [{"id": "x", "created": 0} | chunk for chunk in chunks_of(case, 1 << 30)[0]]
    ours = fanout.stream_chunk_builder([kind(chunk) for chunk in chunks]).model_dump()
    theirs = by_sdk(chunks)
    assert len(ours["choices"]) == len(theirs["choices"])
    for one, other in zip(ours["choices"], theirs["choices"], strict=True):
        assert tidy(one["message"]) == tidy(other["message"])
        assert one["finish_reason"] == other["finish_reason"]
        assert tidy(one.get("logprobs")) == tidy(other.get("logprobs"))
    assert tidy(ours.get("usage")) == tidy(theirs.get("usage"))


def test_without_the_last_chunks_there_is_no_finish_reason(upstream: Upstream) -> None:
    upstream.script("m", answers("one", "two"))
    chunks = list(fanout.completion("openai/m", HI, stream=True, **at(upstream)))
    (choice,) = fanout.stream_chunk_builder(chunks[:2]).choices
    assert (choice.message.content, choice.finish_reason) == ("one", None)


def test_the_built_message_is_a_message_of_the_next_request(upstream: Upstream) -> None:
    upstream.script("m", answers("one"))
    chunks = list(fanout.completion("openai/m", HI, stream=True, **at(upstream)))
    message = fanout.stream_chunk_builder(chunks).choices[0].message
    fanout.completion("openai/m", [*HI, message, *HI], **at(upstream))
    assert upstream.calls_to("m")[-1].body["messages"][1]["content"] == "one"


@pytest.mark.parametrize(
    ("chunks", "words"),
    [
        ([], "`chunks` is empty"),
        (["text"], r"`chunks\[0\]` is a str and not a chunk"),
        (None, "`chunks` is a NoneType and not a list of chunks"),
        (5.5, "`chunks` is a float and not a list of chunks"),
    ],
)
def test_what_is_no_stream_is_an_error_that_says_so(chunks: Any, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        fanout.stream_chunk_builder(chunks)


def test_chunks_with_nulls_of_other_servers_are_read() -> None:
    odd: list[Any] = [
        {"id": "x", "choices": None},
        {"id": "x", "choices": [{"index": 0, "delta": None}]},
        {"id": "x", "choices": [{"index": 0, "delta": {"content": "hi"}}], "usage": None},
    ]
    assert fanout.stream_chunk_builder(odd).choices[0].message.content == "hi"


@pytest.mark.parametrize("name", ["start_time", "end_time", "logging_obj"])
def test_litellms_other_arguments_are_rejected_with_the_reason(name: str) -> None:
    build: Any = fanout.stream_chunk_builder
    chunks = [{"id": "x", "choices": [{"index": 0, "delta": {"content": "hi"}}]}]
    with pytest.raises(RequestError, match=rf"`{name}` has no effect here \(.+\): remove it"):
        build(chunks, **{name: 1})
    assert build(chunks, **{name: None}).choices[0].message.content == "hi"
    with pytest.raises(TypeError, match="unexpected keyword argument 'message'"):
        build(chunks, message=[])
