"""A job with native batches on the deployed stack, run by its two state machines."""

from __future__ import annotations

import json
import time
from typing import Any

from openai.types import Batch

from tests.support.native_doubles.anthropic_double import AnthropicDouble
from tests.support.native_doubles.bill import Bill
from tests.support.native_doubles.openai_double import OpenAIDouble
from tests.support.native_doubles.script import Script, in_turn

from .deployed_stack import DeployedStack
from .job_client import ENDED, JobClient, line, sent_once, wait_for
from .jobs_in_s3 import JobsInS3
from .scripted_provider import ScriptedProvider

COUNT = 12
"""Lines of each of the four models."""

LEFT = 300.0
"""Seconds to the deadline at which a batch that has not ended is hedged."""

PATIENCE = 240.0


def completed(job: Batch) -> int:
    return job.request_counts.completed if job.request_counts else 0


def restart(stack: DeployedStack) -> None:
    """Replace all environments of the functions of jobs."""
    client = stack.aws("lambda")
    for name in stack.resources("AWS::Lambda::Function", "Bulk"):
        known = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        variables = {**known, "RESTARTED": "1"}
        client.update_function_configuration(
            FunctionName=name, Environment={"Variables": variables}
        )
        client.get_waiter("function_updated_v2").wait(FunctionName=name)


def change(stack: DeployedStack, kind: str, key: str, **fields: object) -> None:
    """Change a record of the stack's table."""
    client, table = stack.aws("dynamodb"), stack.outputs["JobsTable"]
    name = {"kind": {"S": kind}, "id": {"S": key}}
    item = client.get_item(TableName=table, Key=name, ConsistentRead=True)["Item"]
    record: dict[str, Any] = json.loads(item["value"]["B"])
    item["value"] = {"B": json.dumps({**record, **fields}).encode()}
    client.put_item(TableName=table, Item=item)


def make_turn(stack: DeployedStack, job: Batch, batches: int) -> None:
    """Look at the job's first batches now, and not after a minute."""
    for number in range(1, batches + 1):
        change(stack, "native", f"{job.id}/{number:06d}", next_at=0.0)
    stack.aws("stepfunctions").start_execution(
        stateMachineArn=stack.outputs["BatchesMachine"], input=json.dumps({"job": job.id})
    )


def test_a_mixed_job_has_each_response_once_although_a_batch_never_ends_and_functions_restart(
    own: DeployedStack, provider: ScriptedProvider
) -> None:
    bill, soon = Bill(), Script(queue=2.0, run=2.0)
    never = Script(queue=1_000 * 3600.0, cancel="never ends")
    openai = OpenAIDouble(clock=time.time, bill=bill, script=in_turn(soon, never))
    anthropic = AnthropicDouble(clock=time.time, bill=bill, script=soon)
    provider.doubles = {"openai": openai, "anthropic": anthropic}
    jobs = JobClient(own)
    names = {
        model: [f"{model}-{n}" for n in range(COUNT)]
        for model in ("batched", "batched-slowly", "messages", "quick")
    }
    job = jobs.create(
        [line(name, model) for model, own_names in names.items() for name in own_names],
        fanout={"lane": "native"},
    )
    wait_for(lambda: len(openai.batches) == 2 and len(anthropic.batches) == 1)
    jobs.wait_until(job, lambda found: completed(found) == COUNT)
    assert provider.prompts == sent_once(names["quick"])
    restart(own)
    make_turn(own, job, batches=3)
    jobs.wait_until(job, lambda found: completed(found) == 3 * COUNT)
    change(own, "batch", job.id, expires_at=int(time.time() + LEFT))
    make_turn(own, job, batches=2)

    end = time.monotonic() + PATIENCE
    while (job := jobs.retrieve(job)).status not in ENDED:
        assert time.monotonic() < end
        time.sleep(2.0)
    assert (job.status, job.errors, job.error_file_id) == ("completed", None, None)
    assert sorted(jobs.results(job.output_file_id)) == sorted(
        name for own_names in names.values() for name in own_names
    )
    assert provider.prompts == sent_once(names["quick"])
    for double in (openai, anthropic):
        double.settle()
    assert bill.lines() == {"native": 2 * COUNT, "realtime": COUNT}
    assert not bill.twice()
    assert len(openai.batches) + len(anthropic.batches) == 3
    found = job.model_dump()["fanout"]
    lanes = {name: lane["lines"] for name, lane in found["lanes"].items() if lane["lines"]}
    assert lanes == {"native": 2 * COUNT, "realtime": 2 * COUNT}
    assert found["hedged"]["lines"] == COUNT
    assert found["saved_usd"] > 0


def test_bedrocks_batches_are_read_and_written_in_the_stacks_bucket_with_its_role(
    own: DeployedStack, provider: ScriptedProvider
) -> None:
    """Only the jobs are a double's: S3, and the function's rights to it, are the stack's."""
    bill, soon = Bill(), Script(queue=2.0, run=2.0)
    bedrock = JobsInS3(own.aws("s3"), clock=time.time, bill=bill, script=soon)
    provider.doubles = {"bedrock": bedrock}
    jobs, names = JobClient(own), [f"s3-{number}" for number in range(bedrock.least_lines)]
    job = jobs.create([line(name, "in-s3") for name in names], fanout={"native": "require"})
    wait_for(lambda: len(bedrock.batches) == 1)
    time.sleep(soon.queue + soon.run + 1.0)
    make_turn(own, job, batches=1)
    job = jobs.wait_for_end(job)
    assert (job.status, job.errors, job.error_file_id) == ("completed", None, None)
    assert sorted(jobs.results(job.output_file_id)) == sorted(names)
    bedrock.settle()
    assert bill.lines() == {"native": len(names)}
    found = job.model_dump()["fanout"]
    assert found["lanes"]["native"]["lines"] == len(names)
    (role,) = bedrock.roles
    assert role.rpartition("/")[2] == own.resource("AWS::IAM::Role", "BulkBatchRole")
