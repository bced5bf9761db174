"""
What an entry says of its model's chat template, in Fanout's words or in LiteLLM's.

Loaded only for entries that say something.
"""

from __future__ import annotations

from typing import Any

from ..errors import ConfigError
from ..providers.base import Template
from .model import ModelParams, TemplateRules, Turn


def template_of(params: ModelParams) -> Template:
    """
    The settings in one; those of `template_rules` count before LiteLLM's.

    Raises `ConfigError` for a turn without a text.
    """
    rules = params.template_rules or TemplateRules()
    alternate, system_role = rules.alternate, rules.system_role
    if alternate is None and params.ensure_alternating_roles:  # false is LiteLLM's default
        alternate = True
    if system_role is None and params.supports_system_message is False:
        system_role = False
    return Template(
        alternate=alternate,
        system_role=system_role,
        one_system=rules.one_system,
        single_calls=rules.single_calls,
        after_tools=rules.after_tools,
        user_turn=_text("user_continue_message", params.user_continue_message),
        assistant_turn=_text("assistant_continue_message", params.assistant_continue_message),
    )


def _text(name: str, turn: Turn | None) -> str:
    """The text of a turn, which may be a message."""
    content: Any = turn.get("content") if isinstance(turn, dict) else turn
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "\n".join(part for part in parts if isinstance(part, str))
    if turn and not (isinstance(content, str) and content.strip()):
        raise ConfigError(f"`{name}` has no text: write the text, or a message with `content`")
    return content or ""
