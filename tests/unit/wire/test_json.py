"""JSON: what is rejected, with which message, and that nothing else is."""

from __future__ import annotations

import json as stdlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.wire import json
from fanout.wire.json import BadJSON, DuplicateKey, decode_strict

STEADY = settings(derandomize=True, deadline=None)


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":2}', '[{"b":{"a":null,"a":null}}]', '{"a":{},"b":1,"a":[]}', '{"a" \n :1,"a":1}'],
)
def test_a_duplicate_key_is_rejected_by_its_name(text: str) -> None:
    """One of the two values would be lost silently."""
    with pytest.raises(DuplicateKey, match="the key `a` appears twice") as caught:
        decode_strict(text.encode())
    assert caught.value.key == "a"


@pytest.mark.parametrize("text", [r'{"a":1,"\u0061":2}', r'{"a\"b":1,"a\"b":2}', '{"":1,"":2}'])
def test_a_key_with_escaped_characters_is_the_same_key(text: str) -> None:
    with pytest.raises(DuplicateKey):
        decode_strict(text.encode())


def test_a_huge_key_is_cut_in_the_error() -> None:
    key = "k" * 1000
    with pytest.raises(DuplicateKey) as caught:
        decode_strict(f'{{"{key}":1,"{key}":2}}'.encode())
    assert caught.value.key == "k" * 64


@pytest.mark.parametrize(
    "text",
    [
        '{"a":{"a":1},"b":[{"a":1},{"a":1}]}',
        r'{"a":"\"b\":1,\"b\":2"}',
        '{"a":":","b":"\\\\"}',
        r'{"a\\":1,"a":2}',
        '["a","a",":"]',
        '{"a":"\u2028"}',
        '" : "',
        "{}",
    ],
)
def test_the_same_key_in_two_objects_or_in_a_text_is_accepted(text: str) -> None:
    assert decode_strict(text.encode()) == stdlib.loads(text)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":['])
def test_deep_nesting_is_rejected(opening: bytes) -> None:
    with pytest.raises(BadJSON, match="nested too deeply"):
        decode_strict(opening * 100_000)


@pytest.mark.parametrize("data", [b'"\xff"', b'{"a":"\xc3("}', b'{"\xed\xa0\x80":1}', b'"\xc3'])
def test_invalid_utf8_is_rejected(data: bytes) -> None:
    with pytest.raises(BadJSON):
        decode_strict(data)


@pytest.mark.parametrize(
    "data",
    [b"", b" ", b"{", b"[1,]", b"{'a':1}", b"NaN", b"[Infinity]", b"-", b"01", b"1 2", b"tru",
     b'"\n"', b'"\\x"', b"\xef\xbb\xbf1", b'{"a":1}}', b"1e", b"// note\n1"],
)  # fmt: skip
def test_invalid_json_is_rejected_with_a_message(data: bytes) -> None:
    with pytest.raises(BadJSON) as caught:
        decode_strict(data)
    assert str(caught.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@STEADY
@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_every_value_is_read_as_it_is_written(
    value: Any,
    escaped: bool,  # noqa: FBT001 - hypothesis gives it
    indent: int | None,
) -> None:
    text = stdlib.dumps(value, ensure_ascii=escaped, indent=indent).encode()
    assert decode_strict(text) == value
    assert decode_strict(json.encode(value)) == value


@settings(STEADY, max_examples=40)
@given(st.dictionaries(st.text(), VALUES, min_size=1, max_size=4), st.data())
def test_a_duplicate_key_is_always_found(value: dict[str, Any], draw: st.DataObject) -> None:
    key = draw.draw(st.sampled_from(sorted(value)))
    members = [f"{stdlib.dumps(k)}:{stdlib.dumps(v)}" for k, v in value.items()]
    again = f"{stdlib.dumps(key)}:1"
    members.insert(draw.draw(st.integers(0, len(members))), again)
    with pytest.raises(DuplicateKey) as caught:
        decode_strict(("{" + ",".join(members) + "}").encode())
    assert caught.value.key == key[:64]


@STEADY
@given(st.binary())
def test_any_bytes_are_a_value_or_rejected(data: bytes) -> None:
    try:
        value = decode_strict(data)
    except BadJSON:
        return
    assert value == stdlib.loads(data)
