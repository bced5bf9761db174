"""
What the error bodies of any vendor mean. A vendor's own rules come before these.

The names are OpenAI's, which most vendors use, and those of other vendors that can mean nothing
else: many vendors and servers are called by their address alone (`openai_like/`), and gateways pass
on what others sent. A name that means something else elsewhere, such as a number, is only in its
vendor's table.
"""

from __future__ import annotations

from .error_rules import UNKNOWN_STATUS, ErrorRule, rule

_SERVER_ERRORS = (500, UNKNOWN_STATUS, 503)
"""
Also statuses of a client's error, whose words are then unmistakable: a prompt that is too long has
500 and `server_error` in github.com/ikawrakow/ik_llama.cpp/pull/2420 and ggml-org/llama.cpp/
pull/15780, and gateways have one status for every error of a vendor. Another call fails as well, so
the words count before the status. Those that promise an end of the fault count before them: what
checks a prompt or finds a model may be down itself. 2026-12
"""
_CLIENT_ERRORS = (400, 403, 413, 422, 451, *_SERVER_ERRORS)
_OVERLOADED = (429, 500, 502, 503, 529)

# Read on 2026-11-28 and 29: OpenAI's are of platform.openai.com/docs/guides/error-codes, and of
# openai-python's issues.
_NAMES: tuple[ErrorRule, ...] = (
    rule(
        "content_filter",
        "content_filter",
        "*content_policy_violation",
        "data_inspection_failed",
        "DataInspectionFailed",  # alibabacloud.com/help/en/model-studio/error-code
        "moderation_blocked",
        "ResponsibleAIPolicyViolation",
        "*SensitiveContentDetected*",  # volcengine.com/docs/82379/1299023
        "sensitive_words_detected",
    ),
    # Reasoning models: "Your prompt was flagged as potentially violating our usage policy."
    rule("content_filter", "invalid_prompt", text=r"flagged|policy|policies|safety"),
    rule("unsupported_country", "unsupported_country_region_territory"),
    rule(
        "context_length",
        "context_length_exceeded",
        "exceed_context_size_error",  # llama.cpp: tools/server
        "max_tokens_exceeded",
        "model_context_window_exceeded",
        "tokens_limit_reached",  # GitHub Models: github.com/cline/cline/issues/2115
    ),
    # llama.cpp, of a text for embeddings: tools/server/server-context.cpp, 2026-10
    rule("context_length", text=r"too large to process\. increase the physical batch size"),
    rule("context_length", "string_above_max_length", text="'messages"),
    # "Request too large for gpt-4 … on tokens per min (TPM): Limit 10000, Requested 12000": no
    # pause helps. Groq has the same with status 413. "Rate limit reached … Limit 10000, Used 0,
    # Requested 12000" is the same if more is requested than the limit.
    # github.com/vanna-ai/vanna-flask/issues/11, continuedev/continue/issues/11717 (2026-03)
    rule(
        "context_length",
        text=r"^request too large for (?:model|gpt|o\d)"
        r"|\bon (?:\w+ )?tokens per .{1,20}: limit (?P<limit>\d+), .{0,30}"
        r"requested (?P<requested>\d+)",
    ),
    rule(
        "model_not_found",
        "model_not_found",
        "model_not_available",
        "invalid_model",
        "unavailable_model",  # GitHub Models
        "unknown_model",
        "ModelNotFound",
        "ModelNotOpen",  # volcengine.com/docs/82379/1299023, also the next one
        "InvalidEndpointOrModel*",
        "ENDPOINT_NOT_FOUND",  # docs.databricks.com/machine-learning/model-serving
    ),
    # DashScope's limit of tokens a minute, which has the code `insufficient_quota`.
    rule("rate_limit", text=r"^(?:workspace )?allocated quota exceeded"),
    rule(
        "insufficient_quota",
        "insufficient_quota",
        "billing_hard_limit_reached",
        "budget_exceeded",  # LiteLLM's own: litellm/exceptions.py, `BudgetExceededError`
        "billing_not_active",
        "quota_exceeded",
        "insufficient_balance",
        "AccountOverdueError",  # volcengine.com/docs/82379/1299023
        "Arrearage",  # alibabacloud.com/help/en/model-studio/error-code
        "exceeded_current_quota_error",  # Moonshot: www.kimi.com/help/kimi-api/api-error-codes
    ),
    # Google's details, which its OpenAI-compatible address and gateways pass on.
    rule("insufficient_quota", "*PerDay*"),
    rule("rate_limit", "*PerMinute*"),
    rule(
        "invalid_key",
        "invalid_api_key",
        "authentication_error",
        "wrong_api_key",
        "InvalidApiKey",
        "incorrect_api_key_error",
        "invalid_authentication_error",
    ),
    rule("permission", "permission_error", "insufficient_permissions"),
    rule("permission", text="insufficient permissions|missing scopes", statuses=(401, 403)),
    rule(
        "overloaded",
        "overloaded_error",
        "server_overloaded",
        "unavailable_error",
        "engine_overloaded_error",  # Moonshot
        "overloaded",  # github.com/huggingface/text-generation-inference
        "ServerOverloaded",
    ),
    rule(
        "rate_limit",
        "rate_limit_exceeded",
        "rate_limit_error",
        "rate_limited",
        "rate_limit_reached_error",
        "REQUEST_LIMIT_EXCEEDED",  # docs.databricks.com
        "Throttling*",  # alibabacloud.com/help/en/model-studio/error-code
    ),
    rule("timeout", "timeout", "timeout_error", "request_timeout"),
)

