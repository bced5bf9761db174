"""
An estimate of a text's tokens, without a tokenizer: from its characters, and how they change.

Models split a text at words, numbers and signs, and words at what their vocabulary lacks. So the
estimate is a weighted sum of counts: letters, digits and line breaks, the first bytes of other
scripts' characters, and changes from one kind to another (`a0` is a digit after a letter). The
weights are a least-squares fit of relative errors over 196 texts, except that of a capital after a
space: the fit has -100, and titles would have a third of their tokens.
`tests/unit/schema/test_token_estimate.py` has texts with their tokens. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..wire import json
from .common_characters import RARE
from .tokens import BYTES_PER_TOKEN

USUAL_ERROR = 25
"""Percent by which the estimate is off at most for most texts, as `o200k_base` counts tokens."""

TOLERANCE = 60
"""Percent by which it may be off for any text."""

STATED_ERROR = (
    f"usually within {USUAL_ERROR} % for GPT-4o and later models, and up to {TOLERANCE} % off for "
    "random characters, long compound words and languages with few texts"
)
"""The error, in the words that users read."""

TOKENS_PER_MESSAGE = 4
"""Tokens that a model adds around each message."""

_LEADS = (
    (0xC0, 0xCD, "L"),  # Latin letters with marks
    (0xCE, 0xCF, "G"),  # Greek
    (0xD0, 0xD4, "C"),  # Cyrillic
    (0xD5, 0xDF, "H"),  # Hebrew and Arabic
    (0xE0, 0xE0, "I"),  # scripts of India, and Thai
    (0xE1, 0xE1, "V"),  # Georgian, Amharic, Khmer; letters of Vietnamese
    (0xE2, 0xE2, "P"),  # dashes, quotes and symbols
    (0xE3, 0xE3, "K"),  # kana
    (0xE4, 0xE9, "Z"),  # Chinese characters
    (0xEA, 0xED, "Y"),  # Korean
    (0xEE, 0xEF, "F"),  # signs of Chinese and Japanese, full-width letters
    (0xF0, 0xFF, "E"),  # emoji
)
"""The first bytes of a character's UTF-8, and the letter that stands for them."""

_ASCII: tuple[tuple[bytes, int], ...] = (
    (b"a", 22),
    (b"A", 44),
    (b"0", 35),
    (b".", 35),
    (b"n", 30),
    (b" ", 25),
    (b"a0", 92),
    (b"0a", 39),
    (b"A0", 148),
    (b"0A", 135),
    (b" 0", 50),
    (b"n0", -31),
    (b"a.", 21),
    (b" .", 0),
    (b"0.", 41),
    (b"n.", 86),
    (b"Aa", -24),
    (b" a", -14),
    (b"n a", 23),
    (b"aA", -31),
    (b".a", 51),
    (b" A", -50),
    (b"a.a", -112),
    (b". ", 46),
    (b".n", -43),
    (b".0", 88),
)
"""Hundredths of a token for each: a letter, a capital, a digit, a sign, a line break, a space."""

_OTHER: tuple[tuple[bytes, int], ...] = (
    (b"L", 100),
    (b"G", 35),
    (b"C", 24),
    (b"H", 35),
    (b"I", 35),
    (b"V", 23),
    (b"P", 72),
    (b"K", 58),
    (b"Z", 56),
    (b"Y", 65),
    (b"F", 120),
    (b"E", 143),
)

_BACKSLASH, _SPACES, _SPACE, _LONG, _RARE = 76, 107, -23, 9, 128
"""
Hundredths of a token, added for each backslash, run of spaces and space in it, letter of a word
after the eighth, and Chinese character that is not a common one.
"""

_ETHIOPIC = tuple(bytes([0xE1, second]) for second in range(0x88, 0x8F))
_KHMER = tuple(bytes([0xE1, second]) for second in (0x80, 0x81, 0x9E, 0x9F))  # and Burmese
_OF_ETHIOPIC, _OF_KHMER = 192, 38
"""Hundredths of a token, added for each character that begins with one of these bytes."""

_WORD, _NUMBER = 90, 100
"""Hundredths of a token that a word or a number after a space has at least, however short it is."""

_USUAL = 8
"""Letters of a word that count no more than others."""

_LONG_WORD = re.compile("[A-Za-z\u00c0-\u06ff]{9,}")
_LETTERS = b"LGCH"
"""The kinds of its letters that are not in ASCII."""


def _classes() -> bytes:
    found = bytearray(b"x" * 256)
    for code in range(128):
        character = chr(code)
        kind = "." if code > 0x20 else " "  # noqa: PLR2004 -- a space
        if character in "\r\n":
            kind = "n"
        elif character.isdigit():
            kind = "0"
        elif character.isalpha():
            kind = "a" if character.islower() else "A"
        found[code] = ord(kind)
    for first, last, kind in _LEADS:
        found[first : last + 1] = kind.encode() * (last + 1 - first)
    return bytes(found)


