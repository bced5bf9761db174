"""Values that are not quite JSON: what is read, and that JSON itself is read as ever."""

from __future__ import annotations

import json as stdlib
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.wire import json
from fanout.wire.json import BOM, decode_any
from fanout.wire.lenient_json import decode_lenient

STEADY = settings(derandomize=True, deadline=None)
LARGEST = sys.float_info.max


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (rb'["Hi \ud83d"]', ["Hi \ufffd"]),
        (rb'["\ude00 Hi"]', ["\ufffd Hi"]),
        (rb'["\ud83d\ude00"]', ["\U0001f600"]),
        (rb'["\ud83d\ud83d\ude00"]', ["\ufffd\U0001f600"]),
        (rb'["\\ud83d", "\ud83d"]', ["\\ud83d", "\ufffd"]),
        (rb'[{"\ud83d": [1]}]', [{"\ufffd": [1]}]),
        (b'["Hi \xf0\x9f\x98"]', ["Hi \ufffd"]),
        (b'["\xed\xa0\xbd"]', ["\ufffd\ufffd\ufffd"]),
        (b'["a\x00\nb"]', ["a\x00\nb"]),
        (b"[NaN, Infinity, -Infinity]", [None, LARGEST, -LARGEST]),
        (b"[1e999, -1e999, 1e-999]", [LARGEST, -LARGEST, 0.0]),
        (b"[NaN, 7, 1.5, " + b"9" * 30 + b"]", [None, 7, 1.5, int("9" * 30)]),
        (b"[" + b"9" * 5_000 + b", -" + b"9" * 5_000 + b"]", [LARGEST, -LARGEST]),
        (b'{"a": NaN, "a": 2}', {"a": 2}),
        (BOM + b"[NaN]", [None]),
    ],
)
def test_what_breaks_a_rule_is_replaced_and_can_be_written_again(data: bytes, value: Any) -> None:
    assert decode_any(data) == value
    assert stdlib.loads(json.encode(decode_any(data))) == value


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b'["cut', b"[1,]", b"[1", b"nan", b"[1] [2]", b"\xff", b'[NaN, "cut']
)
def test_what_is_not_nearly_json_is_an_error(data: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        decode_any(data)


def test_nesting_that_is_too_deep_is_an_error() -> None:
    with pytest.raises(RecursionError):
        decode_any(b"[NaN," + b"[" * 100_000 + b"]" * 100_000 + b"]")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


@STEADY
@given(value=JSON, ascii_only=st.booleans())
def test_json_is_read_as_it_is(value: Any, *, ascii_only: bool) -> None:
    data = stdlib.dumps(value, ensure_ascii=ascii_only).encode()
    assert decode_lenient(data) == value
