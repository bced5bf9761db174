"""
What Cohere's API rejects, as data: one rule a line, with its source.

The codec reads these rules, and so does the strict server of the tests.
"""

from __future__ import annotations

from ..schemas import LIMITS, SchemaRules

# "stop_sequences: A list of up to 5 strings": the reference of Cohere's SDK for Python, 2026-11
MOST_STOPS = 5

# https://docs.cohere.com/docs/structured-outputs, "Parameter types support" (a copy of 2025-11 in
# github.com/patrickcarmichael/claude-docs, read 2026-11): no numeric ranges, lengths, sizes of
# arrays or `uniqueItems`, and no formats but these four; `pattern` only without `^` and `$`. This
# table differs from the page in two points: there, `allOf`, `oneOf` and `not` are unsupported and
# `additionalProperties` is supported. The other keywords are from memory; not checked.
SCHEMAS = SchemaRules(
    moved=LIMITS - {"pattern", "not"},
    dropped=frozenset({"$comment", "$id", "$schema", "additionalProperties"}),
    formats=frozenset({"date", "date-time", "time", "uuid"}),
    min_items=frozenset(),
)

# Cohere's SDK for Python, `Citation`, 2026-11
CITATION_FIELDS = frozenset({"start", "end", "text", "sources", "content_index", "type"})


def is_empty(content: object) -> bool:
    """
    Whether a message has no content, with which Cohere rejects it.

    From memory; not checked with Cohere's reference.
    """
    if isinstance(content, list):
        return not any(getattr(part, "text", "x") for part in content)
    return not content
