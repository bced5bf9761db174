"""What Cohere's errors mean; see `providers/error_rules.py`."""

from __future__ import annotations

from ..error_rules import ErrorRule, rule

# Cohere has only texts: those of the page above and of docs.cohere.com/docs/rate-limits. Read on
# 2026-11-28.
RULES: tuple[ErrorRule, ...] = (
    rule("content_filter", text=r"\bblocked (?:input|output)\b"),
    rule("context_length", text="^too many tokens", statuses=(400, 422, 502)),
    rule("model_not_found", text=r"^model '[^']*' (?:was )?(?:not found|removed)"),
    rule("insufficient_quota", text=r"api calls / month|payment method|monthly (?:limit|quota)"),
    rule("invalid_key", text=r"^(?:invalid|no) api (?:token|key)"),
    rule("rate_limit", text=r"api calls / minute|per minute (?:request )?limit"),
)
