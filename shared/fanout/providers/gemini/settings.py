"""How hard a model thinks: in levels since Gemini 3, in tokens before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Google's own translation, of its OpenAI-compatible endpoint, which ends at "high":
# https://ai.google.dev/gemini-api/docs/openai#thinking
BUDGETS: Mapping[str, int] = {
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 24576,
    "max": 24576,
}
LEVELS: Mapping[str, str] = {
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}


def has_levels(model: str) -> bool:
    """Whether the model is of the third generation or later; names such as `…-latest` are."""
    return not model.rpartition("/")[2].startswith(("gemini-1", "gemini-2"))


def encode_effort(effort: str | None, model: str) -> dict[str, Any] | None:
    """Google's `thinkingConfig`; who asks for an effort is shown a summary of the thoughts."""
    if effort is None:
        return None
    if effort == "none":
        # Models that cannot but think answer 400, in Google's own words.
        return {"thinkingBudget": 0}
    if not has_levels(model):
        return {"thinkingBudget": BUDGETS[effort], "includeThoughts": True}
    level = LEVELS[effort]
    if level == "MINIMAL" and "-pro" in model:  # whose lowest level is LOW
        level = "LOW"
    return {"thinkingLevel": level, "includeThoughts": True}
