"""
What Converse rejects, as data: one rule a line, with its source.

The codec reads these rules, and so does the strict server of the tests.
"""

from __future__ import annotations

from ..calls import IdRule
from ..schemas import LIMITS, SchemaRules

# 1 to 64 characters of this pattern: AWS's `ToolUseBlock`, as github.com/run-llama/llama_index/
# pull/22775 quotes it, 2026-11. That AWS rejects doubled ids is from memory; not checked.
CALL_IDS = IdRule(r"[a-zA-Z0-9_.:-]{1,64}", unique=True)

# Anthropic's list, also for strict tools. From memory; not checked with AWS's page
# (https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html). `closed` has a
# source: github.com/aws-samples/amazon-bedrock-samples, structured-outputs/README.md, 2026-11.
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
# models, 2026-11. That others reject a cache point is from memory; not checked.
CACHING = ("anthropic.claude", "amazon.nova")


def is_blank(text: str) -> bool:
    """
    "text content blocks must contain non-whitespace text": the service's own error.

    github.com/NousResearch/hermes-agent/pull/64858, 2026-11. Claude's stop sequences must, too:
    that is Anthropic's rule; not checked for Bedrock.
    """
    return not text or text.isspace()
