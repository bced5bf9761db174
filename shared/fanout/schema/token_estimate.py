"""
An estimate of a text's tokens, without a tokenizer: from its characters, and how they change.

Models split a text at words, numbers and signs, and words at what their vocabulary lacks. So the
estimate is a weighted sum of counts: letters, digits and line breaks, the first bytes of other
scripts' characters, and changes from one kind to another (`a0` is a digit after a letter). The
weights are a least-squares fit of relative errors. `tests/unit/schema/test_token_estimate.py` has
texts with their tokens. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..wire import json
from .tokens import BYTES_PER_TOKEN

TOLERANCE = 25
"""Percent by which the estimate may be off, for the tokenizer of GPT-4o and later models."""

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
    (0xEE, 0xFF, "E"),  # emoji
)
"""The first bytes of a character's UTF-8, and the letter that stands for them."""

_ASCII: tuple[tuple[bytes, int], ...] = (
    (b"a", 11),
    (b"A", 38),
    (b"0", 19),
    (b".", 4),
    (b"n", 110),
    (b" ", 6),
    (b"a0", 107),
    (b"0a", 69),
    (b"A0", 162),
    (b"0A", 130),
    (b" 0", 282),
    (b"n0", 10),
    (b"a.", 119),
    (b" .", 38),
    (b"0.", 199),
    (b"n.", 54),
    (b"Aa", 39),
    (b" a", 42),
    (b"n a", 20),
)
"""Hundredths of a token for each: a letter, a capital, a digit, a sign, a line break, a space."""

_OTHER: tuple[tuple[bytes, int], ...] = (
    (b"L", 82),
    (b"G", 46),
    (b"C", 33),
    (b"H", 44),
    (b"I", 43),
    (b"V", 70),
    (b"P", 106),
    (b"K", 66),
    (b"Z", 74),
    (b"Y", 84),
    (b"E", 145),
    (b"aL", 101),
)

_VIETNAMESE = (b"\xe1\xba", b"\xe1\xbb")
"""Letters that are part of a word's tokens: they count nothing of their own."""


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


def estimate_tokens(text: str) -> int:
    """The estimated tokens of a text."""
    data = text.encode(errors="replace")
    kinds = data.translate(_CLASSES)
    count = kinds.count
    total = sum([weight * count(kind) for kind, weight in _ASCII])
    if not text.isascii():
        total += sum([weight * count(kind) for kind, weight in _OTHER])
        if b"\xe1" in data:
            total -= 70 * sum(map(data.count, _VIETNAMESE))
    return -(-total // 100)


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
