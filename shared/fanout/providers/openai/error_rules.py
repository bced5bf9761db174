"""What OpenAI's own errors mean; its names that others use too are in `error_rules.GENERAL`."""

from __future__ import annotations

from ..error_rules import ErrorRule, rule

# platform.openai.com/docs/guides/error-codes; read on 2026-11-28.
RULES: tuple[ErrorRule, ...] = (
    rule("invalid_key", "no_organization"),
    rule("overloaded", "slow_down", "server_is_overloaded"),
    rule("overloaded", text="^the engine is currently overloaded"),
)
