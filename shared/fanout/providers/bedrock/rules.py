"""
What Converse rejects, as data: one rule a line, with its source.

The codec reads these rules, and so does the strict server of the tests.
"""

from __future__ import annotations

from ..calls import IdRule
from ..schemas import LIMITS, SchemaRules

# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolUseBlock.html, 2026-11:
# 1 to 64 characters; the pattern is that of the service's error. AWS rejects doubled ids.
CALL_IDS = IdRule(r"[a-zA-Z0-9_.:-]{1,64}", unique=True)

# https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html, 2026-11. Also for
# strict tools.
SCHEMAS = SchemaRules(
    moved=LIMITS,
    renamed={"oneOf": "anyOf"},
    formats=frozenset(
        "date date-time duration email hostname ipv4 ipv6 time uri uuid".split()  # noqa: SIM905
    ),
    min_items=frozenset({0, 1}),
    closed=True,
    typed=True,
)

# "If you include a document, you must also include a text block": …/userguide/conversation-
# inference-call.html, 2026-11
BESIDE_DOCUMENTS = "See the document."

# "The toolConfig field must be defined when using toolUse and toolResult content blocks", 2026-11:
# the schema of a function that was called and is no longer offered.
CALLED_BEFORE = {"type": "object", "properties": {}}

# https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html, "Supported models",
# 2026-11. Others reject a cache point.
CACHING = ("anthropic.claude", "amazon.nova")


def is_blank(text: str) -> bool:
    """
    "text content blocks must contain non-whitespace text": the service's own error, 2026-11.

    Claude's stop sequences must, too.
    """
    return not text or text.isspace()
