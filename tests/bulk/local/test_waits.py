"""What a job's lines wait for, why and until when: in every view, also in another process."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openai
import pytest

from fanout.bulk.activity import RATE_WINDOW
from tests.bulk.local.test_batch_command import BatchCommand, batch
from tests.bulk.local_jobs import CONFIG, EchoProvider, LocalJobs, jsonl, line, open_jobs
from tests.cli.commands import spawned
from tests.support.patience import PATIENCE
from tests.support.provider_steps import refuse
from tests.support.scripted_provider import Upstream
from tests.support.virtual_clock import now, run_threads_at_once

__all__ = ["batch"]

CLOCK = r"\d\d:\d\d:\d\d"
LINES = 60


async def shown(jobs: LocalJobs, job_id: str) -> dict[str, Any]:
    """The batch's `fanout` field, as clients get it."""
    job = await jobs.service.jobs.find(job_id, None)
    field: dict[str, Any] = job.to_dict(await jobs.service.jobs.totals(job))["fanout"]
    return field


def fail_some(_model: str, text: str) -> tuple[int, Mapping[str, str]] | None:
    return (500, {}) if text.startswith("bad") else None


def limit(_model: str, _text: str) -> tuple[int, Mapping[str, str]] | None:
    return (429, {"retry-after": "300"}) if 5 <= now() < 300 else None


async def waiting(jobs: LocalJobs, job_id: str, reason: str, *, is_timed: bool) -> Any:
    """The lines that wait for one reason; if their time is just over, those of the next seconds."""
    for _ in range(10):
        waits = (await shown(jobs, job_id))["waits"]
        (wait,) = [one for one in waits if one["reason"] == reason]
        if not is_timed or wait["until"] is not None:
            break
        await asyncio.sleep(1)
    return wait


LIMITED = {**CONFIG["model_list"][0]["litellm_params"], "rpm": 60}
SLOW = {"model_list": [{"model_name": "a", "litellm_params": LIMITED}]}
BUSY = {**CONFIG["model_list"][0]["litellm_params"], "max_parallel_requests": 2}
FEW_SLOTS = {"model_list": [{"model_name": "a", "litellm_params": BUSY}]}
GATEWAY_SLOTS = {**CONFIG, "general_settings": {"global_max_parallel_requests": 2}}
SLOTS = r"\d lines? waits?: as many calls as `max_parallel_requests` allows are in flight"
CASES = [
    (fail_some, CONFIG, 9, "provider_error", r"\d lines? waits?: `a` responds with 500", 20),
    (limit, CONFIG, 40, "rate_limit", r"\d+ lines wait: `a` responds with 429", 300),
    (
        lambda *_: None,
        SLOW,
        5,
        "rate_limit",
        r"\d+ lines wait: the rate limit of `a` is 60 requests a minute",
        2,
    ),
    (lambda *_: None, FEW_SLOTS, 9, "concurrency_limit", SLOTS, None),
    (lambda *_: None, GATEWAY_SLOTS, 9, "concurrency_limit", SLOTS, None),
]


@pytest.mark.parametrize(("fail", "config", "at", "reason", "message", "seconds"), CASES)
def test_a_batch_says_what_waits_why_and_until_when_also_in_another_process(
    tmp_path: Path,
    fail: Any,
    config: Any,
    at: float,
    reason: str,
    message: str,
    seconds: float | None,
) -> None:
    provider = EchoProvider()

    async def before(model: str, text: str) -> tuple[int, Mapping[str, str]] | None:
        await asyncio.sleep(1.0)
        return fail(model, text)  # type: ignore[no-any-return]

    provider.before = before

    async def main() -> None:
        few = {"sync_interval": 1.0, "initial_concurrency": 6, "max_concurrency": 6}
        async with (
            open_jobs(tmp_path, provider, now=now, config=config, **few) as jobs,
            open_jobs(tmp_path, EchoProvider(), now=now, config=config) as others,
        ):
            names = [f"bad{n}" if n < 5 else f"n{n}" for n in range(LINES)]
            job = await jobs.create(jsonl(map(line, names)))
            while now() < at:  # noqa: ASYNC110 -- virtual time
                await asyncio.sleep(1)
            for view in (jobs, others):
                wait = await waiting(view, job.id, reason, is_timed=seconds is not None)
                assert re.fullmatch(message, wait["message"]), wait
                assert wait["model"] == "a"
                if seconds is None:
                    assert wait["until"] is None
                else:
                    assert now() - 3 <= wait["until"] <= now() + seconds

    run_threads_at_once(main(), 0.0)


