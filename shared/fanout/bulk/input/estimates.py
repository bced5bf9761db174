"""How many tokens and dollars a line may take, before it is sent. Pure."""

from __future__ import annotations

from typing import Any

from ..costs import Costs
from .lines import Line

BYTES_A_TOKEN = 4

ASSUMED = 500
"""Tokens of an answer whose request sets no limit, where a number is needed beforehand."""


def models_of(line: Line) -> list[str]:
    """The names that a line asks."""
    fanout = line.body.get("fanout") or {}
    given = fanout.get("models") or line.body.get("model") or []
    names = given.split(",") if isinstance(given, str) else given
    return [name.strip() for name in names]


def answer_limit(line: Line) -> int | None:
    """The most tokens of its answers that a line allows; `None` if it sets no limit."""
    limit = line.body.get("max_completion_tokens") or line.body.get("max_tokens")
    count = line.body.get("n") or 1
    return limit * count if isinstance(limit, int) and isinstance(count, int) else None


def chats_of(line: Line) -> list[list[Any]]:
    """The conversations of a line: one, or as many as its `messages` has; a call to each model."""
    messages = line.body.get("messages") or []
    return [chat for chat in messages if isinstance(chat, list)] or [messages]


def estimate(costs: Costs, line: Line, size: int) -> float:
    """Dollars that a line may cost: four bytes a token in, its own limit out."""
    total = 0.0
    for name in models_of(line):
        if rate := costs.rate(name):
            got = (answer_limit(line) or ASSUMED) * len(chats_of(line))
            total += rate.input * size / BYTES_A_TOKEN + rate.output * got
    return total
