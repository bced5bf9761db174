"""Estimates the memory that JSON takes once it is decoded, without decoding it."""

from __future__ import annotations

import re

VALUE_MEMORY = 64
"""
Bytes that a value takes in memory beside its text: Python's least list and dict, measured with
`sys.getsizeof` in Python 3.11 to 3.14. A small string or float takes less, an object with keys has
several separators.
"""

COUNT_WINDOW = 64 * 1024
COUNT_EXACTLY_FROM = 1_000_000
"""Bytes of estimated memory from which separators inside strings are not counted."""


def count_values(data: bytes) -> int:
    """
    About how many keys and values the JSON has, without decoding it.

    Each value has a separator before it or an opening bracket of its own, so they are counted; in
    strings only if there are few.
    """
    return _memory_of_values(data) // VALUE_MEMORY


def decoded_size(data: bytes, values: int | None = None) -> int:
    """
    About how many bytes the decoded JSON takes beside its text, without decoding it.

    `[{},{},…` takes thirty times the memory of its text, a long text with one emoji four times.
    `values` is the result of `count_values`, if it is known.
    """
    memory = VALUE_MEMORY * (count_values(data) if values is None else values)
    if len(data) < WIDE_TEXT_FROM or (data.isascii() and b"\\u" not in data):
        return memory
    return memory + _growth_of_texts(data)


WIDE_TEXT_FROM = 64 * 1024
"""Bytes of JSON from which the memory of its texts is counted, if they are not ASCII."""

_WIDE, _WIDER = bytes(range(0xC4, 0xF0)), bytes(range(0xF0, 0x100))
_CONTINUATION = bytes(range(0x80, 0xC0))
_WIDE_ESCAPE, _WIDER_ESCAPE = re.compile(rb"\\u(?!00)"), re.compile(rb"\\u[dD][89abAB]")


def _growth_of_texts(data: bytes) -> int:
    """
    The bytes that the texts take in memory beyond those of the JSON.

    A Python string has 1, 2 or 4 bytes for each character: as many as its widest one needs.
    """
    return sum(
        max(0, _width(text) * (len(text) - _saved(text)) - len(text))
        for text in _split_at_quotes(data)[1::2]
        if not text.isascii() or b"\\u" in text
    )


def _width(text: bytes) -> int:
    """The bytes of each character of a string of JSON, once it is decoded."""
    if len(text.translate(None, _WIDER)) < len(text) or _WIDER_ESCAPE.search(text):
        return 4
    return 2 if len(text.translate(None, _WIDE)) < len(text) or _WIDE_ESCAPE.search(text) else 1


def _saved(text: bytes) -> int:
    """How many fewer characters than bytes it has: an escape of six bytes is one, for example."""
    return 5 * text.count(b"\\u") + len(text) - len(text.translate(None, _CONTINUATION))


def _memory_of_values(data: bytes) -> int:
    rough = VALUE_MEMORY * _separators(data)
    if rough < COUNT_EXACTLY_FROM:
        return rough
    counter = _ValueCounter()
    for at in range(0, len(data), COUNT_WINDOW):
        counter.add(data[at : at + COUNT_WINDOW])
    return counter.memory


def _split_at_quotes(data: bytes) -> list[bytes]:
    """The bytes outside and inside of strings in turn, without escaped quotes and backslashes."""
    return data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')


def _separators(data: bytes) -> int:
    return len(data) - len(data.translate(None, b",:{["))  # faster than counting each


class _ValueCounter:
    """Estimates the memory of JSON that comes in parts, by its separators outside of strings."""

    def __init__(self) -> None:
        self.memory = 0
        self._is_in_string = False
        self._carried = b""

    def add(self, part: bytes) -> None:
        """Count the next part."""
        window = self._carried + part
        escapes = len(window) - len(window.rstrip(b"\\"))
        self._carried = b"\\" * (escapes % 2)  # its other half is in the next part
        window = window[: len(window) - len(self._carried)]
        parts = _split_at_quotes(window)
        self.memory += VALUE_MEMORY * _separators(b"".join(parts[self._is_in_string :: 2]))
        self._is_in_string ^= len(parts) % 2 == 0


MEMORY_PER_BYTE = 8
"""
How much more memory than bytes decoded JSON may take under one limit.

Responses with the most log probabilities take about ten times their bytes.
"""


def weight(data: bytes) -> int:
    """The bytes of the JSON, or an eighth of the memory that its values take, if that is more."""
    return max(len(data), decoded_size(data) // MEMORY_PER_BYTE)


class Weight:
    """
    The `weight` of JSON that comes in parts; below an eighth of `limit` nothing is counted.

    With `by_bytes`, values are never counted.
    """

    def __init__(self, limit: int, *, by_bytes: bool = False) -> None:
        self._limit = limit
        self._by_bytes = by_bytes
        self._uncounted: list[bytes] | None = []
        self._counter = _ValueCounter()
        self._separators = 0  # of the first `_looked_at` parts, also those inside strings
        self._looked_at = 0
        self.bytes = 0

    def add(self, part: bytes) -> bool:
        """Add the next part; returns whether all of them are over the limit."""
        self.bytes += len(part)
        if self._by_bytes:
            return self.bytes > self._limit
        if self._uncounted is None:
            self._counter.add(part)
        else:
            self._uncounted.append(part)
            if self.bytes * VALUE_MEMORY <= self._limit * MEMORY_PER_BYTE:
                return False
            if self._is_light(self._uncounted):
                return self.bytes > self._limit
            parts, self._uncounted = self._uncounted, None
            for one in parts:
                self._counter.add(one)
        return max(self.bytes, self._counter.memory // MEMORY_PER_BYTE) > self._limit

    def _is_light(self, parts: list[bytes]) -> bool:
        """Whether the values are few even if no separator is inside a string, as in base64."""
        for part in parts[
            self._looked_at :
        ]:  # counted one by one: where there are few, it is faster
            self._separators += sum(part.count(one) for one in (b",", b":", b"{", b"["))
        self._looked_at = len(parts)
        return self._separators * VALUE_MEMORY <= self._limit * MEMORY_PER_BYTE
