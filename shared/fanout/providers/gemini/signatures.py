"""
Signatures of thoughts and ids of calls, which clients get with a response and send back.

Since Gemini 3, the first call of a step must be sent back with its signature:
https://ai.google.dev/gemini-api/docs/thought-signatures. Clients find it where Google's own
OpenAI-compatible endpoint has it, in `extra_content.google.thought_signature`.
"""

from __future__ import annotations

import re
from typing import Any

_OURS = re.compile(r"call_(\S+_)?\d+")


def make_id(response_id: str | None, number: int) -> str:
    """An id for a call without one from Google. The same response always gives the same id."""
    return f"call_{response_id}_{number}" if response_id else f"call_{number}"


def encode_id(call_id: str) -> dict[str, Any]:
    """The field `id`; none for an id that `make_id` made, which Google does not know."""
    return {} if _OURS.fullmatch(call_id) else {"id": call_id}
