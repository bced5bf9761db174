"""
What Converse rejects, as data: one rule a line, with its source.

The codec reads these rules, and so does the strict server of the tests.
"""

from __future__ import annotations

from ..calls import IdRule
from ..schemas import LIMITS, SchemaRules

# `ToolUseId` in botocore 1.44's model of the service, 2026-11. Claude rejects doubled ids
# (`anthropic/rules.py`); they are made unique for all models.
CALL_IDS = IdRule(r"[a-zA-Z0-9_.:-]{1,64}", unique=True)

# "Supported JSON Schema features" in docs.aws.amazon.com/bedrock/latest/userguide/
# structured-output.html, as public repositories quote it, 2026-11: no recursion, no limits of
# numbers and texts, no `minItems` over 1, and `additionalProperties: false`. It is Anthropic's
# list, whose other points are applied, too; also for strict tools.
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

# "A text block must be included when using documents": the service's own error,
# github.com/maximhq/bifrost/pull/5817, 2026-11
BESIDE_DOCUMENTS = "See the document."

# "The toolConfig field must be defined when using toolUse and toolResult content blocks": the
# service's own error, github.com/elastic/kibana/pull/246943, 2026-11. This is the schema of a
# function that was called and is no longer offered.
CALLED_BEFORE = {"type": "object", "properties": {}}

# https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html names Claude and Nova
# models, 2026-11. No page says what others do with a cache point, so they get none.
CACHING = ("anthropic.claude", "amazon.nova")


def is_blank(text: str) -> bool:
    """
    "text content blocks must contain non-whitespace text": the service's own error.

    github.com/NousResearch/hermes-agent/pull/64858, 2026-11. By Anthropic's rule, the stop
    sequences of Claude must, too.
    """
    return not text or text.isspace()
