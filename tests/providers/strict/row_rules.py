"""
Rejects messages that a row's own rules forbid.

This is the list that the codec reads: a rule that is added to a row is enforced here, too.
`openai_api` has, for vendors whose references were read, what they say independently of it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection
from typing import Any

from fanout.providers.fields import MADE_FIELDS
from fanout.providers.openai.message_rules import MessageRules

SYSTEM = {"developer", "system"}
ALWAYS = {"content", "role", "tool_calls"}


def check(
    rules: MessageRules,
    messages: list[dict[str, Any]],
    *,
    functions: bool = False,
    offered: Collection[str] = frozenset(),
) -> None:
    """Fail if a message is not as `rules` allow it."""
    for message in messages:
        _check_fields(rules, message)
        _check_documents(rules, message)
        if message["role"] == "assistant":
            _check_answer(rules, message, offered)
        if not rules.empty:
            assert message["role"] not in SYSTEM or message["content"], "empty"
        if not rules.empty_texts and isinstance(content := message.get("content"), list):
            texts = [part.get("text", "x") for part in content]
            assert all(texts) or len(texts) == 1, "empty_texts"
        if rules.one_text and isinstance(content := message.get("content"), list):
            assert {part.get("type") for part in content} - {"text"}, "one_text"
        if not rules.media_results and message["role"] == "tool":
            parts = message["content"] if isinstance(message["content"], list) else []
            assert {part["type"] for part in parts} <= {"text"}, "media_results"
        if not (rules.legacy or functions):
            assert message["role"] != "function", "legacy"
            assert not message.get("function_call"), "legacy"
    _check_order(rules, [message["role"] for message in messages])
    answers = [message for message in messages if message["role"] == "assistant"]
    all_think = rules.no_thought and not rules.thinkers
    if all_think and any("tool_calls" in answer for answer in answers):
        assert all(answer[str(rules.reasoning)] for answer in answers), "no_thought"
    if rules.prefix and messages[-1]["role"] == "assistant":
        assert messages[-1][rules.prefix] is True, "prefix"


def _check_fields(rules: MessageRules, message: dict[str, Any]) -> None:
    assert not message.keys() & (MADE_FIELDS - rules.fields), "fields"
    for part in message["content"] if isinstance(message.get("content"), list) else ():
        assert not part.keys() & (MADE_FIELDS - rules.fields), "fields"
    if rules.strict and message["role"] == "assistant":
        assert message.keys() <= ALWAYS | rules.fields | ({rules.prefix} - {""}), "strict"
    assert rules.developer or message["role"] != "developer", "developer"
    has_names = rules.named_results if message["role"] == "tool" else rules.names
    assert has_names or "name" not in message, "names"
    if rules.not_in_names and message["role"] not in {"function", "tool"}:
        assert not re.search(rules.not_in_names, message.get("name", "ada")), "not_in_names"


def _check_documents(rules: MessageRules, message: dict[str, Any]) -> None:
    for part in message["content"] if isinstance(message.get("content"), list) else ():
        assert not (rules.bare_audio and isinstance(part.get("input_audio"), dict)), "bare_audio"
        if rules.documents:
            assert "file" not in part, "documents"
            assert part["type"] in {"text", "image_url", "input_audio", "file", rules.documents}


def _check_answer(rules: MessageRules, message: dict[str, Any], offered: Collection[str]) -> None:
    calls = message.get("tool_calls")
    assert rules.empty or message.get("content") or calls, "empty"
    assert rules.empty_beside_calls or message["content"] not in ("", []), "empty_beside_calls"
    if rules.ids:
        assert all(re.fullmatch(rules.ids.pattern, call["id"]) for call in calls or ()), "ids"
    names = [call["function"]["name"] for call in calls or () if "function" in call]
    unfit = [name for name in names if not re.fullmatch(rules.functions.pattern, name)]
    assert set(unfit) <= set(offered), "functions"


def _check_order(rules: MessageRules, roles: list[str]) -> None:
    talk = list(itertools.dropwhile(lambda role: role in SYSTEM, roles))
    if not rules.late_system:
        assert talk, "late_system"
        assert not SYSTEM & {*talk}, "late_system"
    pairs = list(itertools.pairwise(roles))
    assert rules.many_systems or sum(role in SYSTEM for role in roles) <= 1, "many_systems"
    always = rules.after_tools and not rules.with_turns
    assert not always or ("tool", "user") not in pairs, "after_tools"
    if rules.alternate:
        assert talk[0] == "user", "alternate"
        assert not {("user", "user"), ("assistant", "assistant")} & {*pairs}, "alternate"
