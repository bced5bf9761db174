"""
Thinking of models that sign none, in blocks that clients can send back.

Anthropic's API rejects thinking with another vendor's signature, or with none. So these blocks have
one that this gateway knows as its own, and never sends to a vendor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SIGNATURE = "fanout-unsigned"
"""The signature of thinking that its vendor has not signed."""


def is_ours(block: Mapping[str, Any]) -> bool:
    """Whether no vendor has signed this block of thinking."""
    return block.get("signature") in (None, "", SIGNATURE)


def thinking_block(text: str, signature: str = SIGNATURE) -> dict[str, Any]:
    """A block of thinking."""
    return {"type": "thinking", "thinking": text, "signature": signature}
