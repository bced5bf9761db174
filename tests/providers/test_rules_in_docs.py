"""The rows in the documentation work: each of their rules is applied, and enforced in tests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fanout.providers import row
from fanout.providers.base import Target
from fanout.providers.openai.message_rules import MessageRules
from fanout.providers.row import Row, make_provider
from fanout.schema.validation import parse_chat
from tests.providers.strict import row_rules

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-provider.md"
U = {"role": "user", "content": "Hi.", "name": "ada"}
ANSWER = {"role": "assistant", "content": "Hi", "reasoning_content": "hm", "thinking_blocks": [1]}
HISTORY = [{"role": "assistant", "content": "Hello."}, U, U, ANSWER, U]


def rows() -> list[Row]:
    """The rows of the page's examples."""
    found = re.findall(r"```python\n(Row\(.*?\n\))\n```", PAGE.read_text(), re.DOTALL)
    known = {"MessageRules": MessageRules, "RARE": row.RARE, "Row": Row}
    return [eval(code, known) for code in found]  # noqa: S307


def sent(given: Row, rules: MessageRules) -> list[dict[str, Any]]:
    codec = make_provider(replace(given, messages=rules)).chat
    request = parse_chat({"model": "m", "messages": HISTORY})
    messages: list[dict[str, Any]] = json.loads(
        codec.encode(request, Target("m", "m"), False).body
    )["messages"]
    return messages


def test_each_row_of_the_page_is_applied_and_enforced() -> None:
    plain, with_rules = rows()
    assert plain.messages == row.PLAIN_MESSAGES
    rules = with_rules.messages
    row_rules.check(rules, sent(with_rules, rules))
    assert "name" not in sent(with_rules, rules)[-1]


@pytest.mark.parametrize("rule", ["alternate", "fields", "names"])
def test_without_one_of_its_lines_the_strict_server_rejects_the_messages(rule: str) -> None:
    given = rows()[1]
    defaults = {"alternate": False, "fields": frozenset({"thinking_blocks"}), "names": True}
    unfit = sent(given, replace(given.messages, **{rule: defaults[rule]}))
    with pytest.raises(AssertionError, match=rule):
        row_rules.check(given.messages, unfit)
