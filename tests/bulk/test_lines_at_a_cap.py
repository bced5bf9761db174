"""Lines of several calls whose job is at its cost cap: none waits forever for what others hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fanout.transport.engine import Outgoing
from tests.bulk.answering_provider import BAD, GOOD, SCHEMA, AnsweringProvider
from tests.bulk.local_jobs import CONFIG, COST, jsonl, line, open_jobs
from tests.bulk.test_judged_lines import _pieces
from tests.support.scripted_engine import Incoming
from tests.support.virtual_clock import now, run_threads_at_once

TEXTS = [f"{number}:" + " word" * 60 for number in range(4)]
"""The prompts of four lines, so long that one that was not answered costs more than a response."""

MOST = 0.15
"""Dollars that one call costs at most."""

SOON = 3_600.0
"""Seconds in which a job of four lines ends, also if each of them waits now and then."""

KINDS: dict[str, dict[str, Any]] = {
    "checked": {"schema": SCHEMA, "attempts": 2},
    "agree": {"mode": "agree", "models": ["a", "b"], "k": 2},
    "agree, with a third model": {"mode": "agree", "models": ["a", "b", "c"], "k": 2},
}

PARAMS = {**CONFIG["model_list"][0]["litellm_params"], "timeout": 1, "rpm": 60_000}
MODELS = [
    {"model_name": name, "litellm_params": {**PARAMS, "model": f"openai/{name}"}} for name in "abc"
]


class LateProvider(AnsweringProvider):
    """Model `a` does not respond to one call of each line: the first, or the one after that."""

    def __init__(self, late: int) -> None:
        super().__init__({("a", text): [BAD, GOOD] for text in TEXTS})
        self.late = late
        self.before = self.respond_late

    async def respond_late(self, model: str, call: str) -> None:
        if model == "a" and call.endswith(f" {self.late}"):
            await asyncio.Event().wait()

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Any]:
        await self.send(request)
        yield Incoming(200, {}, _pieces("yes"))


@pytest.mark.parametrize("kind", KINDS)
def test_lines_whose_calls_are_late_and_repeated_end_at_any_cap(tmp_path: Path, kind: str) -> None:
    """A late call may be billed, so another one needs more than four lines have reserved."""
    found = set()

    async def main(folder: Path, cap: float) -> None:
        is_checked = kind == "checked"
        body = {"max_tokens": 50, "fanout": KINDS[kind]}
        model = "a" if is_checked else None
        data = jsonl(line(text[:1], model, text, **body) for text in TEXTS)
        provider = LateProvider(1 if is_checked else 0)
        config = {**CONFIG, "model_list": MODELS}
        async with open_jobs(folder, provider, now=now, config=config) as jobs:
            job = await jobs.create(data, max_cost_usd=cap)
            async with asyncio.timeout(SOON):
                while not (job := await jobs.job(job)).is_over:  # noqa: ASYNC110
                    await asyncio.sleep(1)  # of virtual time
            found.add((job.status, job.reason))
            assert job.totals is not None
            assert job.totals.known_cost_usd <= cap + MOST

    for number in range(8, 90, 3):
        run_threads_at_once(main(tmp_path / str(number), number * COST), 0.0)
    assert found == {("cancelled", "capped"), ("completed", None)}
