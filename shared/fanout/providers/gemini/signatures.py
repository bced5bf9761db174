"""
Signatures of thoughts and ids of calls, which clients get with a response and send back.

Since Gemini 3, the first call of a step must be sent back with its signature:
https://ai.google.dev/gemini-api/docs/thought-signatures. Clients find it where Google's own
OpenAI-compatible endpoint has it, in `extra_content.google.thought_signature`.
"""

from __future__ import annotations

import re
from typing import Any

from ...schema.chat import Object

# Google's documented signature for a call that another model made.
SKIP_SIGNATURE = "skip_thought_signature_validator"

_OURS = re.compile(r"call_(\S+_)?\d+")


def make_id(response_id: str | None, number: int) -> str:
    """An id for a call without one from Google. The same response always gives the same id."""
    return f"call_{response_id}_{number}" if response_id else f"call_{number}"


def encode_id(call_id: str) -> dict[str, Any]:
    """The field `id`; none for an id that `make_id` made, which Google does not know."""
    return {} if _OURS.fullmatch(call_id) else {"id": call_id}


def find_signature(raw: Object) -> str | None:
    """The signature in the `extra_content` of a client's message or call."""
    extra = raw.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else None


def make_extra_content(signature: str) -> dict[str, Any]:
    """The `extra_content` in which a client gets a signature."""
    return {"google": {"thought_signature": signature}}
