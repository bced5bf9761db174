"""
One odd field in a good response costs only itself: for every codec, plain, streamed and raced.

Each recorded response and stream of the golden files is taken with one value replaced: left out,
null, empty, or of another type. All text of the other events must arrive in order, with a finish
reason that OpenAI has, and with the right usage or none.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fanout.config.deployment import Deployment, make_deployment
from fanout.config.model import ModelParams
from fanout.errors import Malformed
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.accumulator import ChunkAccumulator
from fanout.transport.stream_events import StreamEvents
from fanout.wire.http import WireEvent, WireResponse

from .recorded_streams import (
    NEARLY_JSON,
    ODD,
    Event,
    KeyPath,
    Written,
    dump,
    encoded,
    events_of,
    leaves,
    paths,
    replaced,
    value_at,
)
from .test_contract import FINISH_REASONS, cases, provider_of, target_of

# Gemini has no other end than this, and Perplexity, which sends no `[DONE]`.
ENDS = re.compile(
    r"candidates|candidates\.\d+(\.finishReason)?|promptFeedback(\.blockReason)?"
    r"|perplexity\.choices(\.\d+(\.finish_reason)?)?"
)

STEADY = settings(derandomize=True, deadline=None, max_examples=20)
TEXTS = ("content", "reasoning_content", "refusal")

# Where there is nothing else to go by: without these, the response is an error.
ESSENTIAL = re.compile(
    r"choices|choices\.0|choices\.0\.message"  # OpenAI: the only message
    r"|candidates|candidates\.\d+(\.finishReason)?|promptFeedback(\.blockReason)?"  # Gemini
    r"|output|output\.message|message|content"  # the whole message, or what it is
)


def is_essential(path: KeyPath) -> bool:
    return ESSENTIAL.fullmatch(".".join(str(key) for key in path)) is not None


def texts_of(chunk: Any) -> str:
    """The texts of all choices' messages or deltas."""
    parts = [choice.get("message") or choice.get("delta") or {} for choice in chunk["choices"]]
    return "".join(part.get(name) or "" for part in parts for name in TEXTS)


