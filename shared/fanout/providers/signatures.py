"""
Signatures of Gemini's thoughts, where Google's own OpenAI-compatible endpoint has them.

They are in `extra_content.google.thought_signature` of a message or of a call. Since Gemini 3, the
first call of a step must be sent back with its signature:
https://ai.google.dev/gemini-api/docs/thought-signatures, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..schema.chat import Object

# Google's documented signature for a call that another model made.
SKIP_SIGNATURE = "skip_thought_signature_validator"


def find_signature(raw: Object) -> str | None:
    """The signature in the `extra_content` of a client's message or call."""
    extra = raw.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else None


def has_others(raw: Object) -> bool:
    """Whether a message or a call has other vendors' `extra_content`."""
    extra = raw.get("extra_content")
    return bool(extra) and not (isinstance(extra, dict) and extra.keys() <= {"google"})


def make_extra_content(signature: str) -> dict[str, Any]:
    """The `extra_content` in which a client gets a signature."""
    return {"google": {"thought_signature": signature}}


def with_signature(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """The call; if it has no signature, with the one for calls that another model made."""
    if find_signature(call):
        return call
    return {**call, "extra_content": make_extra_content(SKIP_SIGNATURE)}