def test_the_time_left_is_that_of_the_last_minute_and_unknown_if_nothing_succeeds(
    tmp_path: Path,
) -> None:
    provider = EchoProvider()

    async def before(_model: str, _text: str) -> tuple[int, Mapping[str, str]] | None:
        await asyncio.sleep(1.0 if now() < 600 else 10.0)
        return (500, {}) if 1200 <= now() < 1500 else None

    provider.before = before

    async def main() -> None:
        async with open_jobs(
            tmp_path, provider, now=now, sync_interval=1.0, initial_concurrency=1, max_concurrency=1
        ) as jobs:
            job = await jobs.create(jsonl(line(f"n{n}") for n in range(800)))

            async def left(at: float) -> list[float | None]:
                while now() < at:  # noqa: ASYNC110 -- virtual time
                    await asyncio.sleep(1)
                field = await shown(jobs, job.id)
                return [field["lines_per_second"], field["seconds_left"]]

            assert await left(500) == pytest.approx([1.0, 300], rel=0.1)
            assert await left(600 + 2 * RATE_WINDOW) == pytest.approx([0.1, 1900], rel=0.2)
            assert await left(1200 + 2 * RATE_WINDOW) == [None, None]

    run_threads_at_once(main(), 0.0)


def test_the_commands_say_what_waits(batch: BatchCommand, upstream: Upstream) -> None:
    upstream.script("a", [refuse(500)])
    path = batch.write(jsonl([line(f"n{i}") for i in range(3)]))
    sentence = rf"3 lines wait: `a` responds with 500, next attempt {CLOCK}"
    with spawned("batch", "run", path, "--json") as process:
        assert process.stdout is not None
        for event in map(json.loads, process.stdout):
            if [one["lines"] for one in event["waits"]] == [3] and event["waits"][0]["until"]:
                break
        assert (event["lines_per_second"], event["eta_seconds"]) == (None, None)
        assert event["waits"][0]["message"] == "3 lines wait: `a` responds with 500"
        assert event["waits"][0]["until"] < time.time() + 30
        job = event["job"]
        until = time.monotonic() + PATIENCE
        while not re.search(sentence, (ran := batch.run("status", job)).out):
            assert time.monotonic() < until, ran.out
        while not (waits := batch.run("status", job, "--json").json["fanout"]["waits"]):
            assert time.monotonic() < until
        assert (waits[0]["reason"], waits[0]["model"]) == ("provider_error", "a")


def test_a_pipe_says_what_waits(batch: BatchCommand, upstream: Upstream) -> None:
    upstream.script("a", [refuse(500)])
    path = batch.write(jsonl([line(f"n{i}") for i in range(3)]))
    with spawned("batch", "run", path) as process:
        assert process.stderr is not None
        for text in process.stderr:
            if re.search(rf"\? to go .* \| 3 lines wait: `a` responds .* {CLOCK}$", text.strip()):
                break
        else:
            raise AssertionError("the pipe did not say it")


def test_openais_client_reads_what_waits(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script("a", [refuse(500)])
    voted = json.loads(line("y"))
    del voted["body"]["model"]
    voted["body"]["fanout"] = {"mode": "agree", "models": ["a", "a"]}
    rows = jsonl([line("x"), json.dumps(voted).encode()])
    file = client.files.create(file=("in.jsonl", rows), purpose="batch")
    made = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )

    def waits() -> Any:
        found: Any = client.batches.retrieve(made.id).to_dict()["fanout"]
        return [wait for wait in found["waits"] if wait["reason"] == "provider_error"]

    until = time.monotonic() + PATIENCE
    while len(found := waits()) < 2:
        assert time.monotonic() < until, found
    messages = sorted(one["message"] for one in found)
    assert messages[0].startswith("1 line waits: `a, a` ")
    assert messages[1] == "1 line waits: `a` responds with 500"
    client.batches.cancel(made.id)
