"""What is assumed of tokens before a provider has counted them."""

from __future__ import annotations

BYTES_PER_TOKEN = 4
"""Bytes of a prompt that are about one token."""
