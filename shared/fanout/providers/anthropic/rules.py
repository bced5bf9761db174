"""
What Anthropic's API rejects, as data: one rule a line, with its source.

The codec reads these rules, and so does the strict server of the tests.
"""

from __future__ import annotations

import re

from ..base import NameRule
from ..calls import IdRule

# "tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'", "`tool_use` ids must be unique":
# the API's own errors, as public clients quote them, 2026-11
CALL_IDS = IdRule(r"[a-zA-Z0-9_-]+", unique=True)

# "tools.16.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'": the API's own error,
# github.com/modelcontextprotocol/modelcontextprotocol/issues/1345. The documented pattern ends at
# 64: platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools, 2026-11
FUNCTIONS = NameRule(tools=r"[a-zA-Z0-9_-]{1,128}")

# Anthropic's SDK for Python, `Base64ImageSourceParam`, 2026-11
IMAGES = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})

# "metadata.user_id: user_id appears to contain an email address": the API's own error,
# github.com/BerriAI/litellm/issues/10106. "Do not include any identifying information such as
# name, email address, or phone number": Anthropic's SDKs. 2026-11
PERSONAL = re.compile(r".*\S@\S+\.\S.*|\+?[\d(][\d\s().-]{5,}\d", re.DOTALL)
MOST_USER_LETTERS = 256  # no page has a limit; a longer one is sent as its hash


# "A maximum of 4 blocks with cache_control may be provided":
# platform.claude.com/docs/en/build-with-claude/prompt-caching, 2026-11
MOST_MARKS = 4


def is_blank(text: str) -> bool:
    """
    "text content blocks must contain non-whitespace text", and so must stop sequences.

    "stop_sequences: each stop sequence must contain non-whitespace": both are the API's own errors,
    as public clients quote them, 2026-11.
    """
    return not text or text.isspace()


def strip_end(text: str) -> str:
    """
    The last text of the assistant, which the response continues.

    "messages: final assistant content cannot end with trailing whitespace": the API's own error,
    github.com/tailcallhq/forgecode/issues/1872; also through Bedrock: aws/aws-sdk-net/pull/4015,
    2026-11.
    """
    return text.rstrip()


def is_signed(block: object) -> bool:
    """
    Whether a block of thinking has Anthropic's signature, without which it is rejected.

    Anthropic's SDK for Python, `ThinkingBlockParam` and `RedactedThinkingBlockParam`, 2026-11
    """
    match block:
        case {"type": "thinking", "thinking": str(), "signature": str(sign)}:
            return bool(sign)
        case {"type": "redacted_thinking", "data": str(data)}:
            return bool(data)
        case _:
            return False
