"""Values of single fields as one vendor with OpenAI's API accepts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...wire import json
from ..fields import UnsupportedFields
from .rules import PlainFields, ThinkingTypes, of_model


def limit_values(
    values: Mapping[str, frozenset[str]],
    usual: Mapping[str, tuple[object, ...]],
    body: dict[str, Any],
    unsupported: UnsupportedFields,
) -> None:
    """Reject or drop a value of our own `body` that is none of `values`; drop a `usual` one."""
    for name, known in values.items():
        given = body.get(name)
        if isinstance(given, str) and given not in known:
            if given not in usual.get(name, ()):
                unsupported.add(name, f"it has {', '.join(sorted(known))}")
            del body[name]


MOST_LABELS, LONGEST_NAME, LONGEST_LABEL = 16, 64, 512
"""Limits of `metadata`: openai-openapi 2.3.0, `Metadata`."""


def fit_metadata(body: dict[str, Any], unsupported: UnsupportedFields) -> None:
    """
    Leave `metadata` in our own `body` only with `store`; its values are texts within the limits.

    "The 'metadata' parameter is only allowed when 'store' is enabled": github.com/tmc/langchaingo/
    issues/1484, QwenLM/qwen-code/issues/243, 2026-11. It is a hint, so nothing is lost.
    """
    given = body["metadata"]
    labels: dict[str, str] = {}
    for name, value in given.items() if body.get("store") and isinstance(given, dict) else ():
        text = value if isinstance(value, str) else json.encode(value).decode()
        if len(labels) < MOST_LABELS and len(name) <= LONGEST_NAME:
            labels[name] = text[:LONGEST_LABEL]
    if labels != given:
        unsupported.note("metadata")
    if labels:
        body["metadata"] = labels
    else:
        del body["metadata"]


def limit_numbers(
    most: Mapping[str, float], body: dict[str, Any], unsupported: UnsupportedFields
) -> None:
    """Reject or drop a number of our own `body` that is larger than `most` has it."""
    for name, limit in most.items():
        given = body.get(name)
        if isinstance(given, int | float) and given > limit:
            unsupported.add(name, f"its largest value is {limit:g}")
            del body[name]


def leave_out_usual(
    usual: Mapping[str, tuple[object, ...]], hints: frozenset[str], body: dict[str, Any]
) -> None:
    """Remove from our own `body` what asks for nothing."""
    for name in [*body]:
        if name in hints or body[name] in usual.get(name, ()):
            del body[name]


def add_plain_fields(
    rules: Sequence[PlainFields], model: str, body: dict[str, Any], unsupported: UnsupportedFields
) -> None:
    """Add to our own `body` what a call without a stream must have; the client's values stay."""
    for rule in of_model(rules, model):
        for name in rule.fields.keys() - body.keys():
            body[name] = rule.fields[name]
            unsupported.note(name)


def fit_thinking_type(
    rules: Sequence[ThinkingTypes],
    model: str,
    body: dict[str, Any],
    unsupported: UnsupportedFields,
) -> None:
    """Replace the type of our own `body`'s `thinking` by the model's, and remove a budget."""
    given = body["thinking"]
    for rule in of_model(rules, model):
        theirs = rule.types.get(str(given.get("type"))) if isinstance(given, dict) else None
        if theirs is not None:
            rest = {name: value for name, value in given.items() if name != "budget_tokens"}
            body["thinking"] = {**rest, "type": theirs}
            if "budget_tokens" in given:
                unsupported.note("thinking.budget_tokens")
            elif given["type"] != theirs:
                unsupported.note("thinking")
            return


def join_prediction(body: dict[str, Any]) -> None:
    """Make the content of our own `body`'s `prediction` one text."""
    given = body["prediction"]
    if isinstance(given, dict) and isinstance(parts := given.get("content"), list):
        text = "".join(part.get("text") or "" for part in parts if isinstance(part, dict))
        body["prediction"] = {**given, "content": text}
