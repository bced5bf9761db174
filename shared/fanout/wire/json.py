"""
Reads and writes JSON.

`decode_strict` also rejects what Python's decoders accept silently; `decode_tolerant` reads what
nearly fits a type.

Does not depend on OpenAI or any provider.
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


def decode_named(data: bytes, kind: type[T]) -> T:
    """
    The data of an event whose name says its `kind`: empty if they say nothing.

    That is null, an empty text, a list, a number or no data. Raises `MsgspecError` for other texts,
    which may be an error's, and for data that are not JSON.
    """
    try:
        return decode_tolerant(data, kind)
    except NOT_JSON:
        from .tolerant import fit  # only odd responses need it

        if data.strip() and (value := decode_any(data)) and isinstance(value, str | dict):
            raise
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


def is_too_deep(value: Any) -> bool:
    """Whether a value has more than `MAX_DEPTH` levels."""
    try:
        _count_keys(value)
    except BadJSON:
        return True
    return False


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