def check(result: Any) -> None:
    """The result can be encoded, and has only what typed clients accept."""
    json.dumps(result)
    for choice in result["choices"]:
        assert isinstance(choice["index"], int)
        assert choice.get("finish_reason") in FINISH_REASONS
        for call in (choice.get("message") or choice.get("delta") or {}).get("tool_calls") or ():
            assert isinstance(call, dict)
    usage = result.get("usage")
    if usage is not None:
        counts = [usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
        assert all(type(count) is int and count >= 0 for count in counts)


# ---- whole responses ----

WHOLE = cases("response.json")


@pytest.mark.parametrize("case", WHOLE)
@STEADY
@given(data=st.data())
def test_a_whole_response_with_an_odd_value_is_delivered(case: Path, data: st.DataObject) -> None:
    codec, target = provider_of(case).chat, target_of(case)
    original = json.loads((case / "response.json").read_text())
    path = data.draw(st.sampled_from([p for p in paths(original) if not is_essential(p)]))
    odd = data.draw(st.sampled_from(ODD + NEARLY_JSON))
    body = dump(replaced(original, path, odd))
    found = codec.decode(WireResponse(200, {}, body), target)
    check(found)
    assert all(choice["finish_reason"] for choice in found["choices"])
    lost = list(leaves(value_at(original, path)))
    before: Any = codec.decode(WireResponse(200, {}, (case / "response.json").read_bytes()), target)
    texts = [choice["message"].get(name) or "" for choice in before["choices"] for name in TEXTS]
    for text in texts:
        if path[-1] != "type" and not any(one in text or text in one for one in lost):
            assert text in texts_of(found)


# ---- streams ----


@cache
def deployment_of(case: Path) -> Deployment:
    params: dict[str, Any] = {"model": "openai/m", "api_key": "k", "api_base": "http://a.test/v1"}
    made = make_deployment("our-name", ModelParams(**params), {}, {})
    target = replace(target_of(case), one_choice=case.name != "candidates")
    return replace(made, provider=provider_of(case), target=target)


def read(
    case: Path, events: list[Event], cut: range = range(0), size: int = 1
) -> tuple[list[Any], list[str]]:
    """The chunks of a stream, of which the events `cut` come in pieces, and each event's text."""
    stream = StreamEvents(deployment_of(case), 1 << 20, None)
    chunks: list[Any] = []
    texts: list[str] = []
    for index, event in enumerate(events):
        data, start = encoded(case, [event]), len(chunks)
        step = size if index in cut else len(data)
        for at in range(0, len(data), step):
            chunks += stream.feed(data[at : at + step])
        texts.append("".join(texts_of(chunk) for chunk in chunks[start:]))
    chunks += stream.end()
    assert stream.ended
    return chunks, texts


@cache
def as_recorded(case: Path) -> tuple[list[str], Any]:
    """Each event's text in the recorded stream, and the response that its chunks are."""
    chunks, texts = read(case, events_of(case))
    return texts, collected(chunks)


# Tags that are cut between two events are only known together.
STREAMS = [
    case
    for case in cases("stream.txt") + cases("stream.hex")
    if case.id != "bedrock-reasoning-cut-stream"
]
HALF = rb"\ud83d"
IS_USAGE = re.compile("usage|token", re.IGNORECASE)


@pytest.mark.parametrize("case", STREAMS)
@STEADY
@given(data=st.data())
def test_a_stream_with_an_odd_value_arrives(case: Path, data: st.DataObject) -> None:
    """Streamed, and raced: a race collects the chunks."""
    original = events_of(case)
    events = [i for i, (_, value) in enumerate(original) if isinstance(value, dict)]
    at = data.draw(st.sampled_from(events))
    vendor = ("perplexity",) if case.parent.name == "perplexity" else ()
    found = [
        path
        for path in paths(original[at][1])
        if not ENDS.fullmatch(".".join(map(str, (*vendor, *path))))
    ]
    path = data.draw(st.sampled_from(found))
    value = data.draw(st.sampled_from(ODD + NEARLY_JSON))
    odd = replaced(original[at][1], path, value)
    size = data.draw(st.sampled_from([1, 7, 1 << 20]))
    changed = [*original[:at], (original[at][0], odd), *original[at + 1 :]]
    chunks, texts = read(case, changed, range(at, at + 2), size)
    good, expected = as_recorded(case)
    assert "".join(texts[:at]) == "".join(good[:at])
    later, rest = "".join(texts[at + 1 :]), "".join(good[at + 1 :])
    if path[-1] == "content" and texts[at]:  # after any other text, Bedrock's tags are text
        rest = rest if case.parent.name != "bedrock" else written_texts(original[at + 1 :])
    # An event with half a character is held back until the next one.
    is_half = isinstance(value, Written) and HALF in value.data
    assert later == rest or (is_half and later.endswith(rest))
    for chunk in chunks:
        check(chunk)
    whole = collected(chunks)
    check(whole)
    assert all(choice["finish_reason"] for choice in whole["choices"])
    if not IS_USAGE.search(str(path)):
        assert whole["usage"] in (None, expected["usage"])


def written_texts(events: list[Event]) -> str:
    """The texts of OpenAI's chunks as the provider writes them, with the tags of its reasoning."""
    chunks = [value for _, value in events if isinstance(value, dict) and "choices" in value]
    return "".join(texts_of(chunk) for chunk in chunks)


@pytest.mark.parametrize("odd", [0, "odd", [{"type": "text", "text": "odd"}]])
def test_tags_after_another_text_are_text(odd: Any) -> None:
    (case,) = [c.values[0] for c in STREAMS if c.id == "bedrock-reasoning-stream"]
    original = events_of(case)
    value = replaced(original[1][1], ("choices", 0, "delta", "content"), odd)
    _, texts = read(case, [original[0], (original[1][0], value), *original[2:]])
    assert "<reasoning>" in (rest := written_texts(original[2:]))
    assert "".join(texts[2:]) == rest


ENDINGS = {
    "bedrock": re.compile("messageStop"),
    "cohere": re.compile("event: message-end"),
    "anthropic": re.compile("event: message_stop"),
}
NO_OBJECTS = (b"null", b'""', b"[]", b"{}", b"0", b"true", b"[1]")


def place_of_end(case: Path) -> int | None:
    """Where the event is whose name says that the response ends; `None` if its vendor has none."""
    name = ENDINGS.get(case.parent.name)
    heads = [head for head, _ in events_of(case)]
    return next((i for i, head in enumerate(heads) if name and name.match(head)), None)


@pytest.mark.parametrize("case", [one for one in STREAMS if place_of_end(one.values[0])])
def test_a_stream_whose_last_event_has_only_its_name_is_complete(case: Path) -> None:
    original = events_of(case)
    at = place_of_end(case) or 0
    for odd in NO_OBJECTS:
        value = (original[at][0], Written(odd))
        chunks, texts = read(case, [*original[:at], value, *original[at + 1 :]])
        assert texts == as_recorded(case)[0]
        whole = collected(chunks)
        assert all(choice["finish_reason"] for choice in whole["choices"])
        check(whole)


@pytest.mark.parametrize("odd", [*NO_OBJECTS, b'{"candidates": []}', b'{"usageMetadata": null}'])
def test_so_is_one_of_googles_whose_last_event_says_nothing(odd: bytes) -> None:
    part = {"content": {"parts": [{"text": "Hi."}]}, "index": 0}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 2}
    chunks, texts = read(
        Path("gemini/x"),
        [("", {"candidates": [part], "usageMetadata": usage}), ("", Written(odd))],
    )
    assert (texts[0], collected(chunks)["choices"][0]["finish_reason"]) == ("Hi.", "length")


