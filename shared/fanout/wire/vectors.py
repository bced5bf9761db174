"""
The two forms in which JSON has a vector: a list of numbers, and base64 of 32-bit floats.

A vector is the bytes of its JSON value, so one that is sent on as it came is never decoded. The
floats in base64 are little-endian (platform.openai.com/docs/api-reference/embeddings, 2026-11).
"""

from __future__ import annotations

import sys
from array import array
from base64 import b64decode, b64encode

from .json import NOT_JSON, decode, encode

_NUMBERS = b"0123456789+-.eE, \t\r\n"
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="

_SAMPLE = 64
"""Characters at each end of base64 that are checked: the others are decoded by the client."""

BASE64_BYTES = 5.34
"""Bytes of one number in base64."""

TEXT_BYTES = 22
"""Bytes of one number in a list, at most: seventeen digits, a sign, an exponent and a comma."""


class NotAVector(ValueError):
    """The value is neither a list of numbers nor base64 of floats."""


def checked(value: bytes) -> bytes:
    """The vector; raises `NotAVector` if the JSON value is none."""
    if value[:1] == b"[":
        if value.translate(None, _NUMBERS) == b"[]" and value[1:-1].strip():
            return value
    elif value[:1] == b'"':
        if b"\\" in value:  # some servers write `\/`
            value = encode(decode(value))
        ends = value[:_SAMPLE] + value[-_SAMPLE:]
        if not ends.translate(None, _BASE64).strip(b'"') and len(value) % 4 == 2:  # noqa: PLR2004
            width(value)
            return value
    raise NotAVector("a vector must be a list of numbers, or base64 of 32-bit floats")


def width(vector: bytes) -> int:
    """How many numbers a vector has."""
    if vector[:1] == b"[":
        return vector.count(b",") + 1
    size = (len(vector) - 2) // 4 * 3 - vector[-3:].count(b"=")
    if size % 4 or not size:
        raise NotAVector("the base64 of a vector must have four bytes for each number")
    return size // 4


def as_base64(vector: bytes) -> bytes:
    """The vector in base64; raises `NotAVector` for a number that no 32-bit float can be."""
    if vector[:1] == b'"':
        return vector
    try:
        floats = array("f", decode(vector, type=list[float]))
    except (*NOT_JSON, OverflowError):
        raise NotAVector("a vector must be a list of numbers") from None
    if sys.byteorder == "big":
        floats.byteswap()
    return b'"%b"' % b64encode(floats.tobytes())


def as_list(vector: bytes) -> bytes:
    """The vector as a list; nine digits are enough to get each 32-bit float back."""
    if vector[:1] == b"[":
        return vector
    try:
        floats = array("f", b64decode(vector[1:-1], validate=True))
    except ValueError:
        raise NotAVector("the vector is not base64") from None
    if sys.byteorder == "big":
        floats.byteswap()
    text = (",".join(["%.9g"] * len(floats)) % tuple(floats)).encode()
    if b"n" in text:  # of `nan` and `inf`, which JSON cannot have
        raise NotAVector("a vector has a number that is not finite")
    if text.count(b".") < len(floats):  # a float without a point is read as an integer
        text = b",".join(_with_point(number) for number in text.split(b","))
    return b"[%b]" % text


def _with_point(number: bytes) -> bytes:
    return number if b"." in number or b"e" in number else number + b".0"
