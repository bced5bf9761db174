"""Jobs on the deployed stack, run by its state machine."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from openai.types import Batch
from openai.types.chat import ChatCompletionMessageParam

from tests.support.webhook_receiver import SECRET, open_receiver

from .deployed_stack import DeployedStack
from .deployer import WORKERS
from .job_client import ENDED, PROMPT, JobClient, by_name, line, sent_once, wait_for
from .scripted_provider import ANSWER, ScriptedProvider
from .test_observability import log_lines, metrics

MANY = 2_000
SHARD = 200


@pytest.fixture
def jobs(own: DeployedStack, provider: ScriptedProvider) -> JobClient:
    return JobClient(own)


def lines(names: Sequence[str]) -> Iterator[bytes]:
    """Yield quick lines, but one slow line in each of the first shards, which delays the others."""
    slow = set(names[: WORKERS * SHARD : SHARD])
    return (line(name, "slow" if name in slow else "quick") for name in names)


def done(job: Batch) -> int:
    return job.request_counts.completed if job.request_counts else 0


def faults(jobs: JobClient) -> int:
    """
    Return how often workers have failed because AWS responded with an error.

    The emulator keeps the last 4 KB of what an invocation writes: of a long traceback, the first
    line, which has `[ERROR]`, is cut off.
    """
    group = jobs.stack.resource("AWS::Logs::LogGroup", "BulkFunctionsWork")
    pages = jobs.stack.aws("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    return sum(
        "raise error_class(" in event["message"] for page in pages for event in page["events"]
    )


def test_each_of_two_thousand_lines_is_sent_once_although_a_shard_fails(
    jobs: JobClient, provider: ScriptedProvider
) -> None:
    names = [f"n{number:04d}" for number in range(MANY)]
    before = faults(jobs)
    job = jobs.create(lines(names))
    repair = jobs.break_shard(job, MANY // SHARD - 1)
    wait_for(lambda: faults(jobs) > before)
    repair()

    job = jobs.wait_for_end(job)
    assert (job.status, job.errors, job.error_file_id) == ("completed", None, None)
    assert job.request_counts is not None
    assert (job.request_counts.total, job.request_counts.completed) == (MANY, MANY)
    assert job.usage is not None
    assert job.usage.total_tokens == 15 * MANY
    results = jobs.results(job.output_file_id)
    assert sorted(results) == names
    assert {one["body"]["choices"][0]["message"]["content"] for one in results.values()} == {ANSWER}
    assert provider.prompts == sent_once(names)


def test_streamed_chat_is_served_while_two_jobs_run(
    cold: DeployedStack, provider: ScriptedProvider
) -> None:
    """Also in a new account, whose functions have ten concurrent executions together."""
    jobs = JobClient(cold)
    names = [f"n{number:04d}" for number in range(5 * SHARD)]
    running = [jobs.create(lines([f"{job}-{name}" for name in names])) for job in ("a", "b")]
    client = jobs.stack.sdk()
    served = 0
    while not all(client.batches.retrieve(job.id).status in ENDED for job in running):
        messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello?"}]
        stream = client.chat.completions.create(model="quick", messages=messages, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == ANSWER
        served += 1
    assert served > 0
    for job in running:
        ended = client.batches.retrieve(job.id)
        assert (ended.status, ended.errors, ended.error_file_id) == ("completed", None, None)
    sent = sent_once([f"{job}-{name}" for job in ("a", "b") for name in names])
    assert {text: provider.prompts[text] for text in sent} == sent


def test_a_stopped_job_can_be_started_again_and_sends_no_stored_line_twice(
    jobs: JobClient, provider: ScriptedProvider
) -> None:
    names = [f"n{number:04d}" for number in range((WORKERS + 1) * SHARD)]
    job = jobs.create(lines(names))
    repair = jobs.break_shard(job, WORKERS)
    jobs.wait_until(job, lambda found: done(found) == WORKERS * SHARD)
    jobs.stack.aws("stepfunctions").stop_execution(executionArn=jobs.execution_of(job))
    assert jobs.execution(jobs.execution_of(job))["status"] == "ABORTED"
    repair()

    ended = jobs.execution(jobs.start({"job": job.id}))
    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"])["status"] == "completed"
    assert sorted(jobs.results(jobs.retrieve(job).output_file_id)) == names
    stored = sent_once(names[: WORKERS * SHARD])
    assert {text: provider.prompts[text] for text in stored} == stored


def test_a_cancelled_job_keeps_its_results_and_ends_within_seconds(jobs: JobClient) -> None:
    quick, stuck = [f"q{n}" for n in range(5)], [f"s{n}" for n in range(5)]
    job = jobs.create([*map(line, quick), *(line(name, "stuck") for name in stuck)])
    jobs.wait_until(job, lambda found: done(found) == 5)
    assert sorted(jobs.results(job.output_file_id)) == quick
    cancelled = time.monotonic()
    assert jobs.stack.sdk().batches.cancel(job.id).status == "cancelling"
    job = jobs.wait_for_end(job)
    assert job.status == "cancelled"
    assert time.monotonic() - cancelled < 60
    assert sorted(jobs.results(job.output_file_id)) == quick
    faults = jobs.results(job.error_file_id)
    assert sorted(faults) == stuck
    assert {fault["code"] for fault in faults.values()} == {"batch_cancelled"}


def test_a_file_with_invalid_bytes_is_uploaded_in_parts_and_its_bad_line_is_named(
    jobs: JobClient, provider: ScriptedProvider
) -> None:
    data = b"\n".join([line("a"), b'{"custom_id": "\xff"}', line("c")])
    client = jobs.stack.sdk()
    half = len(data) // 2
    upload = client.uploads.create(
        bytes=len(data), filename="in.jsonl", mime_type="application/jsonl", purpose="batch"
    )
    parts = [
        client.uploads.parts.create(upload.id, data=piece).id
        for piece in (data[:half], data[half:])
    ]
    file = client.uploads.complete(upload.id, part_ids=parts).file
    assert file is not None
    assert client.files.content(file.id).content == data
    job = jobs.wait_for_end(jobs.create_of_file(file.id))
    assert job.status == "failed"
    assert job.errors is not None
    assert [error.line for error in job.errors.data or []] == [2]
    assert provider.calls == []


def test_a_job_started_by_hand_delivers_to_its_output_folder(
    jobs: JobClient, provider: ScriptedProvider
) -> None:
    chats = [[{"role": "user", "content": f"{PROMPT} {name}"}] for name in ("a", "b")]
    source = jobs.put("mine/chats.jsonl", b"\n".join(json.dumps(chat).encode() for chat in chats))
    ended = jobs.execution(
        jobs.start(
            {
                "input": source,
                "output": f"s3://{jobs.bucket}/outbox/mine/",
                "model": "quick",
                "max_cost_usd": 1,
                "completion_window": "1h",
            }
        )
    )
    assert ended["status"] == "SUCCEEDED"
    assert sorted(by_name(jobs.get("outbox/mine/output.jsonl") or b"")) == ["line-1", "line-2"]
    batch = json.loads(jobs.get("outbox/mine/batch.json") or b"")
    assert (batch["status"], batch["request_counts"]["completed"]) == ("completed", 2)
    assert jobs.get("outbox/mine/errors.jsonl") is None
    assert jobs.stack.sdk().batches.retrieve(batch["id"]).status == "completed"
    assert provider.prompts == sent_once(["a", "b"])


def test_the_command_line_quotes_and_runs_a_file_on_the_stack(
    jobs: JobClient, provider: ScriptedProvider, tmp_path: Path
) -> None:
    prompts, output = tmp_path / "prompts.jsonl", tmp_path / "answers.jsonl"
    names = ["a", "b", "c"]
    prompts.write_bytes(b"\n".join(map(line, names)))
    quoted = json.loads(jobs.stack.fanout("batch", "quote", str(prompts), "--json"))
    assert (quoted["lines"], quoted["errors"], len(provider.prompts)) == (len(names), [], 0)
    jobs.stack.fanout("batch", "run", str(prompts), "-o", str(output), "--json")
    assert sorted(by_name(output.read_bytes())) == names
    assert provider.prompts == sent_once(names)


def test_a_file_in_the_inbox_starts_a_job_for_the_model_that_its_folder_names(
    jobs: JobClient, provider: ScriptedProvider
) -> None:
    jobs.put("inbox/quick/two.jsonl", b'[{"role": "user", "content": "A"}]\n' * 2)
    batch = json.loads(wait_for(lambda: jobs.get("outbox/quick/two.batch.json")))
    assert batch["status"] == "completed"
    assert sorted(by_name(jobs.get("outbox/quick/two.output.jsonl") or b"")) == ["line-1", "line-2"]
    assert provider.prompts == {"A": 2}


def test_the_execution_fails_with_what_is_wrong_with_its_input(
    jobs: JobClient, provider: ScriptedProvider
) -> None:
    jobs.put("mine/one.jsonl", line("a"))
    own = f"s3://{jobs.bucket}"
    wrong = {
        "there is no job `batch_0`": {"job": "batch_0"},
        "`input` is missing: an object in the stack's bucket, such as `s3://BUCKET/x.jsonl`": {
            "model": "quick"
        },
        f"`input` must be in this stack's bucket: `{own}/…`": {"input": "s3://another/x.jsonl"},
        f"there is no object `{own}/x.jsonl`": {"input": f"{own}/x.jsonl"},
        f"`output` must begin with `{own}/outbox/`": {
            "input": f"{own}/mine/one.jsonl",
            "output": f"{own}/mine/",
        },
        "`max_cost_usd` must be above 0": {"input": f"{own}/mine/one.jsonl", "max_cost_usd": -1},
    }
    started = {cause: jobs.start(execution_input) for cause, execution_input in wrong.items()}
    for cause, arn in started.items():
        ended = jobs.execution(arn)
        assert (ended["status"], ended["error"]) == ("FAILED", "Fanout.BadInput")
        assert ended["cause"] == cause
    assert provider.calls == []


def test_workers_write_metrics_of_lines_and_cost_and_log_no_prompt(jobs: JobClient) -> None:
    job = jobs.wait_for_end(jobs.create([line("a"), line("b", "picky")], max_cost_usd=1))
    assert job.status == "completed"

    def are_written() -> bool:
        found = [line for line in metrics(jobs.stack) if line.get("Lines") == [2.0]]
        return any(
            (line["LineFailures"], line["LineCostUSD"]) == ([1.0], [pytest.approx(0.00002)])
            for line in found
        )

    wait_for(are_written)
    text = "\n".join(log_lines(jobs.stack))
    assert PROMPT not in text
    assert ANSWER not in text


@pytest.mark.skipif("FANOUT_PROVIDER_URL" in os.environ, reason="AWS does not reach this machine")
def test_the_end_of_a_job_is_reported_and_again_until_it_is_received(jobs: JobClient) -> None:
    jobs.stack.fanout_keys("set", "WEBHOOK_SECRET", stdin=SECRET)
    with open_receiver() as receiver:
        receiver.statuses = [503]
        webhook = {"url": receiver.url, "secret": "os.environ/WEBHOOK_SECRET"}
        job = jobs.create([line("x")], fanout={"webhook": webhook})
        job = jobs.wait_for_end(job)
        first, second = receiver.wait(2)
        assert first == second
        assert (first.type, first.data.id) == ("batch.completed", job.id)
        ids = {headers["webhook-id"] for _, headers, _ in receiver.requests}
        assert len(ids) == 1

        def is_delivered(found: Batch) -> bool:
            shown: Any = found.to_dict()["fanout"]
            return shown["webhook"]["delivered_at"] is not None

        jobs.wait_until(job, is_delivered)


def test_a_request_with_a_key_is_served_once(jobs: JobClient, provider: ScriptedProvider) -> None:
    client, headers = jobs.stack.sdk(), {"Idempotency-Key": f"key-{time.time()}"}
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Once"}]
    answers = [
        client.chat.completions.create(model="quick", messages=messages, extra_headers=headers)
        for _ in range(2)
    ]
    assert answers[0].to_dict() == answers[1].to_dict()
    assert provider.prompts["Once"] == 1
    file = ("in.jsonl", line("y"))
    files = [
        client.files.create(file=file, purpose="batch", extra_headers={"Idempotency-Key": key})
        for key in (f"file-{time.time()}",) * 2
    ]
    assert files[0].id == files[1].id
