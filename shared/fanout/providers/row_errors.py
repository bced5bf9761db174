"""
The error tables of the OpenAI-compatible vendors, by the name of their row.

OpenAI's own names and the common texts are in `general_errors.py`, which comes after these. The
pages were read on 2026-11-28 and 29.
"""

from __future__ import annotations

from collections.abc import Mapping

from .error_rules import ErrorKind, ErrorRule, rule


def _numbered(kind: ErrorKind, *codes: str) -> tuple[ErrorRule, ErrorRule]:
    """Errors that have one of the codes in a field, or in brackets in the text: `(1008)`."""
    return rule(kind, *codes), rule(kind, text=rf"\((?:{'|'.join(codes)})\)")


ROW_ERRORS: Mapping[str, tuple[ErrorRule, ...]] = {
    # inference-docs.cerebras.ai/support/error; its quotas are of a minute, an hour or a day.
    "cerebras": (
        rule("insufficient_quota", text="^(?:requests|tokens) per day limit exceeded"),
        rule("insufficient_quota", "payment_required"),
        rule("overloaded", "queue_exceeded"),
        rule("rate_limit", "request_quota_exceeded", "token_quota_exceeded"),
        rule("rate_limit", "too_many_requests_error"),
    ),
    # alibabacloud.com/help/en/model-studio/error-code
    "dashscope": (
        rule("insufficient_quota", "AllocationQuota.FreeTierOnly", "*BillOverdue"),
        rule("insufficient_quota", text="^free allocated quota|free tier of the model"),
        rule("rate_limit", "limit_requests", "LimitRequests", "limit_burst_rate"),
        rule("permission", "*AccessDenied*"),
        rule("overloaded", "ModelUnavailable", "ModelServingError", "ServiceUnavailable"),
        rule("timeout", "RequestTimeOut"),
    ),
    # api-docs.deepseek.com/quick_start/error_codes; its codes say little.
    "deepseek": (
        rule("content_filter", text="^content exists risk"),
        rule("model_not_found", text="^model not exist"),
        rule("insufficient_quota", text="^insufficient balance"),
    ),
    # docs.fireworks.ai/guides/inference-error-codes
    "fireworks_ai": (
        rule("model_not_found", "NOT_FOUND", text=r"\bmodel\b"),
        rule("model_not_found", text="^model not found"),
        rule("insufficient_quota", text=r"account .*suspended|spending limit"),
    ),
    # docs.github.com/github-models: limits of a minute and of a day, some as `429` with
    # "Rate limit of 150 per 86400s exceeded for UserByModelByDay".
    "github": (
        rule("insufficient_quota", text=r"per 86400s exceeded|ByDay\b"),
        rule("rate_limit", "RateLimitReached"),
        rule("permission", "no_access"),
    ),
    # console.groq.com/docs/errors
    "groq": (
        rule("model_not_found", "model_decommissioned"),
        rule("permission", "blocked_api_access", "organization_restricted"),
        rule("permission", "model_permission_blocked*", "model_terms_required"),
        rule("overloaded", "capacity_exceeded", "over_capacity"),
        # Beside a delta, the word alone; a 503 has a sentence: "… is currently over capacity"
        rule("overloaded", text="over[_ ]capacity"),
        # The flex tier is at capacity: console.groq.com/docs/flex-processing
        rule("overloaded", statuses=(498,)),
    ),
    # github.com/lmstudio-ai/lmstudio-bug-tracker/issues/1347, also /1170: a 400
    "lm_studio": (
        rule("overloaded", text="^the model has crashed|^model is unloaded"),
        rule("model_not_found", text="^no models loaded"),
    ),
    # platform.minimax.io/docs/api-reference/errorcode; with status 200, in `base_resp`. With
    # another status, the code is in the text: MiniMax-AI/MiniMax-M2/issues/62 (a 500),
    # modelscope/modelscope/issues/1691, MiniMax-AI/MiniMax-M2.7/issues/36.
    "minimax": (
        *_numbered("timeout", "1001"),
        *_numbered("rate_limit", "1002", "1041", "2045"),
        *_numbered("invalid_key", "1004", "2049"),
        *_numbered("insufficient_quota", "1008", "2056"),
        *_numbered("overloaded", "1000", "1024", "1033"),
        *_numbered("content_filter", "1026", "1027"),
        *_numbered("context_length", "1039"),
        rule("context_length", "2013", text="context window exceeds limit"),
        rule("invalid_request", "1042", "2013"),
    ),
    # docs.mistral.ai/api, github.com/raycast/extensions/issues/31107,
    # continuedev/continue/issues/6185
    "mistral": (
        rule(
            "content_filter", text=r"(?:blocked|flagged|rejected|violat).*(?:guardrail|moderation)"
        ),
        rule(
            "content_filter", text=r"(?:guardrail|moderation).*(?:blocked|flagged|trigger|violat)"
        ),
        rule("model_not_found", "invalid_model", "1500"),
        rule(
            "insufficient_quota",
            text=r"monthly (?:usage )?(?:limit|quota)|usage limit|activate payments",
        ),
        rule("rate_limit", "rate_limited", "1300", "service_tier_capacity_exceeded", "3505"),
        rule("rate_limit", text="^service tier capacity exceeded"),
    ),
    # A 429 of type `rate_limit_error`: github.com/earendil-works/pi/issues/3494
    "moonshot": (rule("overloaded", text="^the engine is currently overloaded"),),
    # A 400, and a 410: github.com/decolua/9router/issues/2527, tashfeenahmed/freellmapi/issues/634
    "nvidia_nim": (
        rule("overloaded", text="DEGRADED function cannot be invoked"),
        rule("model_not_found", text="^the model .* has reached its end of life"),
    ),
    # openrouter.ai/docs/api/reference/errors-and-debugging; its `error_type`s are those of
    # openrouter.ai/docs/client-sdks/python/components/apierrortype.
    "openrouter": (
        rule("content_filter", "flagged_input:", "reasons:", "refusal"),
        rule("content_filter", text="guardrail", statuses=(403,)),
        # A key's own limit of credits, and the free models' of a day: no pause of a call helps.
        # github.com/cline/cline/issues/5301, Aider-AI/aider/issues/3936, 2026-11
        rule("insufficient_quota", text="^key limit exceeded|free-models-per-day"),
        rule("rate_limit", "openrouter_in_flight_budget"),  # a 402 with a `Retry-After`
        rule("insufficient_quota", "payment_required", "token_limit_exceeded"),
        rule("insufficient_quota", text="insufficient credits|requires more credits"),
        rule("model_not_found", text="^no endpoints found for|is not a valid model id"),
        rule("invalid_key", "authentication"),
        rule("permission", "permission_denied"),
        rule("overloaded", "provider_overloaded", "provider_unavailable"),
        rule("timeout", "timeout"),
    ),
    # docs.perplexity.ai/guides/api-error-codes
    "perplexity": (rule("model_not_found", text="^invalid model"),),
    # docs.together.ai/docs/error-codes: a 403 is a prompt that is too long.
    "together_ai": (
        rule(
            "context_length",
            text=r"max_(?:new_)?tokens.* must be (?:<=|less)|context length of the model",
        ),
        rule("insufficient_quota", "credit_limit", "payment_required"),
        rule("rate_limit", "model_rate_limit"),
        rule("model_not_found", text="^unable to access (?:non-serverless )?model"),
    ),
    # volcengine.com/docs/82379/1299023
    "volcengine": (
        rule("content_filter", "*RiskDetection*", "ContentRestricted"),
        rule("insufficient_quota", "QuotaExceeded", "SetLimitExceeded", "*ServiceOverdue"),
        rule("invalid_key", "AuthenticationError", "InvalidAccountStatus"),
        rule("model_not_found", "*ServiceNotOpen", "InvalidEndpoint*", "UnsupportedModel"),
        rule("permission", "AccessDenied*", "OperationDenied*"),
        rule("overloaded", "ServerOverloaded", "*ServiceUnavailable*", "InternalServiceError"),
        rule("rate_limit", "*RateLimitExceeded*", "RequestBurstTooFast"),
    ),
    # docs.x.ai/docs/api-reference. One code has several meanings: github.com/Wei-Shaw/sub2api/
    # pull/5359, UKGovernmentBEIS/inspect_ai/pull/2267, continuedev/continue/issues/12670.
    "xai": (
        rule("content_filter", text="violates usage guidelines|SAFETY_CHECK"),
        rule("insufficient_quota", text=r"any credits\b|available credits|spending limit"),
        rule("context_length", text="maximum prompt length is"),
        rule("invalid_key", text="correct credentials|^(?:incorrect|no) api key"),
        rule("model_not_found", text="^the model .* does not exist"),
        rule(
            "permission",
            "permission-denied",
            "The caller does not have permission to execute the specified operation",
        ),
        rule("rate_limit", "Some resource has been exhausted", "resource-exhausted"),
    ),
    # docs.z.ai/api-reference/api-code
    "zai": (
        rule("invalid_key", "1000", "1001", "1002", "1003", "1004", "1005", "1315"),
        rule("insufficient_quota", "1113", "1304", "1308", "1309", "1310", "1314", "1316"),
        rule("permission", "1110", "1111", "1112", "1120", "1121", "1220", "1311"),
        rule("model_not_found", "1211"),
        rule("context_length", "1261"),
        rule("content_filter", "1300", "1301"),
        rule("overloaded", "1230", "1234", "1305", "1312"),
        rule("rate_limit", "1302", "1303", "1313"),
        rule("invalid_request", "1210", "1212", "1213", "1214", "1215"),
    ),
}
