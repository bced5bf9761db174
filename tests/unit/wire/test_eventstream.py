"""
AWS's event streams, tested with AWS's vectors, and with bytes that are cut or corrupted.

The vectors are those that AWS's SDKs share (aws/aws-sdk-go-v2, aws/protocol/eventstream/testdata,
and boto/botocore, tests/unit/test_eventstream.py). botocore's reader must give the same results.
"""

from __future__ import annotations

import struct
import time
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.wire.eventstream import (
    MAX_HEADERS,
    MAX_PAYLOAD,
    BadFrame,
    EventStreamFramer,
    HeaderValue,
    read_headers,
)
from fanout.wire.http import WireEvent
from tests.support.event_stream_frames import error, event, exception, frame, texts

STEADY = settings(derandomize=True, deadline=None)

FOO = b"{'foo':'bar'}"
JSON_HEADER = "0c636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e"
ALL_HEADERS = (
    "01300001310101320202013303000301340400000004013505000000000000000501360600056279746573"
    "01370700047574663801380800000000000000080139093031323334353637383961626364656600"
).removesuffix("00")
VECTORS: list[tuple[str, str, dict[str, HeaderValue], bytes]] = [
    ("empty", "000000100000000005c248eb7d98c8ff", {}, b""),
    ("int8", "000000170000000729860158046279746502ffc2f869dc", {"byte": -1}, b""),
    ("int16", "0000001900000009710e923e0573686f727403ffffb27cb6cc", {"short": -1}, b""),
    (
        "int32",
        "0000001d0000000d83e3f0e707696e746567657204ffffffff8b8e12eb",
        {"integer": -1},
        b"",
    ),
    (
        "int64",
        "0000001e0000000e5d4adb8d046c6f6e6705ffffffffffffffff4bc232da",
        {"long": -1},
        b"",
    ),
    (
        "payload",
        "0000001d00000000fd528c5a" + FOO.hex() + "c3653936",
        {},
        FOO,
    ),
    (
        "payload and header",
        "0000003d0000002007fd8396" + JSON_HEADER + FOO.hex() + "8d9c08b1",
        {"content-type": "application/json"},
        FOO,
    ),
    (
        "all types",
        "000000620000005203b5cb9c" + ALL_HEADERS + "63353671",
        {
            "0": True,
            "1": False,
            "2": 2,
            "3": 3,
            "4": 4,
            "5": 5,
            "6": b"bytes",
            "7": "utf8",
            "8": 8,
            "9": b"0123456789abcdef",
        },
        b"",
    ),
]
CORRUPTED = {
    "length": "0100001d00000000fd528c5a" + FOO.hex() + "c3653936",
    "payload": "0000001d00000000fd528c5a" + FOO[:-1].hex() + "8d" + "c3653936",
    "headers": "0000003d0000002007fd8396"
    + JSON_HEADER.replace("742d74", "742b74")
    + FOO.hex()
    + "8d9c08b1",
    "header length": "0000003dff00010207fd8396" + JSON_HEADER + FOO.hex() + "8d9c08b1",
    "duplicate header": "00000024000000144bb982d0" + "0474657374046173646604746573740461736466"
    "f3f47563",
}
ERROR_VECTOR = bytes.fromhex(
    "0000005200000042bf23637e0d3a6d6573736167652d747970650700056572726f72"
    "0b3a6572726f722d636f6465070004636f64650e3a6572726f722d6d657373616765"
    "0700076d6573736167656b6cea3d"
)


def events(*parts: bytes) -> list[WireEvent]:
    framer = EventStreamFramer()
    return [event for part in parts for event in framer.feed(part)]


def headers_of(data: bytes) -> bytes:
    return data[12 : 12 + int.from_bytes(data[4:8])]


@pytest.mark.parametrize(
    ("data", "headers", "payload"),
    [pytest.param(bytes.fromhex(vector[1]), *vector[2:], id=vector[0]) for vector in VECTORS],
)
def test_awss_own_vectors_are_read_as_published(
    data: bytes, headers: dict[str, HeaderValue], payload: bytes
) -> None:
    assert events(data) == [WireEvent(payload)]
    assert read_headers(headers_of(data)) == headers


@pytest.mark.parametrize("data", CORRUPTED.values(), ids=CORRUPTED.keys())
def test_awss_own_corrupted_vectors_are_rejected(data: str) -> None:
    with pytest.raises(BadFrame):
        events(bytes.fromhex(data))


def test_all_vectors_can_be_in_one_stream() -> None:
    whole = b"".join(bytes.fromhex(vector[1]) for vector in VECTORS)
    assert [event.data for event in events(whole)] == [vector[3] for vector in VECTORS]


def test_an_event_has_its_type() -> None:
    data = event("contentBlockDelta", {"delta": {"text": "Grüße"}})
    assert events(data) == [WireEvent('{"delta":{"text":"Grüße"}}'.encode(), "contentBlockDelta")]


def test_an_exceptions_type_has_its_name() -> None:
    data = exception("throttlingException", {"message": "slow down"})
    assert events(data) == [WireEvent(b'{"message":"slow down"}', "exception/throttlingException")]


def test_an_errors_type_has_its_code_and_its_data_the_message() -> None:
    """AWS's vector, and one with quotes to escape."""
    assert events(ERROR_VECTOR) == [WireEvent(b'{"message":"message"}', "error/code")]
    assert events(error("InternalFailure", 'a "fault"')) == [
        WireEvent(b'{"message":"a \\"fault\\""}', "error/InternalFailure")
    ]


