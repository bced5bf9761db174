"""
Events whose data are a text and no object of JSON: keep-alives change nothing, errors are reported.

Each is put into every recorded stream, before the first event and between all others.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fanout.errors import (
    Broken,
    ContextLengthExceeded,
    Malformed,
    Overloaded,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    Refused,
)
from fanout.transport.stream_events import StreamEvents
from fanout.transport.stream_mismatch import joined_stream
from fanout.wire.http import WireResponse

from .recorded_streams import encoded, events_of
from .test_contract import cases
from .test_tolerant_reading import (
    DONE,
    HEL,
    LO,
    PLAIN,
    STOP,
    collected,
    deployment_of,
    texts_of,
    without_time,
)

STREAMED = [case for case in cases("stream.txt") if "error" not in str(case.values[0])]
SILENT = [
    "data: ping",
    'data: "ping"',
    "data: PING\r",
    "data: keep-alive",
    'data: "OPENROUTER PROCESSING"',
    "data: null",
    "data: {}",
    'data: ""',
    "data: true",
    "data: OK",
    "event: ping\ndata: ping",
    "event: ping\ndata: {}",
    'event: ping\ndata: {"type": "ping"}',
    "event: heartbeat\ndata: 12",
    "data: 1.5",
]
COUNTED = ("true", "12", "1.5")


def read(case: Path, data: bytes, size: int = 1 << 20) -> tuple[list[Any], StreamEvents]:
    stream = StreamEvents(deployment_of(case), 1 << 20, None)
    chunks: list[Any] = []
    for at in range(0, len(data), size):
        chunks += stream.feed(data[at : at + size])
    return [*chunks, *stream.end()], stream


@pytest.mark.parametrize("case", STREAMED)
def test_an_event_that_says_nothing_changes_no_stream(case: Path) -> None:
    events = [encoded(case, [event]) for event in events_of(case)]
    plain, stream = read(case, b"".join(events))
    assert stream.ended
    for silent in SILENT:
        said = f"{silent}\n\n".encode()
        padded, other = read(case, said + b"".join(event + said for event in events))
        assert without_time(padded) == without_time(plain), silent
        assert other.ended, silent
        assert silent.endswith(COUNTED) or other.skipped.events == stream.skipped.events, silent


@pytest.mark.parametrize("case", STREAMED)
def test_a_field_name_that_is_written_twice_is_read_once(case: Path) -> None:
    """A relay has put its own before it."""
    data = b"".join(encoded(case, [event]) for event in events_of(case))
    twice, stream = read(case, data.replace(b"data: ", b"data: data: "), 7)
    assert stream.ended
    assert without_time(twice) == without_time(read(case, data)[0])


@pytest.mark.parametrize("case", STREAMED)
def test_an_event_that_is_written_as_a_string_of_json_is_read(case: Path) -> None:
    """A relay has encoded each once more."""
    data = b"".join(encoded(case, [event]) for event in events_of(case))
    lines = [
        b"data: " + json.dumps(line[6:].decode()).encode() if line.startswith(b"data: {") else line
        for line in data.split(b"\n")
    ]
    found, stream = read(case, b"\n".join(lines), 7)
    assert stream.ended
    assert without_time(found) == without_time(read(case, data)[0])


SPLIT: list[tuple[list[str], str]] = [
    (["A\\ud83d", "\\ude00B"], "A😀B"),
    (["\\uD83D", "\\uDE00"], "😀"),
    (["a\\ud83d", "\\ude00\\ud83d", "\\ude00"], "a😀😀"),
    (["a\\ud83d", "b"], "a\ufffdb"),
    (["a\\ud83d"], "a\ufffd"),
    (["a", "\\ude00b"], "a\ufffdb"),
    (["a\\\\ud83d", "\\\\ude00b"], "a\\ud83d\\ude00b"),  # these are letters
]


@pytest.mark.parametrize("done", ["data: [DONE]\n\n", ""])
def test_a_character_that_is_divided_between_two_events_is_whole(done: str) -> None:
    for pieces, text in SPLIT:
        last = [""] * (len(pieces) - 1) + [', "finish_reason": "stop"']
        data = "".join(
            f'data: {{"choices": [{{"index": 0, "delta": {{"content": "{piece}"}}{end}}}]}}\n\n'
            for piece, end in zip(pieces, last, strict=True)
        )
        chunks, stream = read(PLAIN, (data + done).encode(), 9)
        assert stream.ended, pieces
        assert collected(chunks)["choices"][0]["message"]["content"] == text


@pytest.mark.parametrize("silent", SILENT)
def test_a_response_of_usage_alone_is_delivered_beside_keep_alives(silent: str) -> None:
    """It was paid, so it is a response without a text."""
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    end = encoded(PLAIN, [("", {"choices": [], "usage": usage}), DONE])
    chunks, stream = read(PLAIN, f"{silent}\n\n".encode() + end)
    assert stream.ended
    whole = collected([*chunks, *stream.missing_choice()])
    assert (whole["choices"][0]["message"]["content"], whole["usage"]) == ("", usage)


FAULTS: list[tuple[str, type[ProviderError]]] = [
    ("Rate limit exceeded, please slow down", RateLimited),
    ("Too Many Requests", RateLimited),
    ("insufficient quota", QuotaExceeded),
    ("Internal Server Error", Overloaded),
    ("error", Overloaded),
    ("upstream connect error or disconnect/reset before headers", Overloaded),
    ("The model is overloaded", Overloaded),
    ("Service Unavailable", Overloaded),
    ("this model's maximum context length is 8192 tokens", ContextLengthExceeded),
    ("Invalid API key", Refused),
    ("Something went wrong", Overloaded),
]


@pytest.mark.parametrize("form", ["{}", '"{}"', "event: error"])
@pytest.mark.parametrize(("text", "kind"), FAULTS)
@pytest.mark.parametrize("case", ["openai", "groq", "anthropic", "gemini", "cohere"])
def test_an_error_that_is_only_its_words_is_reported(
    case: str, text: str, kind: type[ProviderError], form: str
) -> None:
    data = f"event: error\ndata: {text}\n\n" if form == "event: error" else f"data: {form}\n\n"
    with pytest.raises(ProviderError) as raised:
        read(Path(case) / "x", data.replace("{}", text).encode())
    assert type(raised.value) is kind
    if kind is not Refused:
        assert text in str(raised.value)


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_an_error_of_words_after_a_part_of_the_text_ends_the_stream(size: int) -> None:
    with pytest.raises(RateLimited):
        read(PLAIN, encoded(PLAIN, [HEL, ("", "Rate limit exceeded"), LO, STOP, DONE]), size)


def test_words_after_the_end_of_the_response_are_no_error() -> None:
    chunks, stream = read(PLAIN, encoded(PLAIN, [HEL, LO, STOP, ("", "Internal Server Error")]))
    assert stream.ended
    assert "".join(map(texts_of, chunks)) == "Hello"


@pytest.mark.parametrize("data", ['{"choices": [', "<html>502 Bad Gateway</html>"])
def test_what_is_no_text_is_malformed(data: str) -> None:
    with pytest.raises(Exception) as raised:  # noqa: PT011 -- whatever decoding raises
        read(PLAIN, encoded(PLAIN, [HEL, ("", data)]))
    assert not isinstance(raised.value, ProviderError) or type(raised.value) is Malformed
    assert "html" not in str(raised.value)


def test_a_text_with_a_key_of_ours_is_reported_without_it() -> None:
    stream = StreamEvents(deployment_of(PLAIN), 1 << 20, "sk-12345678901234567890")
    with pytest.raises(ProviderError) as raised:
        list(stream.feed(b"data: error: no access for sk-12345678901234567890 here\n\n"))
    assert "sk-1234" not in str(raised.value)


# ---- a stream in place of a plain response ----


def joined(events: Sequence[Any]) -> Any:
    response = WireResponse(200, {}, encoded(PLAIN, events))
    return joined_stream(deployment_of(PLAIN), ValueError(), response, None)


@pytest.mark.parametrize("silent", ["ping", '"ping"', "null", "{}", "7"])
def test_keep_alives_change_nothing_in_a_stream_for_a_plain_request(silent: str) -> None:
    said = ("", silent)
    found = joined([said, HEL, said, LO, said, STOP, DONE])
    assert found["choices"][0]["message"]["content"] == "Hello"
    json.dumps(found)


def test_so_is_an_error_of_words_in_one() -> None:
    with pytest.raises(RateLimited):
        joined([HEL, ("", "Rate limit exceeded"), DONE])
    with pytest.raises(Broken):
        joined([HEL, ("", "ping")])
