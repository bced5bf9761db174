"""
The models of OpenAI that have the Responses API and no chat completions, as data.

From LiteLLM's price map 1.110.2 (`supported_endpoints`), which follows OpenAI's pages of models,
2026-11. A name may end with a date.
"""

from __future__ import annotations

import re
from functools import lru_cache

PREFIX = "responses/"
"""LiteLLM's mark of a model that is called with the Responses API: `openai/responses/gpt-4o`."""

_NAMES = (
    "codex-mini",
    "codex-mini-latest",
    "computer-use-preview",
    "gpt-5-codex",
    "gpt-5-pro",
    "gpt-5.1-codex",
    "gpt-5.1-codex-max",
    "gpt-5.1-codex-mini",
    "gpt-5.2-codex",
    "gpt-5.2-pro",
    "gpt-5.3-codex",
    "gpt-5.4-pro",
    "gpt-5.5-pro",
    "gpt-daybreak-blue-latest",
    "gpt-daybreak-red-latest",
    "o1-pro",
    "o3-deep-research",
    "o3-pro",
    "o4-mini-deep-research",
)

_MODEL = re.compile(rf"(?:{'|'.join(map(re.escape, _NAMES))})(?:-\d{{4}}-\d\d-\d\d)?")


@lru_cache(maxsize=1024)
def has_only_responses(model: str) -> bool:
    """Whether this is the name of a model without chat completions, or is marked as one."""
    return model.startswith(PREFIX) or _MODEL.fullmatch(model.rpartition("/")[2]) is not None


def without_mark(model: str) -> str:
    """The vendor's name of the model."""
    return model.removeprefix(PREFIX)
