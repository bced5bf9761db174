"""
Reads JSON that breaks JSON's rules in a way that leaves no doubt what it says.

Some servers write it: a text that was cut inside an emoji, a number that is infinite. Each such
place is replaced by the nearest that JSON has, and costs nothing else:

* half a surrogate pair, and bytes that are not UTF-8, are U+FFFD, the replacement character;
* `NaN` is null; `Infinity`, and a number that is too large, is the largest number;
* control characters inside a text stay.

Does not depend on any provider.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

_LARGEST = sys.float_info.max
_CONSTANTS = {"NaN": None, "Infinity": _LARGEST, "-Infinity": -_LARGEST}

_DIGITS = 300
"""A whole number with more digits than this may be larger than the largest number."""

_SURROGATE = re.compile("[\ud800-\udfff]")

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}(?P<low>\\u[dD][c-fC-F][0-9a-fA-F]{2})?"
    rb"|u[dD][c-fC-F][0-9a-fA-F]{2}|.)",
    re.DOTALL,
)
"""An escape of JSON: a surrogate pair, half of one, or any other."""

_HALF = len(rb"\ud83d")


def whole_characters(data: bytes) -> bytes:
    """JSON with U+FFFD for each half of a surrogate pair, as it has escapes for it."""
    return _ESCAPE.sub(lambda one: rb"\ufffd" if len(one[0]) == _HALF else one[0], data)


def decode_lenient(data: bytes) -> Any:
    """One JSON value; raises `ValueError` if it is not even nearly JSON."""
    text = data.decode(errors="replace")
    value = json.loads(
        text,
        strict=False,
        parse_constant=_CONSTANTS.get,
        parse_float=_real,
        parse_int=_whole,
    )
    return _without_surrogates(value) if "\\u" in text else value


def _real(digits: str) -> float:
    number = float(digits)
    return max(-_LARGEST, min(number, _LARGEST))


def _whole(digits: str) -> float:
    return int(digits) if len(digits) <= _DIGITS else _real(digits)


def _without_surrogates(value: Any) -> Any:
    """The value with U+FFFD for each half of a surrogate pair; whole pairs are characters here."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_SURROGATE.sub("\ufffd", k): _without_surrogates(v) for k, v in value.items()}
    return [_without_surrogates(one) for one in value] if isinstance(value, list) else value
