"""What Bedrock's errors mean; see `providers/error_rules.py`."""

from __future__ import annotations

from ..error_rules import ErrorRule, rule

# The same pages; where an exception has several meanings, the texts are those that AWS returns
# (github.com/aws-samples/bedrock-chat/issues/95, generative-bi-using-rag/issues/361, …).
# docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html. Read on
# 2026-11-28.
RULES: tuple[ErrorRule, ...] = (
    rule("unsupported_country", text="unsupported countries, regions"),
    rule(
        "content_filter", text=r"content filter|guardrail (?:intervened|blocked)|blocked by .*guard"
    ),
    rule(
        "context_length",
        text="input is too long|too many input tokens|input tokens exceed|prompt is too long"
        "|exceed context limit|maximum context length|expected maxlength",
        statuses=(400, 502),
    ),
    rule("model_not_found", "ResourceNotFoundException"),
    rule(
        "model_not_found",
        text="^the provided model identifier is invalid|^could not resolve the foundation model"
        "|^model use case details have not been submitted",
    ),
    rule("insufficient_quota", "ServiceQuotaExceededException"),
    rule("insufficient_quota", "ThrottlingException", text=r"\bper day\b"),
    rule(
        "insufficient_quota",
        text=r"^too many (?:tokens|requests) per day|INVALID_PAYMENT_INSTRUMENT",
    ),
    rule(
        "invalid_key",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ),
    rule("invalid_key", "AccessDeniedException", text="api key|bearer token|authentication failed"),
    rule("invalid_key", text="^the security token included in the request is"),
    rule("permission", "AccessDeniedException", "OptInRequired"),
    rule("permission", text="^you don.t have access to the model"),
    rule("overloaded", "ServiceUnavailableException", "ModelNotReadyException"),
    rule("rate_limit", "ThrottlingException", "TooManyRequestsException"),
    rule("rate_limit", text="^too many (?:tokens|requests), please wait"),
    rule("timeout", "ModelTimeoutException"),
)
