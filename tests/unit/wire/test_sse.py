"""Server-sent events: the specification's rules for lines, and bytes that are cut anywhere."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fanout.wire.http import WireEvent
from fanout.wire.sse import DONE, KEEP_ALIVE, SSEFramer, encode_event

STEADY = settings(derandomize=True, deadline=None)


def events(*parts: bytes) -> list[WireEvent]:
    framer = SSEFramer()
    return [event for part in parts for event in framer.feed(part)]


def data(*parts: bytes) -> list[bytes]:
    return [event.data for event in events(*parts)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_lines_may_end_with_lf_crlf_or_cr_and_be_cut_anywhere(end: bytes) -> None:
    text = end.join([b"event: a", b"data: 1", b"data: 2", b"", b"data: 3", b"", b": end", b""])
    expected = [WireEvent(b"1\n2", "a"), WireEvent(b"3")]
    assert events(text) == expected
    assert events(*(text[i : i + 1] for i in range(len(text)))) == expected
    for cut in range(len(text)):
        assert events(text[:cut], text[cut:]) == expected


@pytest.mark.parametrize(
    "before",
    [b"", b"data: 0\n", b"data: 0\r", b"event: a\n", b"event: a\n\n", b"da", b":", b"\xef\xbb\xbf"],
)
@pytest.mark.parametrize(
    "read", [b"data: 1\n\n", b"data: \n\n", b"data: 1\r\n\n", b"data: 1\ndata: 2\n\n", b"data: 1\n"]
)
def test_a_read_that_may_be_one_whole_event_depends_on_what_came_before(
    before: bytes, read: bytes
) -> None:
    whole = b": begin\n" + before + read
    assert events(before, read) == events(whole)
    assert events(b"data: 7\n\n", before, read) == [WireEvent(b"7"), *events(whole)]


def test_line_ends_may_be_mixed() -> None:
    assert data(b"data: 1\r\n\rdata: 2\n\r\ndata: 3\r\r\n") == [b"1", b"2", b"3"]


def test_the_two_halves_of_a_crlf_end_one_line() -> None:
    """`data: 1 CR | LF data: 2`: CR and LF are one line end, so the event continues."""
    assert data(b"data: 1\r", b"\ndata: 2\r", b"\n\r", b"\n") == [b"1\n2"]


def test_a_cr_ends_a_line_once_the_next_byte_is_there() -> None:
    framer = SSEFramer()
    assert list(framer.feed(b"data: 1\r\r")) == []
    assert [event.data for event in framer.feed(b"data: 2\r\r")] == [b"1"]


def test_comments_and_unknown_fields_are_ignored() -> None:
    text = b": OPENROUTER PROCESSING\n\nid: 7\nretry: 10\nwho: knows\ndata: 1\n: in between\n\n"
    assert events(text) == [WireEvent(b"1")]
    assert data(KEEP_ALIVE) == []


def test_an_event_without_data_is_ignored_and_its_type_too() -> None:
    assert events(b"event: ping\n\ndata: 1\n\n") == [WireEvent(b"1", "")]


@pytest.mark.parametrize("line", [b"data", b"data:", b"data: ", b"data:  ", b"data:\ndata:"])
def test_an_event_with_blank_data_is_ignored(line: bytes) -> None:
    """Beyond the standard: some proxies send these to keep a connection open."""
    assert events(b"event: ping\n" + line + b"\n\ndata: 1\n\n") == [WireEvent(b"1", "")]


def test_colons_belong_to_the_value() -> None:
    assert data(b"data:a:b\n\n") == [b"a:b"]


def test_one_space_after_the_colon_is_ignored_and_a_second_is_data() -> None:
    assert data(b"data:1\n\n", b"data: 1\n\n", b"data:  1\n\n") == [b"1", b"1", b" 1"]


def test_an_incomplete_event_is_never_returned() -> None:
    """The end of the bytes is not the end of an event."""
    assert data(b"data: 1\n\ndata: 2\n") == [b"1"]
    assert data(b"data: 1\n\ndata: 2") == [b"1"]


def test_separators_that_json_allows_do_not_end_a_line() -> None:
    """`str.splitlines` would cut at each of these."""
    text = '{"a":"\u2028\u2029\u0085\v\f\x1c\x1d\x1e"}'.encode()
    assert data(b"data: " + text + b"\n\n") == [text]


def test_invalid_utf8_in_the_data_is_kept() -> None:
    assert events(b"event: \xff\ndata: \xff\xfe\n\n") == [WireEvent(b"\xff\xfe", "\ufffd")]


def test_encoded_events_are_decoded_again() -> None:
    assert data(encode_event(b'{"a":1}') + KEEP_ALIVE + DONE) == [b'{"a":1}', b"[DONE]"]


def seconds_for(size: int) -> float:
    framer = SSEFramer()
    start = time.thread_time()
    found = [e for _ in range(size) for e in framer.feed(b"x")] + list(framer.feed(b"\n\n"))
    assert found == []
    return time.thread_time() - start


def test_a_huge_event_in_small_parts_takes_linear_time() -> None:
    """Joining the buffer at each part would take sixteen times as long for four times the size."""
    size = 50_000
    assert len(data(b"data: ", *[b"x"] * size, b"\n\n")[0]) == size
    best = min(seconds_for(4 * size) / max(seconds_for(size), 1e-3) for _ in range(3))
    assert best < 10


LINES = st.sampled_from(
    [
        b"data: 1",
        b"data: {}",
        b"data",
        b"event: a",
        b": note",
        b"id: 1",
        b"",
        b"",
        b"x",
        b"data:\xc3",
    ]
)
TEXTS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r", b"\r\n"]))).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


@STEADY
@given(st.one_of(TEXTS, st.binary()), st.data())
def test_cuts_never_change_the_events(text: bytes, draw: st.DataObject) -> None:
    """A CR at the end is kept back, as it may be half of a CRLF, so a comment is added after it."""
    text += b"\n:\n"
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(text)))))
    parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert events(*parts) == events(text)


def as_specified(text: bytes) -> list[WireEvent]:
    """
    The specification's own algorithm, step by step, with the exceptions of `SSEFramer`.

    Events with blank data are left out, and an event whose data are one JSON object ends where the
    next one begins, at its type or its data.
    """
    found: list[WireEvent] = []
    kind, parts = "", list[bytes]()
    lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]
    for line in lines:
        name, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        begins = name == b"data" or (name == b"event" and kind)
        if begins and parts == [b"{}"]:  # the only object of `LINES`
            found.append(WireEvent(parts.pop(), kind))
        if not line:
            found += [WireEvent(b"\n".join(parts), kind)] if parts else []
            kind, parts = "", []
        elif name == b"data":
            parts.append(value)
        elif name == b"event":
            kind = value.decode(errors="replace")
    return [event for event in found if event.data.strip()]


@STEADY
@given(TEXTS)
@example(b"data: {}\ndata: 1\n")
@example(b"event: a\ndata: {}\nevent: a\n")
def test_events_are_those_of_the_specification(text: bytes) -> None:
    assert events(text + b":\n") == as_specified(text + b":\n")
