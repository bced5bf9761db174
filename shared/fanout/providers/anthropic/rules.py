"""
What Anthropic's API rejects, as data: one rule a line, with its source.

The codec reads these rules, and so does the strict server of the tests.
"""

from __future__ import annotations

import re

from ..calls import IdRule

# "tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'", "`tool_use` ids must be unique":
# https://platform.claude.com/docs/en/api/messages, 2026-11
CALL_IDS = IdRule(r"[a-zA-Z0-9_-]+", unique=True)

# https://platform.claude.com/docs/en/build-with-claude/vision, 2026-11
IMAGES = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})

# "metadata.user_id": "Do not include any identifying information such as name, email address, or
# phone number": https://platform.claude.com/docs/en/api/messages, 2026-11
PERSONAL = re.compile(r".*\S@\S+\.\S.*|\+?[\d(][\d\s().-]{5,}\d", re.DOTALL)
MOST_USER_LETTERS = 256  # the same page


def is_blank(text: str) -> bool:
    """
    "text content blocks must contain non-whitespace text", and so must stop sequences.

    https://platform.claude.com/docs/en/api/messages, 2026-11
    """
    return not text or text.isspace()


def is_signed(block: object) -> bool:
    """
    Whether a block of thinking has Anthropic's signature, without which it is rejected.

    https://platform.claude.com/docs/en/build-with-claude/extended-thinking, 2026-11
    """
    if not isinstance(block, dict):
        return False
    return bool(block.get("data" if block.get("type") == "redacted_thinking" else "signature"))
