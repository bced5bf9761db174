"""
Thinking of models that sign none, in blocks that clients can send back.

Anthropic's API rejects thinking with another vendor's signature, or with none. So these blocks have
one that this gateway knows as its own, and never sends to a vendor. It also holds what another
vendor needs back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..sealed import is_sealed, joined, seal, unseal

SIGNATURE = "fanout-unsigned"
"""The signature of thinking that its vendor has not signed."""

HELD = ("reasoning_details", "extra_content")
"""The fields of a message that a signature may hold: what its vendor needs back."""


def is_ours(block: Mapping[str, Any]) -> bool:
    """Whether no vendor has signed this block of thinking."""
    signature = block.get("signature")
    return signature in (None, "", SIGNATURE) or is_sealed(signature)


def thinking_block(text: str, signature: str = SIGNATURE) -> dict[str, Any]:
    """A block of thinking."""
    return {"type": "thinking", "thinking": text, "signature": signature}


def signature_of(fields: Mapping[str, Any]) -> str:
    """The signature of thinking with these fields of `HELD`, maybe none."""
    held = {name: fields[name] for name in HELD if fields.get(name)}
    return seal(held) if held else SIGNATURE


def held_by(blocks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The fields of `HELD` that blocks of thinking hold, joined."""
    held: dict[str, Any] = {}
    for block in blocks:
        if is_sealed(signature := block.get("signature")):
            held = joined(held, unseal(str(signature)))
    return {name: held[name] for name in HELD if name in held}
