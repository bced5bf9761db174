"""What Google's errors mean; see `providers/error_rules.py`."""

from __future__ import annotations

from ..error_rules import ErrorRule, rule

# ai.google.dev/gemini-api/docs/troubleshooting, cloud.google.com/apis/design/errors, and
# google.rpc.ErrorInfo's reasons in googleapis/google/api/error_reason.proto. Read on 2026-11-28.
RULES: tuple[ErrorRule, ...] = (
    rule("content_filter", "blockReason:", "SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST"),
    rule(
        "unsupported_country", text="^user location is not supported|not available in your country"
    ),
    rule(
        "invalid_key",
        "API_KEY_*",
        "ACCESS_TOKEN_*",
        "ACCOUNT_STATE_INVALID",
        "CONSUMER_INVALID",
        "CONSUMER_SUSPENDED",
        "CREDENTIALS_MISSING",
        "UNAUTHENTICATED",
    ),
    rule("invalid_key", "PERMISSION_DENIED", text=r"\bapi key\b|unregistered callers"),
    # A quota of the day, one of 0, prepaid credits, and a cap: waiting does not help.
    rule("insufficient_quota", "*PerDay*", "BILLING_DISABLED"),
    rule(
        "insufficient_quota",
        "RESOURCE_EXHAUSTED",
        text=r"\blimit: 0\b|credits? (?:is|are) deplet|spend(?:ing)? cap",
    ),
    rule(
        "context_length",
        text=r"input token count .*(?:exceeds the maximum|only supports)|input context is too long"
        r"|^request payload size exceeds",
    ),
    rule("model_not_found", "NOT_FOUND"),
    rule("permission", "PERMISSION_DENIED"),
    rule("rate_limit", "RESOURCE_EXHAUSTED"),
    rule("overloaded", "UNAVAILABLE"),
    rule("timeout", "DEADLINE_EXCEEDED"),
)
