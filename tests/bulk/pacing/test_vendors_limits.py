"""Jobs learn each vendor's limits: from its headers, or from the body of a 429; in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fanout.bulk.pacing.limits import Limits, weigh_tokens
from fanout.bulk.pacing.rate_limit_state import MemoryRateLimitStore
from fanout.bulk.pacing.rate_limiter import RateLimiter
from fanout.providers.registry import rate_limits_of
from fanout.transport.engine import Outgoing
from fanout.wire.http import WireResponse
from tests.bulk.local_jobs import EchoProvider, jsonl, line, open_jobs
from tests.support.virtual_clock import now, run, run_threads_at_once

RPM = 600
BURST = 0.04
"""The part of a limit that may be used at once."""

DATE = "Sat, 28 Nov 2026 12:00:00 GMT"


class VendorProvider(EchoProvider):
    """Responds as the vendor does; `limited` is the body of a 429 to each call over its limit."""

    def __init__(self, vendor: str, limited: Any = None) -> None:
        super().__init__()
        self.vendor = vendor
        self.limited = limited
        self.times: list[float] = []
        self.refused = 0

    async def send(self, request: Outgoing) -> WireResponse:
        moment = asyncio.get_running_loop().time()
        recent = [one for one in self.times if one > moment - 60]
        if self.limited and len(recent) >= RPM / 10:
            self.refused += 1
            return WireResponse(429, {}, json.dumps(self.limited).encode())
        self.times.append(moment)
        return WireResponse(200, self.headers, json.dumps(self._response()).encode())

    def _response(self) -> Any:
        if self.vendor == "anthropic":
            usage: dict[str, Any] = {"input_tokens": 5, "output_tokens": 7}
            message: dict[str, Any] = {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "m",
            }
            text = [{"type": "text", "text": "Hi"}]
            return {**message, "content": text, "stop_reason": "end_turn", "usage": usage}
        if self.vendor == "gemini":
            content = {"role": "model", "parts": [{"text": "Hi"}]}
            candidate = {"content": content, "finishReason": "STOP", "index": 0}
            usage = {"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12}
            return {"candidates": [candidate], "usageMetadata": usage}
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}}
        head = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "m"}
        usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
        return {**head, "choices": [{**choice, "finish_reason": "stop"}], "usage": usage}


def run_job(home: Path, provider: VendorProvider, lines: int, **options: int) -> list[float]:
    """Run a job in virtual time; when each call that succeeded was made."""
    params: dict[str, Any] = {"api_base": "http://provider.test/v1", "api_key": "k"}
    if provider.vendor == "azure":
        params["api_version"] = "2024-10-21"
    entry = {"model_name": "a", "litellm_params": {"model": f"{provider.vendor}/m", **params}}

    async def main() -> None:
        config = {"model_list": [entry]}
        async with open_jobs(home, provider, now=now, config=config, **options) as jobs:
            data = jsonl(line(f"n{i}") for i in range(lines))
            job = await jobs.create(data)
            while not (job := await jobs.job(job)).is_over:  # noqa: ASYNC110 -- it is in a file
                await asyncio.sleep(1)
            assert (job.status, job.totals and job.totals.failed) == ("completed", 0)

    run_threads_at_once(main(), 0.0)
    return provider.times


HEADERS: dict[str, Mapping[str, str]] = {
    "openai": {
        "x-ratelimit-limit-requests": str(RPM),
        "x-ratelimit-remaining-requests": str(RPM - 1),
        "x-ratelimit-reset-requests": "100ms",
    },
    "anthropic": {
        "date": DATE,
        "anthropic-ratelimit-requests-limit": str(RPM),
        "anthropic-ratelimit-requests-remaining": str(RPM - 1),
        "anthropic-ratelimit-requests-reset": "2026-11-28T12:00:01Z",
    },
    "azure": {"x-ratelimit-limit-requests": str(RPM)},
    "cerebras": {"x-ratelimit-limit-requests-day": str(RPM * 1440)},
    "cohere": {"x-trial-endpoint-call-limit": str(RPM)},
    "fireworks_ai": {"x-ratelimit-limit-requests": str(RPM)},
    "groq": {"x-ratelimit-limit-requests": str(RPM * 1440)},
    "mistral": {"x-ratelimit-limit-req-minute": str(RPM)},
    "together_ai": {"x-ratelimit-limit": str(RPM // 60)},
    "xai": {"x-ratelimit-limit-requests": str(RPM)},
}
NOT_OPENAI = sorted(HEADERS.keys() - {"cohere"})  # the echo knows no Cohere


@pytest.mark.parametrize("vendor", NOT_OPENAI)
def test_a_job_learns_each_vendors_limit_from_the_first_response(
    tmp_path: Path, vendor: str
) -> None:
    provider = VendorProvider(vendor)
    provider.headers = HEADERS[vendor]
    times = run_job(tmp_path, provider, 40, max_concurrency=1, initial_concurrency=1)
    assert len(times) == 40
    assert times[-1] - times[0] >= (40 - RPM * BURST - 2) / (RPM * (1 - BURST) / 60)


GOOGLE = {
    "error": {
        "code": 429,
        "message": "You exceeded your current quota, please check your plan and billing details.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [
                    {
                        "quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
                        "quotaValue": str(RPM // 10),
                    }
                ],
            },
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "60s"},
        ],
    }
}


def test_a_job_learns_googles_limit_from_the_body_of_a_429(tmp_path: Path) -> None:
    provider = VendorProvider("gemini", GOOGLE)
    times = run_job(tmp_path, provider, 150)
    assert len(times) == 150
    # The first minute's calls were refused; then the job keeps to 60 a minute.
    late = [one for one in times if one >= times[0] + 60]
    gaps = [after - before for before, after in pairwise(late)]
    assert max(gaps) < 2
    assert late[-1] - late[0] >= (len(late) - RPM // 10 * BURST - 1) / (RPM / 10 / 60)
    assert provider.refused <= 60


@pytest.mark.parametrize(
    ("limits", "tokens", "input_tokens", "weight"),
    [
        (Limits(None, 96_000, 80_000, 16_000), 1_500, 1_400, (96_000, 1_680)),  # by its input
        (Limits(None, 96_000, 80_000, 16_000), 1_500, 1_000, (96_000, 3_000)),  # by its output
        (Limits(tokens=1_000), 150, 50, (1_000, 150)),
        (Limits(None, None, 900, 100), 20, 10, (1_000, 100)),
        (Limits(), 20, 10, (0, 0)),
    ],
)
def test_input_and_output_limits_count_on_their_own(
    limits: Limits, tokens: int, input_tokens: int, weight: tuple[float, float]
) -> None:
    total, amount = weigh_tokens(limits, tokens, input_tokens)
    assert total == weight[0]
    assert round(amount, 6) == weight[1]


def test_workers_keep_to_the_output_tokens_of_a_minute() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "100000",
        "anthropic-ratelimit-input-tokens-limit": "80000",
        "anthropic-ratelimit-output-tokens-limit": "16000",
        "anthropic-ratelimit-tokens-limit": "96000",
    }
    sent: list[float] = []
    limiter = RateLimiter(MemoryRateLimitStore(), lambda _: Limits(), now)

    async def worker() -> None:
        while now() < 300:
            async with limiter.permit("m", 300, 1, 100) as permit:
                sent.append(now())
                await asyncio.sleep(0.5)
                limiter.record_headers("m", "m#0", headers, rate_limits_of("anthropic"))
                permit.tokens_used = 300

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(worker())

    run(main())
    minutes = [[at for at in sent if start <= at < start + 60] for start in (60, 120, 180, 240)]
    for calls in minutes:
        assert 0.9 * 16_000 <= len(calls) * 200 <= 16_000


def test_a_configured_limit_of_tokens_replaces_every_learned_one_of_tokens() -> None:
    limiter = RateLimiter(MemoryRateLimitStore(), lambda _: Limits(None, 5_000), now)
    record = partial(limiter.record_limits, "m", "m#0")

    async def main() -> Limits:
        record(Limits(10, 96_000, 80_000, 16_000))
        return await limiter.limits("m")

    assert run(main()) == Limits(10, 5_000)
