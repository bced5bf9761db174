"""How deep JSON may be nested: what is accepted can always be encoded again."""

from __future__ import annotations

import pytest

from fanout.wire.json import MAX_DEPTH, BadJSON, decode_strict, encode


@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]")])
def test_the_deepest_value_that_is_read_can_be_written_inside_another(
    opening: bytes, closing: bytes
) -> None:
    text = opening * MAX_DEPTH + b"1" + closing * MAX_DEPTH
    assert encode({"body": {"more": decode_strict(text)}}).count(b"1") == 1


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 1_000, 100_000])
def test_one_level_more_is_rejected_with_a_message(levels: int) -> None:
    with pytest.raises(BadJSON, match="nested too deeply"):
        decode_strict(b'{"a":' * levels + b"1" + b"}" * levels)
