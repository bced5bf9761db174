"""Jobs whose lines have a judge: its cost counts, and its rate limit is kept."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fanout.transport.engine import Outgoing
from tests.bulk.local_jobs import CONFIG, COST, USAGE, EchoProvider, jsonl, line, open_jobs
from tests.support.scripted_engine import Incoming
from tests.support.virtual_clock import now, run_threads_at_once

JUDGED = {"mode": "best", "models": ["a", "b"], "judge": "judge"}
MODELS = [
    {**CONFIG["model_list"][0], "model_name": name}
    | {"litellm_params": {**CONFIG["model_list"][0]["litellm_params"], "model": f"openai/{name}"}}
    for name in ("a", "b", "judge")
]


class JudgingProvider(EchoProvider):
    """Streams each response; the judge prefers the first one, after `limited` 429s."""

    def __init__(self, limited: int = 0) -> None:
        super().__init__()
        self.limited = limited
        self.judged: list[float] = []
        self.asked: list[str] = []

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Any]:
        body = json.loads(request.body)
        model = body["model"]
        self.asked.append(model)
        if model != "judge":
            yield Incoming(200, {}, _pieces(f"I am {model}"))
            return
        self.judged.append(now())
        if len(self.judged) <= self.limited:
            yield Incoming(429, {"retry-after": "2"}, _error())
            return
        count = len(json.loads(body["messages"][-1]["content"])["responses"])
        verdict = {"scores": [9, *[3] * (count - 1)], "best": 1, "reason": "first"}
        yield Incoming(200, {}, _pieces(json.dumps(verdict)))


async def _pieces(text: str) -> AsyncIterator[bytes]:
    for choices, usage in (([{"index": 0, "delta": {"content": text}}], None), ([], USAGE)):
        chunk = {"id": "1", "object": "chat.completion.chunk", "choices": choices, "usage": usage}
        yield f"data: {json.dumps(chunk)}\n\n".encode()
    end = {"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    yield f"data: {json.dumps(end)}\n\ndata: [DONE]\n\n".encode()


async def _error() -> AsyncIterator[bytes]:
    yield json.dumps({"error": {"message": "slow down", "type": "t", "code": None}}).encode()


@pytest.mark.parametrize("limited", [0, 2])
def test_the_judges_cost_counts_and_only_its_call_is_repeated_after_a_rate_limit(
    tmp_path: Path, limited: int
) -> None:
    provider = JudgingProvider(limited)

    async def main() -> None:
        config = {**CONFIG, "model_list": MODELS}
        async with open_jobs(tmp_path, provider, config=config, now=now) as jobs:
            job = await jobs.wait(await jobs.create(jsonl([line("n", None, fanout=JUDGED)])))
            (output,) = await jobs.content(job.output_file_id)
            body = output["response"]["body"]
            judge = body["fanout"]["judge"]
            assert judge["outcome"] == "judged", judge
            calls = [(one["model"], one["outcome"]) for one in body["fanout"]["attempts"][2:]]
            assert calls == [("judge", "judged")]
            totals = (await jobs.job(job)).totals
            assert totals is not None
            assert round(totals.cost_usd or 0, 9) == round(3 * COST, 9)
            assert judge["cost_usd"] == pytest.approx(COST)

    run_threads_at_once(main(), 0.001)
    assert sorted(provider.asked) == ["a", "b", *["judge"] * (1 + limited)]
    assert all(b - a >= 2 for a, b in zip(provider.judged, provider.judged[1:], strict=False))
