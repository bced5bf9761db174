"""What Azure's errors mean; see `providers/error_rules.py`."""

from __future__ import annotations

from ..error_rules import ErrorRule, rule

# learn.microsoft.com/azure/foundry/openai/how-to/troubleshooting, …/concepts/content-filter, and
# …/azure/api-management/azure-openai-token-limit-policy (a 403 for a spent quota). Read on
# 2026-11-28.
RULES: tuple[ErrorRule, ...] = (
    rule("content_filter", "content_filter", "ResponsibleAIPolicyViolation"),
    rule("model_not_found", "DeploymentNotFound", "ModelNotFound"),
    rule("insufficient_quota", "QuotaExceeded"),
    rule("insufficient_quota", text=r"quota is exceeded|out of call volume quota", statuses=(403,)),
    rule("permission", "PermissionDenied", "AuthorizationFailed", "PublicNetworkAccessDisabled"),
    rule("permission", text="virtual network|firewall rules"),
    rule("overloaded", "NoCapacity", "model_error"),
    # Some have the code 429, and no limit of this deployment is reached:
    # github.com/scalaone/azure-openai-proxy/issues/22, pollinations/pollinations/issues/6260
    rule("overloaded", text="overloaded with other requests|experiencing high demand"),
    rule("rate_limit", "RateLimitReached", "TooManyRequests"),
)
