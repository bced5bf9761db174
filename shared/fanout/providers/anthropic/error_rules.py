"""What Anthropic's errors mean; see `providers/error_rules.py`."""

from __future__ import annotations

from ..error_rules import ErrorRule, rule

# The types are of the page above; where one type has several meanings, the texts are those that
# its API returns (github.com/anthropics/claude-code/issues/66314, 11281, …). Read on 2026-11-28.
RULES: tuple[ErrorRule, ...] = (
    rule("content_filter", text="blocked by content filtering"),
    rule("unsupported_country", "forbidden", text="^request not allowed"),
    rule("unsupported_country", text=r"unsupported (?:countries|country|regions?)"),
    rule("insufficient_quota", "billing_error"),
    rule("insufficient_quota", text=r"^your credit balance is too low"),
    rule("insufficient_quota", text=r"^you have reached your specified (?:\w+ )?usage limits"),
    rule(
        "context_length",
        "invalid_request_error",
        text="^prompt is too long|exceed context limit|exceeds? the context window",
    ),
    # A 429 of the type `rate_limit_error`: anthropics/claude-code/issues/33514, 2026-03
    rule("context_length", text="^extra usage is required for long context requests"),
    rule("context_length", "request_too_large"),  # over 32 MB: the page above
    rule("model_not_found", "not_found_error", text=r"^model\b"),
    rule("invalid_key", "authentication_error"),
    rule("permission", "permission_error"),
    rule("permission", text="organization has been disabled"),
    rule("overloaded", "overloaded_error"),
    rule("rate_limit", "rate_limit_error"),
    rule("timeout", "timeout_error"),
)