# Engines and vendors without a name of their own. Most of the texts about length are collected in
# github.com/earendil-works/pi: packages/ai/src/utils/overflow.ts.
_TEXTS: tuple[ErrorRule, ...] = (
    rule(
        "overloaded",
        text=r"\boverloaded\b|\btemporar|try again (?:later|in)\b|(?:is|are) (?:currently )?"
        r"(?:unavailable|busy|loading|starting)|timed? ?out",
        statuses=(500, 503),
    ),
    rule(
        "context_length",
        text=r"maximum context length|maximum model length|(?:prompt|input) (?:is )?too long"
        r"|exceeds? the (?:available )?context (?:size|length|window|limit)"
        r"|exceeds? (?:the )?(?:model's )?max(?:imum)? (?:allowed )?"
        r"(?:context|sequence|input|prompt) length"
        # Moonshot: github.com/MoonshotAI/kimi-cli/issues/2011, 2026-04
        r"|exceed(?:ed|s) (?:the )?model token limit"
        # SGLang, LM Studio (two), MiniMax, Zhipu's 1261
        r"|longer than the model'?s context length|greater than the context length"
        r"|when context the overflows|context length of only \d+|context window exceeds limit"
        r"|(?:prompt|inputs?) exceeds? max(?:imum)? length"
        # text-generation-inference (two); vLLM, if the prompt leaves nothing for the response;
        # DashScope
        r"|inputs?`? must have less than \d+ tokens"
        r"|`?inputs`? tokens \+ `?max_new_tokens`? must be"
        r"|max_(?:completion_)?tokens must be at least 1, got -|range of input length should be"
        # Titan, OpenAI, Google, Copilot, GitHub Models
        r"|too many input tokens|input tokens exceed|configured context size is"
        r"|token count (?:of )?\(?\d+\)? exceeds (?:the )?(?:limit|max)"
        r"|request body too large for .{1,100} model|request payload size exceeds the limit"
        r"|context (?:length|window) exceeded",
        statuses=_CLIENT_ERRORS,
    ),
    rule(
        "content_filter",
        text=r"violat\w+ (?:\w+ ){0,4}(?:usage|content|safety|acceptable)[ -]\w+"
        r"|content (?:management |moderation )?(?:policy|policies)"
        r"|(?:blocked|flagged|filtered|rejected) (?:by|as|for|due to|as a result of) (?:\w+ ){0,4}"
        r"(?:content|moderation|safety|guardrails?|harmful|inappropriate|unsafe|polic)"
        r"|(?:input|image|prompt|content|request|message)s? (?:was|were|is|has been) flagged"
        r"|(?:harmful|inappropriate|sensitive|unsafe) content|ContentPolicyViolation"
        r"|may contain sensitive information"
        r"|敏感(?:内容|信息)",  # Zhipu's 1301: langchain4j/langchain4j/issues/1079
        statuses=_CLIENT_ERRORS,
    ),
    rule(
        "model_not_found",
        text=r"^(?:the )?model (?:[`'\"]?[^ ]{1,200}[`'\"]? )?"
        r"(?:does not exist|not found|was not found)"
        r"|^(?:model not found|unknown model|no such model|invalid model|unavailable model)\b"
        r"|^not found the model|^the given endpoint does not exist|has not activated the model"
        r"|^Function '[^']{1,100}': not found"  # NVIDIA's names for a model's deployment
        r"|模型不存在",  # Zhipu's 1211
        statuses=(400, 403, 404, 410, 422, *_SERVER_ERRORS),
    ),
    rule(
        "unsupported_country",
        text=r"not (?:supported|available|allowed) in (?:your|this) (?:country|region|territory)"
        r"|(?:country|territory|location)\b[^.]{0,40} not supported"
        r"|unsupported (?:countr|territor)|^error code: 1009$",
        statuses=_CLIENT_ERRORS,
    ),
    rule(
        "insufficient_quota",
        text=r"insufficient (?:account )?(?:balance|credits?|funds|quota)"
        r"|balance (?:is |was )?(?:insufficient|not enough)|not enough (?:balance|credits?)"
        r"|exceeded (?:your|its|the) (?:(?:current|free|daily|monthly|included) )+"
        r"(?:quota|usage|credits|spending|allocation)"
        r"|(?:free|monthly) allocation|spend(?:ing)? (?:cap|limit)|credits? (?:have |has )?expired"
        r"|out of credits|billing limit|payment (?:method|required)|overdue balance"
        r"|account is (?:suspended|in arrears)|account is in good standing"
        r"|check your plan and billing|余额不足|欠费",
        statuses=(400, 402, 403, 429, *_SERVER_ERRORS),
    ),
    # A provider that is busy is no rate limit of this account, from which jobs would learn.
    rule(
        "overloaded",
        text=r"\boverloaded\b|^loading model|currently at capacity"
        r"|experiencing high (?:demand|traffic)|访问量过大",  # Zhipu's 1305
        statuses=_OVERLOADED,
    ),
    # An error without a status, in a stream or a success; and GitHub's secondary limits.
    rule(
        "rate_limit",
        text=r"rate[ -]limit|too many requests|^error code: 1015$|速率限制|请求频率",
        statuses=(403, UNKNOWN_STATUS),
    ),
    rule(
        "invalid_key",
        text=r"(?:invalid|incorrect|wrong|missing|expired) "
        r"(?:api|authentication|x-api)[ -]?(?:key|token)"
        r"|api[ -]key (?:is |was )?(?:not valid|invalid|expired|missing|disabled|required)"
        r"|(?:did not|didn't) provide an api key|^authentication (?:error|failed|fails)\b"
        r"|^invalid token$|account .{0,60}has been deactivated",
        statuses=(400, 401, 403, *_SERVER_ERRORS),
    ),
    # Cloudflare's edge, in front of any vendor: it blocks the address or the program, not the key.
    # developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-1xxx-errors
    rule("permission", text=r"^error code: 1\d{3}$", statuses=(403,)),
    # What has the status 400 or 422 in a response of its own.
    rule(
        "invalid_request",
        "bad_request",
        "BadRequest*",
        "invalid_parameter*",
        "InvalidParameter*",
        "MissingParameter*",
        "loc:",  # FastAPI's list of faults
        "OperationNotSupported",
        "validation",  # text-generation-inference
        "validation_error",
        statuses=(UNKNOWN_STATUS,),
    ),
    rule(
        "invalid_request",
        text=r"\bdoes not support (?:tools|function|images?|vision|thinking|chat|generate)",
        statuses=(UNKNOWN_STATUS,),
    ),
)

GENERAL: tuple[ErrorRule, ...] = (*_NAMES, *_TEXTS)