def test_the_type_of_an_event_cannot_look_like_a_failures() -> None:
    """Names of events are identifiers, without a slash."""
    assert events(event("error", {})) == [WireEvent(b"{}", "error")]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(texts({":message-type": "rumour"}), id="no known kind of message"),
        pytest.param(b"\x0d:message-type\x04\x00\x00\x00\x01", id="a kind that is a number"),
        pytest.param(b"\x0b:event-type\x00", id="a type that is a boolean"),
        pytest.param(b"\x01a\x0a", id="an unknown type of value"),
        pytest.param(b"\x01a\x07\x00\x05abc", id="a text longer than the headers"),
        pytest.param(b"\x01a\x07\x00", id="half a length"),
        pytest.param(b"\x01a\x05\x00", id="half a number"),
        pytest.param(b"\x01a\x09\x00", id="half a UUID"),
        pytest.param(b"\x09a", id="a name longer than the headers"),
        pytest.param(b"\x01a", id="no type of value"),
        pytest.param(b"\x01\xff\x00", id="a name that is no UTF-8"),
        pytest.param(b"\x01a\x07\x00\x01\xff", id="a text that is no UTF-8"),
        pytest.param(b"\x01a\x00\x01a\x01", id="a name twice"),
    ],
)
def test_invalid_headers_are_rejected_even_with_a_valid_checksum(headers: bytes) -> None:
    with pytest.raises(BadFrame):
        events(frame(headers, b""))


def test_every_flipped_bit_is_detected() -> None:
    """In the prelude at once: otherwise a wrong length would be waited for."""
    data = event("messageStart", {"role": "assistant"})
    for position in range(len(data)):
        for bit in range(8):
            broken = bytearray(data)
            broken[position] ^= 1 << bit
            end = 12 if position < 12 else len(data)
            with pytest.raises(BadFrame):
                events(bytes(broken[:end]))


def prelude(total: int, headers: int) -> bytes:
    sizes = struct.pack(">II", total, headers)
    return sizes + struct.pack(">I", crc32(sizes))


@pytest.mark.parametrize(
    ("total", "headers"),
    [
        pytest.param(MAX_PAYLOAD + 17, 0, id="payload"),
        pytest.param(0xFFFFFFFF, 0, id="the largest payload that 32 bits allow"),
        pytest.param(MAX_HEADERS + 17, MAX_HEADERS + 1, id="headers"),
        pytest.param(15, 0, id="shorter than any frame"),
        pytest.param(0, 0, id="nothing"),
        pytest.param(40, 25, id="headers longer than the frame"),
    ],
)
def test_impossible_sizes_are_rejected_at_the_prelude(total: int, headers: int) -> None:
    with pytest.raises(BadFrame):
        events(prelude(total, headers))


@pytest.mark.parametrize(
    ("total", "headers"),
    [
        pytest.param(MAX_PAYLOAD + 16, 0, id="payload"),
        pytest.param(MAX_HEADERS + 16, MAX_HEADERS, id="headers"),
    ],
)
def test_the_largest_sizes_are_accepted(total: int, headers: int) -> None:
    assert events(prelude(total, headers)) == []


def test_an_incomplete_frame_is_no_event() -> None:
    whole, half = event("messageStart", {}), event("messageStop", {})[:-1]
    assert events(whole + half) == [WireEvent(b"{}", "messageStart")]


def test_events_before_a_broken_frame_are_returned() -> None:
    found = EventStreamFramer().feed(event("messageStart", {}) + bytes(16))
    assert next(found) == WireEvent(b"{}", "messageStart")
    with pytest.raises(BadFrame):
        next(found)


def seconds_for(size: int) -> float:
    data = frame(b"", b"x" * size)
    framer = EventStreamFramer()
    start = time.thread_time()
    found = [one for i in range(len(data)) for one in framer.feed(data[i : i + 1])]
    assert len(found) == 1
    return time.thread_time() - start


def test_a_huge_frame_in_small_parts_takes_linear_time() -> None:
    """Joining the buffer at each part would take sixteen times as long for four times the size."""
    size = 50_000
    best = min(seconds_for(4 * size) / max(seconds_for(size), 1e-3) for _ in range(3))
    assert best < 10


# AWS's own names begin with a colon.
NAMES = st.text(st.characters(codec="utf-8", exclude_characters=":"), min_size=1, max_size=20)
HEADERS = st.dictionaries(NAMES, st.text(max_size=20))
FRAMES = st.one_of(
    st.builds(frame, HEADERS.map(texts), st.binary()),
    st.builds(event, st.text(max_size=20), st.text()),
    st.builds(exception, st.text(max_size=20), st.text()),
    st.builds(error, st.text(max_size=20), st.text(max_size=20)),
)


@STEADY
@given(st.lists(FRAMES, max_size=4), st.data())
def test_cuts_never_change_the_events(frames: list[bytes], draw: st.DataObject) -> None:
    data = b"".join(frames)
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)))))
    parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert events(*parts) == events(data)
    assert len(events(data)) == len(frames)


@STEADY
@given(HEADERS, st.binary())
def test_botocore_reads_the_same(headers: dict[str, str], payload: bytes) -> None:
    data = frame(texts(headers), payload)
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    (theirs,) = list(buffer)
    assert read_headers(headers_of(data)) == theirs.headers == headers
    assert [one.data for one in events(data)] == [theirs.payload] == [payload]


@STEADY
@given(
    st.binary(min_size=12) | FRAMES.flatmap(lambda data: st.binary(min_size=12).map(data.__add__))
)
def test_random_bytes_are_rejected(data: bytes) -> None:
    """As soon as there are enough for a prelude, because its checksum is wrong."""
    with pytest.raises(BadFrame):
        events(data)
