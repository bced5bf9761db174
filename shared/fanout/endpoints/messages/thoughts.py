"""
Thinking of models that sign none, in blocks that clients can send back.

Anthropic's API rejects thinking with another vendor's signature, or with none. So these blocks have
one that this gateway knows as its own, and never sends to a vendor. It also holds what another
vendor needs back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..sealed import is_sealed, seal, unseal

SIGNATURE = "fanout-unsigned"
"""The signature of thinking that its vendor has not signed."""


def is_ours(block: Mapping[str, Any]) -> bool:
    """Whether no vendor has signed this block of thinking."""
    signature = block.get("signature")
    return signature in (None, "", SIGNATURE) or is_sealed(signature)


def thinking_block(text: str, signature: str = SIGNATURE) -> dict[str, Any]:
    """A block of thinking."""
    return {"type": "thinking", "thinking": text, "signature": signature}


def signature_of(details: object) -> str:
    """The signature of thinking with these `reasoning_details` of its vendor, maybe none."""
    return seal({"reasoning_details": details}) if details else SIGNATURE


def details_of(block: Mapping[str, Any]) -> list[Any]:
    """The `reasoning_details` that a block of thinking holds."""
    signature = block.get("signature")
    return unseal(str(signature)).get("reasoning_details", []) if is_sealed(signature) else []
