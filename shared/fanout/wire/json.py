"""
Reads and writes JSON.

`decode_strict` also rejects what Python's decoders accept silently; `decode_tolerant` reads what
nearly fits a type.

Knows nothing of OpenAI or of any provider.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

decode = msgspec.json.decode
encode = msgspec.json.encode

T = TypeVar("T")

BOM = b"\xef\xbb\xbf"
"""UTF-8's byte order mark."""

MAX_INTEGER = 2**63 - 1
"""The largest whole number that every client can read: that of 64 bits."""

Count: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
"""A number of things, such as tokens."""

Index: TypeAlias = Annotated[int, Meta(ge=0, le=999)]
"""A place in a list. Some clients make a list that is long enough for it."""

NOT_JSON = (msgspec.MsgspecError, UnicodeDecodeError)
"""What `decode` raises if the bytes are not JSON, or not of the type."""

# A string, and the colon after it if it is a key. Strings are matched whole, so a colon inside a
# string is never taken for one after a key. The possessive quantifiers keep no positions to go back
# to: those of a long string of escapes would take twenty times its memory.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"\s*+(:)?', re.DOTALL)


# The end of a key, or a part of a text that looks like one. So there are at least as many as keys.
_KEY_END = re.compile(rb'"[ \t\r\n]*+:')

_FIRST_HALF_ALONE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F]|$)")

HALF_PAIR = "it has half of a surrogate pair"

_CONTROL = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys and JSON allows in a string; `terminal_text.py` says why."""

MAX_DEPTH = 100
"""Levels of nesting that are accepted: few enough to encode the value again, nested deeper."""


class BadJSON(ValueError):
    """The bytes are not one valid JSON value; the message has the reason and is safe to show."""


class DuplicateKey(BadJSON):
    """An object has the same key twice, so one of the values would be lost."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the key `{key}` appears twice in one object")
        self.key = key


class AllOrNothing(msgspec.Struct, frozen=True):
    """A struct that `decode_tolerant` reads only if each field that is there can be read."""

    all_or_nothing: ClassVar[bool] = True


def decode_tolerant(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    """`data` as `kind`; raises `MsgspecError` if it is not JSON, or not even nearly a `kind`."""
    try:
        return decode(data, type=kind)
    except NOT_JSON:
        from .tolerant import fit  # only odd responses need it

        return fit(decode_any(bytes(data)), kind)


def decode_part(data: msgspec.Raw, kind: type[T]) -> T:
    """A part of a bigger object as `kind`; empty if it is not even nearly one."""
    try:
        return decode(data, type=kind)
    except NOT_JSON:
        from .tolerant import fit  # only odd responses need it

    try:
        return fit(decode_any(bytes(data)), kind)
    except msgspec.ValidationError:
        return fit({}, kind)


def decode_any(data: bytes) -> Any:
    """
    One JSON value of a provider; a byte order mark before it is ignored.

    What breaks JSON's rules without a doubt about its meaning is read, too: see `lenient_json`.
    Raises `MsgspecError` if it is not even nearly JSON.
    """
    data = data.removeprefix(BOM)
    try:
        return decode(data)
    except NOT_JSON:
        from .lenient_json import decode_lenient  # only odd responses need it

    try:
        return decode_lenient(data)
    except ValueError:
        return decode(data)  # raises the error with msgspec's words


def decode_or_none(data: bytes) -> Any:
    """The same, or `None` if it is not even nearly JSON."""
    try:
        return decode_any(data)
    except (*NOT_JSON, RecursionError):
        return None


def is_document(data: bytes) -> bool:
    """Whether it is one whole JSON object, or a list of objects, and nothing else."""
    value = decode_or_none(data)
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, dict) for one in value)
    return isinstance(value, dict)


def decode_strict(data: bytes) -> Any:
    """Decode one JSON value; reject invalid UTF-8, deep nesting, NaN and duplicate keys."""
    try:
        value = decode(data)
    except RecursionError:
        raise BadJSON("it is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise BadJSON(f"it is not valid UTF-8 ({error.reason})") from None
    except msgspec.MsgspecError as error:
        raise BadJSON(_reason(str(error), data)) from None
    keys = _count_keys(value)
    if len(_KEY_END.findall(data)) != keys and _STRING.findall(data).count(b":") != keys:
        raise DuplicateKey(_first_duplicate(data))
    return value


_decode_exact = msgspec.json.Decoder(float_hook=Decimal).decode


def decode_exact(data: bytes) -> Any:
    """Decode JSON that `decode_strict` has accepted, with a `Decimal` for each float."""
    return _decode_exact(data)


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


def _reason(message: str, data: bytes) -> str:
    """The message of msgspec as the rest of a sentence about the JSON."""
    if not data.strip():
        return "it is empty"
    if "surrogate pair" in message:
        return HALF_PAIR
    if message.startswith("Input data was truncated"):
        return HALF_PAIR if _FIRST_HALF_ALONE.search(data) else "it ends too early"
    message = message.removeprefix("JSON is malformed: ").partition(" - at ")[0]
    return message[:1].lower() + message[1:]


def _count_keys(value: Any) -> int:
    """The number of keys in all objects; raises `BadJSON` if `value` is deeper than `MAX_DEPTH`."""
    total = 0
    layer = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for node in layer:
            inner: Iterable[Any] = node
            if isinstance(node, dict):
                total += len(node)
                inner = node.values()
            below.extend(v for v in inner if isinstance(v, (dict, list)))
        if not below:
            return total
        layer = below
    raise BadJSON("it is nested too deeply")


def _first_duplicate(data: bytes) -> str:
    import json

    found: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        found.extend(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]

    json.loads(data, object_pairs_hook=collect)
    return found[0][:64] if found else "?"


def escape_controls(text: str) -> str:
    """The same JSON value, safe to show on a terminal: escapes stand for control characters."""
    is_safe = text.isascii() and "\x7f" not in text
    return text if is_safe else _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
