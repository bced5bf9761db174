"""New virtual keys: `sk-fo_`, 30 random characters, and 6 that a typo changes."""

from __future__ import annotations

import secrets
import string
from zlib import crc32

PREFIX = "sk-fo_"
"""`sk-`, which tools look for, and a name by which scanners of secrets know whose key it is."""

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM, CHECK = 30, 6
"""Characters; 30 of 62 letters and digits are 178 bits."""


def new_key() -> str:
    """A random key; it is shown once and stored only as a hash."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM))
    return f"{PREFIX}{body}{check_characters(body)}"


def check_characters(body: str) -> str:
    """The CRC-32 of the random characters, in base 62."""
    left, found = crc32(body.encode()), ""
    for _ in range(CHECK):
        left, digit = divmod(left, len(ALPHABET))
        found = ALPHABET[digit] + found
    return found


def shown(key: str) -> str:
    """What lists show of a key: its end, as LiteLLM does."""
    return f"sk-...{key[-4:]}"
