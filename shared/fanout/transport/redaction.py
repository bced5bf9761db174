"""Removes keys and addresses from a provider's message. Pure; knows nothing of providers."""

from __future__ import annotations

import re
from collections.abc import Sequence

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
    """`text` without the given keys, what looks like keys or ARNs, the base URL and its host."""
    for key in keys:
        if len(key) >= SHORTEST_KEY:
            text = text.replace(key, "[key]")
    if host := base_url.partition("://")[2].partition("/")[0]:
        text = text.replace(base_url, "[address]").replace(host, "[address]")
    text = _SECRETS.sub("[key]", text)
    text = _ARN.sub("[arn]", text)
    text = _NUMBERED_HOST.sub("[address]", text)
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "…"
