"""Each vendor's rate limits and pauses, in the headers and error bodies that it documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.config.deployment import make_deployment
from fanout.config.model import ModelParams
from fanout.errors import ProviderError, QuotaExceeded, RateLimited
from fanout.gateway.factory import make_transport
from fanout.providers.rate_limits import (
    Limits,
    parse_reset,
    pause_in_body,
    read_limits,
    read_pause,
)
from fanout.providers.registry import names, rate_limits_of
from fanout.schema.validation import parse_chat
from fanout.settings import Settings
from tests.support.scripted_engine import Reply, Script, ScriptedEngine
from tests.support.virtual_clock import run

HELLO = parse_chat({"messages": [{"role": "user", "content": "Hi"}]})
DATE = "Sat, 28 Nov 2026 12:00:00 GMT"

ANTHROPIC = {
    "date": DATE,
    "anthropic-ratelimit-requests-limit": "1000",
    "anthropic-ratelimit-requests-remaining": "999",
    "anthropic-ratelimit-requests-reset": "2026-11-28T12:00:01Z",
    "anthropic-ratelimit-input-tokens-limit": "80000",
    "anthropic-ratelimit-input-tokens-remaining": "80000",
    "anthropic-ratelimit-input-tokens-reset": "2026-11-28T12:00:00Z",
    "anthropic-ratelimit-output-tokens-limit": "16000",
    "anthropic-ratelimit-output-tokens-remaining": "0",
    "anthropic-ratelimit-output-tokens-reset": "2026-11-28T12:00:42Z",
    "anthropic-ratelimit-tokens-limit": "96000",
    "anthropic-ratelimit-tokens-remaining": "80000",
    "anthropic-ratelimit-tokens-reset": "2026-11-28T12:00:10Z",
}
OPENAI = {
    "x-ratelimit-limit-requests": "5000",
    "x-ratelimit-remaining-requests": "4999",
    "x-ratelimit-reset-requests": "12ms",
    "x-ratelimit-limit-tokens": "160000",
    "x-ratelimit-remaining-tokens": "159000",
    "x-ratelimit-reset-tokens": "375ms",
}
LIMITS: list[tuple[str, dict[str, str], Limits]] = [
    ("openai", OPENAI, Limits(5000, 160000)),
    ("openai_like", OPENAI, Limits(5000, 160000)),
    ("anthropic", ANTHROPIC, Limits(1000, 96000, 80000, 16000)),
    (
        "azure",
        {"x-ratelimit-limit-requests": "60", "x-ratelimit-limit-tokens": "10000",
         "x-ratelimit-remaining-requests": "59", "x-ratelimit-remaining-tokens": "9000"},
        Limits(60, 10000),
    ),
    ("azure", {"x-ratelimit-limit-tokens": "-1", "x-ratelimit-reset-tokens": "0"}, Limits()),
    (
        "groq",
        {"x-ratelimit-limit-requests": "14400", "x-ratelimit-remaining-requests": "14400",
         "x-ratelimit-reset-requests": "0s", "x-ratelimit-limit-tokens": "18000"},
        Limits(10, 18000),
    ),
    (
        "mistral",
        {"x-ratelimit-limit-tokens-minute": "5000000", "x-ratelimit-tokens-query-cost": "52",
         "x-ratelimit-limit-req-minute": "720", "x-ratelimit-remaining-req-minute": "717"},
        Limits(720, 5000000),
    ),
    (
        "cerebras",
        {"x-ratelimit-limit-requests-day": "14400", "x-ratelimit-limit-tokens-minute": "60000"},
        Limits(10, 60000),
    ),
    (
        "fireworks_ai",
        {"x-ratelimit-limit-requests": "600", "x-ratelimit-limit-tokens-prompt": "900000",
         "x-ratelimit-limit-tokens-generated": "36000"},
        Limits(600, None, 54000000, 2160000),
    ),
    (
        "together_ai",
        {"x-ratelimit-limit-dynamic": "2", "x-tokenlimit-limit-dynamic": "500"},
        Limits(120, 30000),
    ),
    (
        "together_ai",
        {"x-ratelimit-limit": "10", "x-ratelimit-limit-dynamic": "20",
         "x-tokenlimit-limit": "3000"},
        Limits(600, 180000),
    ),
    (
        "xai",
        {"x-ratelimit-limit-requests": "480", "x-ratelimit-limit-tokens": "2000000"},
        Limits(480, 2000000),
    ),
    ("cohere", {"x-trial-endpoint-call-limit": "20", "x-endpoint-monthly-call-limit": "1000"},
     Limits(20)),
    ("gemini", OPENAI, Limits()),
    ("bedrock", OPENAI, Limits()),
]  # fmt: skip


@pytest.mark.parametrize(("vendor", "headers", "limits"), LIMITS)
def test_each_vendors_headers_give_its_limits_a_minute(
    vendor: str, headers: dict[str, str], limits: Limits
) -> None:
    assert read_limits(headers, rate_limits_of(vendor)) == limits


@pytest.mark.parametrize("vendor", names())
@pytest.mark.parametrize("value", ["", "-1", "0", "x", "1e9", "²", "nan", "9" * 400])
def test_a_header_that_is_no_number_gives_no_limit_and_no_error(vendor: str, value: str) -> None:
    table = rate_limits_of(vendor)
    for row in table.headers:
        headers = dict.fromkeys((row.limit, row.remaining, row.reset), value)
        limits = read_limits({**headers, "date": DATE}, table)
        assert limits == Limits()
        read_pause({**headers, row.remaining: "0"}, table)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1m30s", 90.0),
        ("20ms", 0.02),
        ("59.7", 59.7),
        ("30", 30.0),
        ("2026-11-28T12:00:42Z", 42.0),
        ("2026-11-28T13:00:42+01:00", 42.0),
        ("2026-11-28T11:00:00Z", 0.0),
        ("1795867242", 42.0),
        ("1795867242000", 42.0),
        ("soon", None),
        ("", None),
    ],
)
def test_a_reset_is_a_duration_seconds_a_date_or_a_time_since_1970(
    text: str, seconds: float | None
) -> None:
    assert parse_reset(text, DATE) == seconds


def test_a_point_in_time_needs_the_responses_date() -> None:
    assert parse_reset("2026-11-28T12:00:42Z") is None
    assert parse_reset("1795867242", "yesterday") is None


@pytest.mark.parametrize(
    ("body", "text", "seconds"),
    [
        ({"error": {"message": "no", "retry_after": 12}}, "no", 12.0),
        ({"retry_after_seconds": 1.5}, "", 1.5),
        ({"error": {"metadata": {"retry_after_seconds": 3}}}, "", 3.0),
        ({}, "Rate limit reached. Please try again in 7.66s. Visit us", 7.66),
        ({}, "Please try again in 1m30s.", 90.0),
        ({}, "Please try again in 20ms.", 0.02),
        ({}, "exceeded token rate limit. Please retry after 6 seconds.", 6.0),
        ({}, "Please wait 30 seconds before retrying.", 30.0),
        ({}, "Please try again in a while", None),
        (None, "", None),
        ([], "", None),
    ],
)
def test_a_pause_in_a_body_is_a_field_or_words(body: Any, text: str, seconds: float | None) -> None:
    assert pause_in_body(body, [text]) == seconds


def error_of(vendor: str, body: Any, headers: dict[str, str], status: int = 429) -> ProviderError:
    params: dict[str, Any] = {"api_key": "marker-key", "api_base": "http://a.test/v1"}
    deployment = make_deployment("m", ModelParams(model=f"{vendor}/m", **params), {}, {})
    reply = Reply(status, [json.dumps(body).encode()], headers=headers)
    transport = make_transport(Settings(), ScriptedEngine(a=Script(reply, reply)))
    with pytest.raises(ProviderError) as caught:
        run(transport.chat(deployment, HELLO))
    return caught.value


def google(quota: str, value: str, delay: str | None = "34.07s") -> dict[str, Any]:
    violation = {"quotaMetric": "x", "quotaId": quota, "quotaValue": value}
    details: list[Any] = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}
    ]
    if delay:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})
    fault = {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": details}
    return {"error": fault}


ANTHROPIC_BODY = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}}
OPENROUTER = {
    "error": {
        "code": 429,
        "message": "Rate limit exceeded: free-models-per-min. ",
        "metadata": {"headers": {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0"}},
    }
}
OPENROUTER_RESET = {
    "error": {
        "code": 429,
        "message": "Rate limit exceeded: free-models-per-min. ",
        "metadata": {"headers": {"X-RateLimit-Limit": "20", "X-RateLimit-Reset": "1795867242000"}},
    }
}
PLAIN = {"error": {"message": "slow", "type": "rate_limit_error"}}
ERRORS: list[tuple[str, Any, dict[str, str], float | None, dict[str, float]]] = [
    ("gemini", google("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "15"), {}, 34.07,
     {"requests": 15.0}),
    ("gemini", google("GenerateContentInputTokensPerModelPerMinute-FreeTier", "250000", None), {},
     None, {"input_tokens": 250000.0}),
    ("gemini", google("GenerateRequestsPerMinutePerProjectPerModel", "15"), {"retry-after": "5"},
     5.0, {"requests": 15.0}),
    ("anthropic", ANTHROPIC_BODY, {**ANTHROPIC, "retry-after": "7"}, 7.0,
     {"requests": 1000.0, "tokens": 96000.0, "input_tokens": 80000.0, "output_tokens": 16000.0}),
    ("anthropic", ANTHROPIC_BODY, ANTHROPIC, 42.0,
     {"requests": 1000.0, "tokens": 96000.0, "input_tokens": 80000.0, "output_tokens": 16000.0}),
    ("openrouter", OPENROUTER, {}, None, {"requests": 20.0}),
    ("openrouter", OPENROUTER_RESET, {"date": DATE}, 42.0, {"requests": 20.0}),
    ("openrouter", PLAIN, {"x-ratelimit-reset": "1795867230000", "x-ratelimit-remaining": "0",
                           "date": DATE}, 30.0, {}),
    ("openai_like", PLAIN, {"x-ratelimit-reset": "1795867230", "date": DATE}, 30.0, {}),
    ("openai_like", PLAIN, {"x-ratelimit-reset": "30", "x-ratelimit-remaining": "5"}, None, {}),
    ("openai_like", PLAIN, {"ratelimit-reset": "17", "ratelimit-remaining": "0"}, 17.0, {}),
    ("openai_like", PLAIN, {"ratelimit": '"default";r=0;t=21'}, 21.0, {}),
    ("openai_like", PLAIN, {"ratelimit": '"burst";r=3;t=5, "day";r=0;t=40'}, 40.0, {}),
    ("openai_like", PLAIN, {"ratelimit": "limit=100, remaining=0, reset=7"}, 7.0, {}),
    ("openai_like", PLAIN, {"ratelimit": "limit=100, remaining=9, reset=7"}, None, {}),
    ("openai_like", PLAIN, {"ratelimit": "soon"}, None, {}),
    ("openai_like", PLAIN, {"ratelimit-reset": "17", "retry-after": "3"}, 3.0, {}),
    ("openai", {"error": {"message": "Please try again in 20s.", "code": "rate_limit_exceeded"}},
     OPENAI, 20.0, {"requests": 5000.0, "tokens": 160000.0}),
    ("openai", PLAIN, {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"},
     360.0, {}),
    ("azure", PLAIN, {"retry-after-ms": "1500", "retry-after": "2"}, 1.5, {}),
    ("cerebras", PLAIN, {"x-ratelimit-remaining-tokens-minute": "0",
                         "x-ratelimit-reset-tokens-minute": "11.38"}, 11.38, {}),
    ("openai", PLAIN, {"retry-after": "Sat, 28 Nov 2026 12:00:30 GMT", "date": DATE}, 30.0, {}),
]  # fmt: skip


@pytest.mark.parametrize(("vendor", "body", "headers", "pause", "limits"), ERRORS)
def test_a_429_has_its_pause_and_the_limits_that_the_provider_named(
    vendor: str,
    body: Any,
    headers: dict[str, str],
    pause: float | None,
    limits: dict[str, float],
) -> None:
    error = error_of(vendor, body, headers)
    assert type(error) is RateLimited
    assert error.retry_after == pause
    assert error.rate_limits == limits


def test_a_quota_of_the_day_is_no_limit_of_a_minute() -> None:
    error = error_of("gemini", google("GenerateRequestsPerDayPerProjectPerModel", "250"), {})
    assert type(error) is QuotaExceeded
    assert error.rate_limits == {}
