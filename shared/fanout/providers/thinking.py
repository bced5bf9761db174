"""
The field `thinking`, which LiteLLM has from Anthropic's API, for vendors that have only efforts.

For example, `{"type": "enabled", "budget_tokens": 2000}` asks for about what `reasoning_effort:
low` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import RequestError

LARGEST: Mapping[str, int] = {"low": 4096, "medium": 16384}
"""
The largest budget of an effort, in tokens; `high` has any larger one.

They lie between the budgets that Google documents for its efforts (1,024, 8,192 and 24,576):
https://ai.google.dev/gemini-api/docs/openai#thinking, 2026-11.
"""


def read_thinking(given: Any) -> Mapping[str, Any]:
    """The field's value; a `RequestError` if it is not an object, or its `type` is no text."""
    if not isinstance(given, dict):
        raise RequestError("`thinking` is not a JSON object", "thinking")
    if not isinstance(given.get("type"), str | None):
        raise RequestError("`thinking.type` must be a string", "thinking.type")
    return given


def effort_of(given: Any) -> str | None:
    """The effort that `thinking` asks for; `None` if it leaves that to the model."""
    thinking = read_thinking(given)
    if thinking.get("type") == "disabled":
        return "none"
    budget = thinking.get("budget_tokens")
    if thinking.get("type") != "enabled" or not isinstance(budget, int) or budget < 0:
        return None
    if budget == 0:  # off, as in LiteLLM
        return "none"
    return next((effort for effort, most in LARGEST.items() if budget <= most), "high")
