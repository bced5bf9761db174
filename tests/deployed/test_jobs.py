"""Jobs on the deployed stack: planned, worked on and finished by its state machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from openai.types import Batch

from .deployed_stack import Deployed
from .deployer import WORKERS
from .job_client import PROMPT, Jobs, asked_once, by_name, line, until
from .scripted_provider import ANSWER, Provider
from .test_observability import log_lines, metrics

MANY = 2_000
SHARD = 200


@pytest.fixture
def jobs(own: Deployed, provider: Provider) -> Jobs:
    return Jobs(own)


def lines(names: Sequence[str]) -> Iterator[bytes]:
    """Quick ones, but for one in each of the first shards: the later ones begin seconds later."""
    slow = set(names[: WORKERS * SHARD : SHARD])
    return (line(name, "slow" if name in slow else "quick") for name in names)


def done(job: Batch) -> int:
    return job.request_counts.completed if job.request_counts else 0


def faults(jobs: Jobs) -> int:
    """How often workers have failed."""
    group = jobs.stack.resource("AWS::Logs::LogGroup", "BulkFunctionsWork")
    pages = jobs.stack.aws("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    return sum("[ERROR]" in event["message"] for page in pages for event in page["events"])


def test_two_thousand_lines_are_answered_once_each_though_a_shard_fails(
    jobs: Jobs, provider: Provider
) -> None:
    names = [f"n{number:04d}" for number in range(MANY)]
    before = faults(jobs)
    job = jobs.create(lines(names))
    mend = jobs.spoil(job, MANY // SHARD - 1)
    until(lambda: faults(jobs) > before)
    mend()

    job = jobs.ended(job)
    assert (job.status, job.errors, job.error_file_id) == ("completed", None, None)
    assert job.request_counts is not None
    assert (job.request_counts.total, job.request_counts.completed) == (MANY, MANY)
    assert job.usage is not None
    assert job.usage.total_tokens == 15 * MANY
    said = jobs.results(job.output_file_id)
    assert sorted(said) == names
    assert {one["body"]["choices"][0]["message"]["content"] for one in said.values()} == {ANSWER}
    assert provider.asked == asked_once(names)


def test_a_stopped_execution_is_started_again_and_asks_nothing_twice(
    jobs: Jobs, provider: Provider
) -> None:
    names = [f"n{number:04d}" for number in range((WORKERS + 1) * SHARD)]
    job = jobs.create(lines(names))
    mend = jobs.spoil(job, WORKERS)
    jobs.when(job, lambda found: done(found) == WORKERS * SHARD)
    jobs.stack.aws("stepfunctions").stop_execution(executionArn=jobs.execution_of(job))
    assert jobs.execution(jobs.execution_of(job))["status"] == "ABORTED"
    mend()

    ended = jobs.execution(jobs.start({"job": job.id}))
    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"])["status"] == "completed"
    assert sorted(jobs.results(jobs.now(job).output_file_id)) == names
    stored = asked_once(names[: WORKERS * SHARD])
    assert {text: provider.asked[text] for text in stored} == stored


def test_a_cancelled_job_keeps_its_answers_and_ends_within_seconds(jobs: Jobs) -> None:
    quick, stuck = [f"q{n}" for n in range(5)], [f"s{n}" for n in range(5)]
    job = jobs.create([*map(line, quick), *(line(name, "stuck") for name in stuck)])
    jobs.when(job, lambda found: done(found) == 5)
    asked = time.monotonic()
    assert jobs.stack.sdk().batches.cancel(job.id).status == "cancelling"
    job = jobs.ended(job)
    assert job.status == "cancelled"
    assert time.monotonic() - asked < 20
    assert sorted(jobs.results(job.output_file_id)) == quick
    faults = jobs.results(job.error_file_id)
    assert sorted(faults) == stuck
    assert {fault["code"] for fault in faults.values()} == {"batch_cancelled"}


def test_a_file_of_any_bytes_comes_in_parts_and_its_bad_line_is_named(
    jobs: Jobs, provider: Provider
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
    job = jobs.ended(jobs.of_file(file.id))
    assert job.status == "failed"
    assert job.errors is not None
    assert [error.line for error in job.errors.data or []] == [2]
    assert provider.calls == []


def test_a_job_by_hand_delivers_where_it_was_told(jobs: Jobs, provider: Provider) -> None:
    chats = [[{"role": "user", "content": f"{PROMPT} {name}"}] for name in ("a", "b")]
    given = jobs.put("mine/chats.jsonl", b"\n".join(json.dumps(chat).encode() for chat in chats))
    ended = jobs.execution(
        jobs.start(
            {
                "input": given,
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
    assert provider.asked == asked_once(["a", "b"])


def test_the_command_line_quotes_and_runs_a_file_on_the_stack(
    jobs: Jobs, provider: Provider, tmp_path: Path
) -> None:
    prompts, output = tmp_path / "prompts.jsonl", tmp_path / "answers.jsonl"
    names = ["a", "b", "c"]
    prompts.write_bytes(b"\n".join(map(line, names)))
    quoted = json.loads(jobs.stack.fanout("batch", "quote", str(prompts), "--json"))
    assert (quoted["lines"], quoted["errors"], len(provider.asked)) == (len(names), [], 0)
    jobs.stack.fanout("batch", "run", str(prompts), "-o", str(output), "--json")
    assert sorted(by_name(output.read_bytes())) == names
    assert provider.asked == asked_once(names)


def test_a_file_in_the_inbox_is_a_job_of_the_model_that_its_folder_names(
    jobs: Jobs, provider: Provider
) -> None:
    jobs.put("inbox/quick/two.jsonl", b'[{"role": "user", "content": "A"}]\n' * 2)
    batch = json.loads(until(lambda: jobs.get("outbox/quick/two.batch.json")))
    assert batch["status"] == "completed"
    assert sorted(by_name(jobs.get("outbox/quick/two.output.jsonl") or b"")) == ["line-1", "line-2"]
    assert provider.asked == {"A": 2}


def test_what_is_wrong_with_the_input_is_the_cause_of_the_failure(
    jobs: Jobs, provider: Provider
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
    started = {said: jobs.start(given) for said, given in wrong.items()}
    for said, arn in started.items():
        ended = jobs.execution(arn)
        assert (ended["status"], ended["error"]) == ("FAILED", "Fanout.BadInput")
        assert ended["cause"] == said
    assert provider.calls == []


def test_workers_tell_of_lines_and_money_and_no_log_has_a_prompt(jobs: Jobs) -> None:
    job = jobs.ended(jobs.create([line("a"), line("b", "picky")], max_cost_usd=1))
    assert job.status == "completed"

    def told() -> bool:
        lines = [said for said in metrics(jobs.stack) if said.get("Lines") == [2.0]]
        return any(
            (said["LineFailures"], said["LineCostUSD"]) == ([1.0], [pytest.approx(0.00002)])
            for said in lines
        )

    until(told)
    text = "\n".join(log_lines(jobs.stack))
    assert PROMPT not in text
    assert ANSWER not in text