_CLASSES = _classes()

_KINDS = b"aA0.n "
_OTHER_KIND = len(_KINDS) + 1


def _codes() -> bytes:
    """A number from 1 to 7 for each byte: its kind in ASCII, or the last one for another script."""
    return bytes(1 + _KINDS.find(kind) if kind in _KINDS else _OTHER_KIND for kind in _CLASSES)


def _pair(first: int, second: int) -> int:
    """The byte of two kinds that follow each other; of the last one, the second is 0."""
    return first << 3 | second


def _pair_weights() -> tuple[int, bytes]:
    """The least weight of a pair, with that of its first kind; and how much more each pair has."""
    known, found = dict(_ASCII), {}
    for first in range(1, _OTHER_KIND + 1):
        one = _KINDS[first - 1 : first]
        for second in range(_OTHER_KIND + 1):
            two = _KINDS[second - 1 : second] if second else b""
            weight = known.get(one, 0) if one else 0
            found[_pair(first, second)] = weight + (known.get(one + two, 0) if one and two else 0)
    least = min(found.values())
    return least, bytes(found.get(pair, least) - least for pair in range(256))


_CODES = _codes()
_LEAST, _PAIRS = _pair_weights()
_TRIPLES = [(kinds, weight) for kinds, weight in _ASCII if len(kinds) == 3]  # noqa: PLR2004
_TO_A, _TO_CAPITAL, _TO_DIGIT = (
    bytes([_pair(_CODES[0x20], _CODES[ord(kind)])]) for kind in ("a", "A", "0")
)
_IS_LETTER = bytes(chr(code).isalpha() and code < 128 for code in range(256))  # noqa: PLR2004
_IS_SPACE = bytes(code == 0x20 for code in range(256))  # noqa: PLR2004


def estimate_tokens(text: str) -> int:
    """
    The estimated tokens of a text.

    A text is read as one large number with a byte for each of its bytes, so one operation compares
    all of them with the next ones. That is four times as fast as to count each pair of kinds.
    """
    data = text.encode(errors="replace")
    kinds = data.translate(_CLASSES)
    codes = int.from_bytes(data.translate(_CODES), "little")
    pairs = (codes << 3 | codes >> 8).to_bytes(len(data), "little")
    total = sum(pairs.translate(_PAIRS)) + _LEAST * len(data)
    total += sum([weight * kinds.count(kind) for kind, weight in _TRIPLES])
    total += _BACKSLASH * data.count(b"\\") + _LONG * _letters_of_long_words(text, data, kinds)
    if b"  " in data:
        total += _weight_of_spaces(data)
    if not text.isascii():
        total += sum([weight * kinds.count(kind) for kind, weight in _OTHER])
        if b"V" in kinds:
            total += _OF_ETHIOPIC * sum(map(data.count, _ETHIOPIC))
            total += _OF_KHMER * sum(map(data.count, _KHMER))
        if b"Z" in kinds:
            total += _RARE * len(RARE.findall(text))
    words = _WORD * (pairs.count(_TO_A) + pairs.count(_TO_CAPITAL))
    words += _NUMBER * pairs.count(_TO_DIGIT)
    total = max(total, words, 100 if text else 0)
    return -(-total // 100)


def _letters_of_long_words(text: str, data: bytes, kinds: bytes) -> int:
    """How many letters of words follow eight others."""
    if not text.isascii() and any(kind in kinds for kind in _LETTERS):
        return sum([len(word) - _USUAL for word in _LONG_WORD.findall(text)])
    one = int.from_bytes(data.translate(_IS_LETTER), "little")
    two = one & one >> 8
    four = two & two >> 16
    return (four & four >> 32 & one >> 64).bit_count()


def _weight_of_spaces(data: bytes) -> int:
    """The weight of all runs of two spaces or more."""
    spaces = int.from_bytes(data.translate(_IS_SPACE), "little")
    followed = spaces & spaces >> 8
    runs = (followed & ~(followed << 8)).bit_count()
    return _SPACES * runs + _SPACE * (runs + followed.bit_count())


def estimate_prompt(conversation: list[Any]) -> int:
    """The estimated tokens of a conversation; what is no text counts by its bytes."""
    return sum(
        TOKENS_PER_MESSAGE + sum(map(_estimate_content, _contents(message)))
        for message in conversation
    )


def _contents(message: object) -> Iterator[object]:
    content = message.get("content") if isinstance(message, dict) else message
    if isinstance(content, list):
        yield from content
    elif content is not None:
        yield content
    if isinstance(message, dict) and message.get("tool_calls"):
        yield json.encode(message["tool_calls"]).decode()


def _estimate_content(part: object) -> int:
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        part = part["text"]
    if isinstance(part, str):
        return estimate_tokens(part)
    return len(json.encode(part)) // BYTES_PER_TOKEN
