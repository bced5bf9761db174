"""How many tokens a prompt has, roughly: by its characters, as in a job's quote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..token_counts import estimate_prompt
from .compaction import since_summary

_PROMPT = ("messages", "output_config", "system", "tool_choice", "tools")


def estimate_tokens(body: Any) -> int:
    """The tokens of a request's prompt: its text, tools and files, from its last summary on."""
    if not isinstance(body, dict):
        return 0
    prompt = {name: body[name] for name in _PROMPT if name in body}
    if isinstance(messages := prompt.get("messages"), list):
        prompt["messages"] = since_summary(messages)
    return estimate_prompt(prompt, _files)


def _files(part: Mapping[str, Any]) -> tuple[str, ...]:
    """An image or a document has its file in `source`, unless that is text or has blocks."""
    source = part.get("source")
    if part.get("type") not in ("image", "document") or not isinstance(source, dict):
        return ()
    return () if source.get("type") in ("text", "content") else ("source",)
