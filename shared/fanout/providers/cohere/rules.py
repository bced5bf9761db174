"""
What Cohere's API rejects, as data: one rule a line, with its source.

The codec reads these rules, and so does the strict server of the tests.
"""

from __future__ import annotations

from ..schemas import LIMITS, SchemaRules

# "stop_sequences: A list of up to 5 strings": https://docs.cohere.com/reference/chat, 2026-11
MOST_STOPS = 5

# https://docs.cohere.com/docs/structured-outputs, "Unsupported schema features", 2026-11: numeric
# ranges, lengths, and formats but these four. `pattern` and `enum` are supported.
SCHEMAS = SchemaRules(
    moved=LIMITS - {"pattern", "not"},
    dropped=frozenset({"$comment", "$id", "$schema", "additionalProperties"}),
    formats=frozenset({"date", "date-time", "time", "uuid"}),
    min_items=frozenset(),
)

# https://docs.cohere.com/reference/chat, `messages[].citations`, 2026-11
CITATION_FIELDS = frozenset({"start", "end", "text", "sources", "content_index", "type"})


def is_empty(content: object) -> bool:
    """
    Whether a message has no content, with which Cohere rejects it.

    https://docs.cohere.com/reference/chat, `messages[].content`, 2026-11
    """
    if isinstance(content, list):
        return not any(getattr(part, "text", "x") for part in content)
    return not content
