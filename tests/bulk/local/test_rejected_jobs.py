"""A job whose every call is rejected for the same reason ends early, and is paid once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fanout.bulk.work.rejections import REJECTED_LINES
from tests.bulk.local.test_batch_command import BatchCommand, batch, prompts_sent
from tests.bulk.local_jobs import EchoProvider, jsonl, line, open_jobs, run
from tests.cli.commands import write_config
from tests.support.gateway_server import entry
from tests.support.provider_steps import answers, refuse
from tests.support.scripted_provider import Upstream

__all__ = ["batch"]

LINES = 150


def limit_calls(batch: BatchCommand, upstream: Upstream, calls: int, *more: dict[str, Any]) -> None:
    """Let the model `a` have so many calls in flight."""
    models = [entry(upstream, "a", max_parallel_requests=calls), *more]
    router = {"num_retries": 0}
    config = write_config(batch.folder, {"model_list": models, "router_settings": router})
    batch.set_env(FANOUT_CONFIG=config)


def prompts(batch: BatchCommand, *more: bytes) -> Path:
    return batch.write(jsonl([*(line(f"n{n:03d}") for n in range(LINES)), *more]))


@pytest.mark.parametrize(
    ("status", "code", "cause"),
    [
        (401, "invalid_api_key", "provider_key_refused"),
        (429, "insufficient_quota", "insufficient_quota"),
        (404, "model_not_found", "model_not_found"),
    ],
)
@pytest.mark.parametrize("before", [0, 50])
def test_it_ends_with_the_cause_and_the_same_command_sends_the_other_lines_only(
    batch: BatchCommand, upstream: Upstream, status: int, code: str, cause: str, before: int
) -> None:
    limit_calls(batch, upstream, 1)
    upstream.script("a", *[answers("Hello")] * before, [refuse(status, "no", code=code)])
    path = prompts(batch)
    for ran in (batch.run("run", path), batch.run("run", path)):  # the second is rejected, too
        assert ran.code == 1
        assert f"The last {REJECTED_LINES} lines were rejected for the same reason" in ran.err
        assert f"({cause})" in ran.err
    assert len(upstream.calls) == before + 2 * REJECTED_LINES
    again, first = batch.run("status", "--json").json
    for job, completed in ((first, before), (again, 0)):
        assert (job["status"], job["errors"]["data"][0]["code"]) == ("failed", cause)
        counts = {"total": LINES - before + completed, "completed": completed}
        assert job["request_counts"] == {**counts, "failed": LINES - before}
        causes = {cause: REJECTED_LINES, "batch_failed": LINES - before - REJECTED_LINES}
        assert job["fanout"]["causes"] == causes
    paid = set(batch.responses()) if before else set()
    assert len(paid) == before
    upstream.calls.clear()
    upstream.script("a", answers("Hello"))
    assert batch.run("run", path).code == 0
    assert len(batch.responses()) == LINES
    sent = Counter(prompts_sent(upstream))
    assert (set(sent) & paid, sent.total()) == (set(), LINES - before)


def test_calls_that_wait_for_a_slot_are_not_sent(batch: BatchCommand, upstream: Upstream) -> None:
    limit_calls(batch, upstream, 8)
    upstream.script("a", [refuse(401)])
    assert batch.run("run", prompts(batch)).code == 1
    assert REJECTED_LINES <= len(upstream.calls) < REJECTED_LINES + 8


def test_retry_goes_on_with_the_lines_without_a_response(
    batch: BatchCommand, upstream: Upstream
) -> None:
    limit_calls(batch, upstream, 1)
    upstream.script("a", *[answers("Hello")] * 50, [refuse(401)])
    path = prompts(batch)
    assert batch.run("run", path).code == 1
    (job,) = batch.run("status", "--json").json
    shown = batch.run("status", job["id"]).out
    assert (
        f"{job['id']}: The last {REJECTED_LINES} lines were rejected for the same reason" in shown
    )
    again = batch.run("retry", job["id"], "--json", "-o", batch.folder / "all.jsonl")
    last = json.loads(again.out.splitlines()[-1])
    assert (again.code, last["errors"][0]["code"]) == (1, "provider_key_refused")
    upstream.script("a", answers("Hello"))
    upstream.calls.clear()
    assert batch.run("retry", job["id"], "-o", batch.folder / "all.jsonl").code == 0
    assert len(upstream.calls) == LINES - 50
    assert len(batch.responses("all.jsonl")) == LINES


def test_it_goes_on_if_a_call_in_flight_has_a_response(tmp_path: Path) -> None:
    """No call starts while the last one is in flight, and its response ends that."""
    provider, slow = EchoProvider(), f"n{REJECTED_LINES // 2:03d}"
    refused = list[str]()

    async def main() -> None:
        are_refused, is_idle = asyncio.Event(), asyncio.Event()

        async def before(_model: str, text: str) -> tuple[int, Mapping[str, str]] | None:
            if text == slow:
                await are_refused.wait()
                await is_idle.wait()
            elif not is_idle.is_set():
                refused.append(text)
                if len(refused) >= REJECTED_LINES:
                    are_refused.set()
                return 401, {}
            return None

        provider.before = before
        async with open_jobs(tmp_path, provider) as jobs:
            job = await jobs.create(jsonl(line(f"n{n:03d}") for n in range(LINES)))

            async def is_held() -> bool:
                activity = (await jobs.service.totals(await jobs.job(job))).activity
                return are_refused.is_set() and activity is not None and activity.in_flight == 1

            await jobs.wait_until(is_held)
            is_idle.set()
            job = await jobs.wait(job)
            assert job.status == "completed"
            assert set(await jobs.error_codes(job)) == set(refused)
            assert len(await jobs.responses(job)) == LINES - len(refused) > 0

    run(main())


def test_a_job_with_a_model_that_responds_does_not_end(
    batch: BatchCommand, upstream: Upstream
) -> None:
    limit_calls(batch, upstream, 1, entry(upstream, "b"))
    upstream.script("a", [refuse(404)])
    assert batch.run("run", prompts(batch, line("good", "b"))).code == 1
    (job,) = batch.run("status", "--json").json
    assert job["status"] == "completed"
    assert job["request_counts"] == {"total": LINES + 1, "completed": 1, "failed": LINES}


@pytest.mark.parametrize("status", [400, 422])
def test_lines_that_fail_for_reasons_of_their_own_do_not_end_it(
    batch: BatchCommand, upstream: Upstream, status: int
) -> None:
    upstream.script("a", [refuse(status)])
    assert batch.run("run", prompts(batch)).code == 1
    assert len(upstream.calls) == LINES