def collected(chunks: list[Any]) -> Any:
    accumulator = ChunkAccumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    return accumulator.completion()


# ---- single cases ----


PLAIN = Path("openai/x")


def chunk(**choice: Any) -> Event:
    return "", {"id": "c", "model": "m", "choices": [{"index": 0, **choice}]}


HEL, LO = chunk(delta={"role": "assistant", "content": "Hel"}), chunk(delta={"content": "lo"})
STOP, DONE = chunk(delta={}, finish_reason="stop"), ("", "[DONE]")
CASES: dict[str, tuple[list[Event], str, str]] = {
    "choices is null": ([HEL, ("", {"choices": None}), LO, STOP, DONE], "Hello", "stop"),
    "content is a number": ([chunk(delta={"content": 6}), STOP, DONE], "6", "stop"),
    "no delta": (
        [HEL, LO, ("", {"choices": [{"index": 0, "finish_reason": "stop"}]})], "Hello", "stop",
    ),
    "empty finish reasons": (
        [
            chunk(delta={"content": "Hel"}, finish_reason=""),
            chunk(delta={"content": "lo"}, finish_reason=""),
            chunk(delta={}, finish_reason="length"),
        ],
        "Hello", "length",
    ),
    "no finish reason": ([HEL, LO, DONE], "Hello", "stop"),
    "no index": (
        [HEL, ("", {"choices": [{"delta": {"content": "lo"}}]}), STOP, DONE], "Hello", "stop",
    ),
    "an event of another shape": ([HEL, ("", "5"), ("", "[]"), LO, STOP, DONE], "Hello", "stop"),
}  # fmt: skip


@pytest.mark.parametrize("provider", ["openai", "azure", "deepseek", "openai_like"])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["", "BOM"])
def test_reported_streams_arrive(provider: str, name: str, start: bytes) -> None:
    events, text, reason = CASES[name]
    stream = StreamEvents(deployment_of(Path(provider) / "x"), 1 << 20, None)
    data = start + encoded(PLAIN, events)
    chunks: list[Any] = [c for at in range(len(data)) for c in stream.feed(data[at : at + 1])]
    assert stream.ended
    (choice,) = collected(chunks)["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (text, reason)
    reasons = [one.get("finish_reason") for each in chunks for one in each["choices"]]
    assert reasons[-1] == reason
    assert not any(reasons[:-1])


def test_a_stream_without_anything_readable_is_malformed() -> None:
    stream = StreamEvents(deployment_of(Path("openai/x")), 1 << 20, None)
    assert not list(stream.feed(encoded(PLAIN, [("", "5"), ("", "[]"), DONE])))
    with pytest.raises(Malformed):
        _ = stream.ended


def test_a_last_event_without_an_empty_line_counts_if_it_is_whole() -> None:
    for cut, ends in ((2, True), (3, False)):
        stream = StreamEvents(deployment_of(Path("openai/x")), 1 << 20, None)
        assert list(stream.feed(encoded(PLAIN, [HEL, STOP])[:-cut]))
        assert bool(list(stream.end())) is ends
        assert stream.ended is ends


# ---- types that say nothing ----

NO_TYPES: list[Any] = [7, "zz", "", None, [], {}]


def decoded(provider: str, body: Any) -> Any:
    target = Target("our-name", "m")
    return registry.find(provider).chat.decode(WireResponse(200, {}, dump(body)), target)


@pytest.mark.parametrize("odd", NO_TYPES)
def test_a_message_and_its_texts_are_delivered_whatever_their_types_are(odd: Any) -> None:
    block = {"type": "text", "text": "Hi."}
    search = {"type": "server_tool_use", "id": "s", "name": "w", "input": {}}
    message: dict[str, Any] = {
        "type": "message",
        "id": "m",
        "model": "m",
        "content": [search, block],
    }
    message |= {"usage": {"input_tokens": 1, "output_tokens": 1}, "stop_reason": "end_turn"}
    for body in (
        {**message, "type": odd},
        {**message, "content": [search, {**block, "type": odd}]},
    ):
        found = decoded("anthropic", body)["choices"][0]
        assert found == {
            "index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Hi."},
        }  # fmt: skip


