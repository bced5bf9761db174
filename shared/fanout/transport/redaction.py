"""Removes keys and addresses from a provider's words. Pure; does not depend on providers."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, quote_plus

from ..wire import json

MAX_MESSAGE = 2_000
"""Characters of a provider's message that clients see."""

SHORTEST_KEY = 8
"""Characters. A shorter text (`none`, `x`) is a placeholder for a key, and may be any word."""

# Keys in the vendors' formats, and bearer tokens.
_SECRETS = re.compile(
    r"\b(?:sk|pk|gsk|xai|key|fw|pplx|r8|hf|csk)[-_][A-Za-z0-9_\-*.]{6,}"
    r"|\bAIza[0-9A-Za-z_\-]{10,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{12,}"
    r"|(?i:\bbearer\s+)[^\s'\"]+"
)
# Resource names of AWS: they have the account's number.
_ARN = re.compile(r"\barn:aws[a-z-]*:[^\s'\"]+")
_NUMBERED_HOST = re.compile(r"\b(?:https?://)?(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?:/[^\s'\"]*)?")


def redact(text: str, keys: Sequence[str] = (), base_url: str = "") -> str:
    """
    `text` without the given keys, what looks like keys or ARNs, the base URL and its host.

    The keys are removed as they are, URL-encoded, and in base64, also within a longer text such as
    that of basic authentication.
    """
    for key in keys:
        if len(key) >= SHORTEST_KEY:
            text = re.sub(_in_base64(key.encode()), "[key]", text)
            text = re.sub("|".join(_forms_of(key)), "[key]", text)
    if base_url:
        text = re.sub("|".join(_forms_of_address(base_url)), "[address]", text, flags=re.IGNORECASE)
    text = _SECRETS.sub("[key]", text)
    text = _ARN.sub("[arn]", text)
    text = _NUMBERED_HOST.sub("[address]", text)
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "…"


def redacted_json(body: bytes, keys: Sequence[str] = (), base_url: str = "") -> bytes | None:
    """The same of each text in a JSON object, which is unchanged if none has one; else `None`."""
    value = json.decode_or_none(body)
    if not isinstance(value, dict):
        return None
    shown = _redacted_value(value, keys, base_url)
    return body if shown == value else json.encode(shown)


def _redacted_value(value: Any, keys: Sequence[str], base_url: str) -> Any:
    if isinstance(value, str):
        return redact(value, keys, base_url)
    if isinstance(value, list):
        return [_redacted_value(one, keys, base_url) for one in value]
    if isinstance(value, dict):
        return {
            redact(name, keys, base_url): _redacted_value(one, keys, base_url)
            for name, one in value.items()
        }
    return value


def _forms_of(key: str) -> Iterator[str]:
    """Patterns for a key as it is, and URL-encoded."""
    yield re.escape(key)
    for encoded in {quote(key), quote(key, safe=""), quote_plus(key)} - {key}:
        yield f"(?i:{re.escape(encoded)})"  # `%2B` is `%2b`


def _in_base64(key: bytes) -> str:
    """
    A pattern for a text in base64 that has the key.

    It begins only where such a text does: from each of its characters on, the time for a long text
    would grow with the square of its length.
    """
    cores = "|".join(_core(key, before) for before in range(3))  # a text before moves its bits
    return f"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]*(?:{cores})[A-Za-z0-9+/_-]*=*"


def _core(key: bytes, before: int) -> str:
    """A pattern for what base64 makes of the key alone after `before` bytes, modulo 3."""
    encoded = b64encode(bytes(before) + key).decode()
    first = (before * 8 + 5) // 6  # without the bits that are not the key's
    last = (before + len(key)) * 8 // 6
    return re.escape(encoded[first:last]).replace(r"\+", "[+-]").replace("/", "[/_]")


def _forms_of_address(base_url: str) -> Iterator[str]:
    """Patterns for an address, its host with the port, and its host if that is no ordinary word."""
    netloc = base_url.partition("://")[2].partition("/")[0]
    if netloc:
        yield re.escape(base_url)
        yield re.escape(netloc)
        host = re.sub(r":\d+$", "", netloc.rpartition("@")[2])
        if "." in host or host.startswith("["):
            yield rf"(?<![\w.-]){re.escape(host)}(?![\w-]|\.\w)"
    else:
        yield r"(?!)"
