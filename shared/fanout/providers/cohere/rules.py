"""
What Cohere's API rejects, as data: one rule a line, with its source.

The codec reads these rules, and so does the strict server of the tests.
"""

from __future__ import annotations

import re

from ..base import NameRule
from ..schemas import LIMITS, SchemaRules

# "stop_sequences: A list of up to 5 strings": the reference of Cohere's SDK for Python, 2026-11
MOST_STOPS = 5

# "Valid names contain only the characters `a-z`, `A-Z`, `0-9`, `_` and must not begin with a
# digit": Cohere's SDK for Python 7.3, `Tool`, 2026-11. No page has a longest name.
FUNCTIONS = NameRule("a-zA-Z0-9_", first="a-zA-Z_")

# https://docs.cohere.com/docs/structured-outputs, "Schema constraints" and "Parameter types
# support", in public copies, 2026-11: no `allOf`, `oneOf` and `not`, no numeric ranges, lengths,
# sizes of arrays or `uniqueItems`, no formats but these four, and no `^`, `$`, `?=` and `?!` in a
# `pattern`; "every object in the schema must have at least one `required` field". The page is "a
# list of some": keywords that it does not have are treated as unsupported.
SCHEMAS = SchemaRules(
    moved=LIMITS - {"pattern"},
    renamed={"oneOf": "anyOf"},
    merged=True,
    formats=frozenset({"date", "date-time", "time", "uuid"}),
    min_items=frozenset(),
    not_in_patterns=("^", "$", "?=", "?!"),
    some_required=True,
)

# Cohere's SDK for Python, `Citation`, 2026-11
CITATION_FIELDS = frozenset({"start", "end", "text", "sources", "content_index", "type"})
CITED = frozenset({"start", "end", "text"})  # what a citation must have


def is_empty(content: object) -> bool:
    """
    Whether a message has no content; then it is left out.

    Cohere's SDK for Python 7.3 requires the content of all roles but the assistant's, 2026-11. No
    page says whether it may be empty.
    """
    if isinstance(content, list):
        return not any(getattr(part, "text", "x") for part in content)
    return not content


# "Reasoning" is in the list of features of Command A Reasoning and later models only:
# docs.cohere.com/docs/models, docs.cohere.com/docs/reasoning, 2026-11
_NO_THINKING = re.compile(r"command-(?:r|light|nightly|a-(?:03|vision|translate))|command$|c4ai")


def thinks(model: str) -> bool:
    """Whether the model takes `thinking`."""
    return _NO_THINKING.match(model) is None
