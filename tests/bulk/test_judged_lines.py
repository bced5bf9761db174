"""Jobs whose lines are decided by votes or a judge: costs count, and rate limits are kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fanout.transport.engine import Outgoing
from fanout.wire.http import WireResponse
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
    assert all(b - a >= 2 for a, b in pairwise(provider.judged))


class VotingProvider(EchoProvider):
    """Streams the same response of each model; `failing` has the first responses of some."""

    def __init__(self, failing: Mapping[str, list[int]]) -> None:
        super().__init__()
        self.failing = {name: list(statuses) for name, statuses in failing.items()}
        self.times: dict[str, list[float]] = {}

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Any]:
        model = json.loads(request.body)["model"]
        self.times.setdefault(model, []).append(now())
        if statuses := self.failing.get(model):
            yield Incoming(statuses.pop(0), {"retry-after": "2"}, _error())
            return
        yield Incoming(200, {}, _pieces("yes"))


def test_each_call_for_an_agreement_waits_for_its_own_models_limit_and_is_repeated(
    tmp_path: Path,
) -> None:
    provider = VotingProvider({"limited": [429, 429], "down": [500]})
    first = CONFIG["model_list"][0]
    models: list[dict[str, Any]] = [
        {
            "model_name": name,
            "litellm_params": first["litellm_params"] | {"model": f"openai/{name}"},
        }
        for name in ("a", "b", "slow", "limited", "down", "one at a time")
    ]
    models[2]["litellm_params"]["rpm"] = 1
    models[5]["litellm_params"]["max_parallel_requests"] = 1
    panels = {f"quick{n}": ["a", "b", "slow"] for n in range(5)}
    panels |= {"limited": ["a", "limited", "slow"], "down": ["a", "down", "slow"]}
    panels["same"] = ["one at a time", "one at a time"]

    async def main() -> None:
        async with open_jobs(
            tmp_path, provider, config={**CONFIG, "model_list": models}, now=now
        ) as jobs:
            lines = [
                line(name, None, fanout={"mode": "agree", "models": panel})
                for name, panel in panels.items()
            ]
            began = now()
            job = await jobs.wait(await jobs.create(jsonl(lines)))
            assert (job.status, job.error_file_id) == ("completed", None)
            assert now() - began < 30
            for one in await jobs.content(job.output_file_id):
                assert one["response"]["body"]["fanout"]["agree"]["decided"], one
            totals = (await jobs.job(job)).totals
            assert totals is not None
            assert round(totals.cost_usd or 0, 9) == round(16 * COST, 9)

    run_threads_at_once(main(), 0.001)
    assert {name: len(times) for name, times in provider.times.items()} == {
        "a": 7,
        "b": 5,
        "limited": 3,
        "down": 2,
        "one at a time": 2,
    }
    limited = provider.times["limited"]
    assert all(later - earlier >= 2 for earlier, later in pairwise(limited))


class SlowProvider(VotingProvider):
    """The model `stuck` responds after a minute."""

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Any]:
        async with super().stream(request) as response:
            if json.loads(request.body)["model"] == "stuck":
                await asyncio.sleep(60)
            yield response

    async def send(self, request: Outgoing) -> WireResponse:
        model = json.loads(request.body)["model"]
        self.times.setdefault(model, []).append(now())
        if statuses := self.failing.get(model):
            body = {"error": {"message": "slow down", "type": "t", "code": None}}
            return WireResponse(statuses.pop(0), {"retry-after": "2"}, json.dumps(body).encode())
        self.times[model].pop()
        return await super().send(request)


def test_a_later_model_of_a_hedge_or_fallback_uses_its_limit_only_when_it_is_called(
    tmp_path: Path,
) -> None:
    """`slow` permits one call a minute, and 1 of 7 lines needs one."""
    provider = SlowProvider({"down": [500], "limited": [429]})
    first = CONFIG["model_list"][0]
    models: list[dict[str, Any]] = [
        {
            "model_name": name,
            "litellm_params": first["litellm_params"] | {"model": f"openai/{name}"},
        }
        for name in ("a", "b", "slow", "down", "limited", "stuck")
    ]
    models[2]["litellm_params"]["rpm"] = 1
    fanouts: dict[str, dict[str, Any]] = {
        f"{mode}{n}": {"mode": mode, "models": ["a", "slow"]}
        for mode in ("fallback", "hedge")
        for n in range(2)
    }
    fanouts["down"] = {"mode": "fallback", "models": ["down", "slow"]}
    fanouts["limited"] = {"mode": "fallback", "models": ["limited", "b"]}
    fanouts["stuck"] = {"mode": "hedge", "models": ["stuck", "b"], "stagger": 1}

    async def main() -> dict[str, str]:
        async with open_jobs(
            tmp_path, provider, config={**CONFIG, "model_list": models}, now=now
        ) as jobs:
            lines = [line(name, None, fanout=fanout) for name, fanout in fanouts.items()]
            began = now()
            job = await jobs.wait(await jobs.create(jsonl(lines)))
            assert (job.status, job.error_file_id) == ("completed", None)
            assert now() - began < 30
            output = await jobs.content(job.output_file_id)
            return {one["custom_id"]: one["response"]["body"]["model"] for one in output}

    found = run_threads_at_once(main(), 0.001)
    others = {name: "a" for name in fanouts if name[:-1] in {"fallback", "hedge"}}
    assert found == {**others, "down": "slow", "limited": "b", "stuck": "b"}
    assert len(provider.times.get("slow", [])) <= 1