@pytest.mark.parametrize("fields", [{}, {"function": None}])
@pytest.mark.parametrize("provider", ["openai", "azure", "groq"])
def test_a_call_without_its_function_is_left_out(provider: str, fields: dict[str, Any]) -> None:
    """A client would look for a tool without a name. The other calls stay."""
    call = {"id": "c", "type": "function", **fields}
    good = {"id": "d", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    other = {"id": "e", "type": "search", "search": {}}
    for calls, left in [([call], None), ([call, good, other], [good, other])]:
        message = {"role": "assistant", "content": "Hi.", "tool_calls": calls}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        found = decoded(provider, {"id": "r", "model": "m", "choices": [choice]})
        assert found["choices"][0]["message"].get("tool_calls") == left


@pytest.mark.parametrize("function", [{}, {"arguments": "{}"}, {"name": ""}, {"name": None}])
def test_a_call_in_the_old_form_without_a_name_is_left_out(function: dict[str, Any]) -> None:
    message = {"role": "assistant", "content": "Hi.", "function_call": function}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    found = decoded("openai", {"id": "r", "model": "m", "choices": [choice]})
    assert found["choices"][0]["message"] == {"role": "assistant", "content": "Hi."}


@pytest.mark.parametrize("provider", ["openai", "azure", "groq"])
def test_a_streamed_call_of_no_function_is_left_out(provider: str) -> None:
    codec = registry.find(provider).chat
    call = {"index": 0, "id": "c", "type": "function", "function": None}
    good = {"index": 1, "id": "d", "type": "function", "function": {"name": "f", "arguments": ""}}
    cases: list[Any] = [([call], None), ([call, good], [("d", "f")])]
    for calls, left in cases:
        decoder, accumulator = codec.decoder(Target("our-name", "m")), ChunkAccumulator()
        for delta in ({"content": "Hi."}, {"tool_calls": calls}):
            choice = {"index": 0, "delta": delta, "finish_reason": None}
            for chunk in decoder.feed(WireEvent(dump({"id": "r", "choices": [choice]}))):
                accumulator.add(chunk)
        for chunk in decoder.feed(WireEvent(b"[DONE]")):
            accumulator.add(chunk)
        whole: Any = accumulator.completion()["choices"][0]
        found = whole["message"].get("tool_calls")

        assert (found and [(one["id"], one["function"]["name"]) for one in found]) == left
        assert whole["finish_reason"] == ("tool_calls" if left else "stop")


@pytest.mark.parametrize("odd", NO_TYPES)
def test_coheres_stream_ends_with_its_finish_reason_whatever_the_type_is(odd: Any) -> None:
    decoder = registry.find("cohere").chat.decoder(Target("our-name", "m"))
    end = {"type": odd, "delta": {"finish_reason": "COMPLETE"}}
    (chunk,) = decoder.feed(WireEvent(dump(end)))
    assert decoder.ended
    assert chunk["choices"][0]["finish_reason"] == "stop"


# ---- events that say nothing ----

SILENT = (b"data:\n\n", b"data: \n\n", b"event: ping\ndata:\n\n", b": ping\n\n")
STREAMED = [case for case in cases("stream.txt") if "error" not in str(case.values[0])]


@pytest.mark.parametrize("silent", SILENT)
@pytest.mark.parametrize("case", STREAMED)
def test_keep_alives_between_the_events_of_a_stream_change_nothing(
    case: Path, silent: bytes
) -> None:
    """Some proxies send events with blank data."""
    events = events_of(case)
    plain = b"".join(encoded(case, [event]) for event in events)
    padded = silent + b"".join(encoded(case, [event]) + silent for event in events)
    found = []
    for data in (plain, padded):
        stream = StreamEvents(deployment_of(case), 1 << 20, None)
        chunks: list[Any] = [*stream.feed(data), *stream.end()]
        found.append((without_time(chunks), stream.ended, stream.skipped.events))
    assert found[0] == found[1]


def without_time(chunks: list[Any]) -> list[Any]:
    """The chunks without what Fanout makes up itself."""
    return [{k: v for k, v in chunk.items() if k not in {"created", "id"}} for chunk in chunks]


def test_googles_empty_error_object_is_none() -> None:
    event = b'data: {"candidates":[{"content":{"parts":[{"text":"Hel"}]}}],"error":{}}\n\n'
    stream = StreamEvents(deployment_of(Path("gemini/x")), 1 << 20, None)
    assert "".join(texts_of(chunk) for chunk in stream.feed(event)) == "Hel"
    case = next(case.values[0] for case in STREAMED if "anthropic" in str(case.values[0]))
    params: dict[str, Any] = {"api_key": "k", "vertex_project": "p", "vertex_location": "eu"}
    claude = make_deployment(
        "our-name", ModelParams(model="vertex_ai/claude-sonnet-4-5", **params), {}, {}
    )
    stream = StreamEvents(claude, 1 << 20, None)
    assert [*stream.feed(b'data: {"error":{}}\n\n' + encoded(case, events_of(case)))]
    assert stream.ended
