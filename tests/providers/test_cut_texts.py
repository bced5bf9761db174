"""
A text that ends inside a character arrives, with U+FFFD for the rest of the character.

Providers send half an emoji where they cut a response at its token limit: as one of the two escapes
of a surrogate pair, or as a part of its bytes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.wire.http import WireResponse

from .recorded_streams import KeyPath, Written, dump, events_of, paths, replaced, value_at
from .test_contract import cases, provider_of, target_of
from .test_tolerant_reading import STREAMS, as_recorded, check, collected, read, texts_of

STEADY = settings(derandomize=True, deadline=None, max_examples=10)
KINDS = {"type", "object", "role", "search_context_size"}
HALVES = [rb"\ud83d", rb"\ude00", b"\xf0\x9f\x98", b"\xff"]


def texts_in(value: Any) -> list[KeyPath]:
    """Where a text may be cut: not in a word that says what the object is, nor behind a tag."""
    texts = [path for path in paths(value) if isinstance(value_at(value, path), str)]
    return [
        path
        for path in texts
        if path[-1] not in KINDS and value_at(value, path) and value_at(value, path)[-1] != ">"
    ]


def cut(value: Any, path: KeyPath, half: bytes) -> Any:
    text = json.dumps(value_at(value, path)).encode()
    return replaced(value, path, Written(text[:-1] + half + b'"'))


@pytest.mark.parametrize("case", cases("response.json"))
@STEADY
@given(data=st.data())
def test_a_whole_response_with_half_a_character(case: Path, data: st.DataObject) -> None:
    codec, target = provider_of(case).chat, target_of(case)
    original = json.loads((case / "response.json").read_text())
    path = data.draw(st.sampled_from(texts_in(original)))
    body = dump(cut(original, path, data.draw(st.sampled_from(HALVES))))
    found: Any = codec.decode(WireResponse(200, {}, body), target)
    expected: Any = codec.decode(WireResponse(200, {}, dump(original)), target)
    check(found)
    assert without_mark(texts_of(found)) == texts_of(expected)
    assert calls_of(found) == calls_of(expected)
    assert found["usage"] == expected["usage"]


@pytest.mark.parametrize("case", STREAMS)
@STEADY
@given(data=st.data())
def test_a_stream_with_half_a_character(case: Path, data: st.DataObject) -> None:
    original = events_of(case)
    places = [
        (i, p) for i, (_, v) in enumerate(original) if isinstance(v, dict) for p in texts_in(v)
    ]
    at, path = data.draw(st.sampled_from(places))
    head, value = original[at]
    event = (head, cut(value, path, data.draw(st.sampled_from(HALVES))))
    chunks, _ = read(case, [*original[:at], event, *original[at + 1 :]])
    for chunk in chunks:
        check(chunk)
    found, (_, expected) = collected(chunks), as_recorded(case)
    assert without_mark(texts_of(found)) == texts_of(expected)
    assert calls_of(found) == calls_of(expected)
    assert found["usage"] == expected["usage"]


def calls_of(completion: Any) -> list[Any]:
    """The name and the arguments of each call, without U+FFFD."""
    functions = [
        call["function"]
        for choice in completion["choices"]
        for call in choice["message"].get("tool_calls") or ()
        if "function" in call
    ]
    return [(without_mark(one["name"]), parsed(one["arguments"])) for one in functions]


def parsed(arguments: str) -> Any:
    try:
        return json.loads(without_mark(arguments))
    except json.JSONDecodeError:
        return without_mark(arguments)


def without_mark(text: str) -> str:
    return re.sub(r"\ufffd|\\ufffd|\\ud83d|\\ude00", "", text)
