"""What Vertex AI's errors mean: Google's own, and for Claude also Anthropic's."""

from __future__ import annotations

from ..anthropic.error_rules import RULES as CLAUDE
from ..error_rules import ErrorRule, rule
from ..gemini.error_rules import RULES as GOOGLE

RULES: tuple[ErrorRule, ...] = (
    # google.api.ErrorReason: "This API method requires billing to be enabled." Read on 2026-11-28.
    rule("insufficient_quota", "BILLING_DISABLED"),
    rule("permission", "SERVICE_DISABLED"),
    *GOOGLE,
    *CLAUDE,
)
