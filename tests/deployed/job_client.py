"""Creates jobs on a deployed stack and waits for them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from openai.types import Batch

from .deployed_stack import DeployedStack

T = TypeVar("T")

URL: Literal["/v1/chat/completions"] = "/v1/chat/completions"
TIMEOUT = 120.0
ENDED = {"completed", "failed", "expired", "cancelled"}
PROMPT = "the-prompt-of-a-line-that-must-not-be-logged"


def line(name: str, model: str = "quick") -> bytes:
    """Return a line of a batch file; its prompt ends with its name."""
    messages = [{"role": "user", "content": f"{PROMPT} {name}"}]
    body: dict[str, Any] = {"model": model, "messages": messages}
    return json.dumps({"custom_id": name, "method": "POST", "url": URL, "body": body}).encode()


def sent_once(names: Iterable[str]) -> dict[str, int]:
    """Return the prompts that a provider has received if each line was sent once."""
    return {f"{PROMPT} {name}": 1 for name in names}


def wait_for(look: Callable[[], T | None]) -> T:
    """Call `look` until it returns something; return that."""
    end = time.monotonic() + TIMEOUT
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.2)
    return found


@dataclass
class JobClient:
    """The jobs of a stack, through OpenAI's SDK, the state machine and the bucket."""

    stack: DeployedStack

    # ---- OpenAI's SDK ----

    def create(self, lines: Iterable[bytes], **more: Any) -> Batch:
        data = b"\n".join(lines)
        file = self.stack.sdk().files.create(file=("in.jsonl", data), purpose="batch")
        return self.create_of_file(file.id, **more)

    def create_of_file(self, file_id: str, **more: Any) -> Batch:
        return self.stack.sdk().batches.create(
            input_file_id=file_id, endpoint=URL, completion_window="24h", extra_body=more
        )

    def retrieve(self, job: Batch) -> Batch:
        return self.stack.sdk().batches.retrieve(job.id)

    def wait_until(self, job: Batch, condition: Callable[[Batch], bool]) -> Batch:
        def look() -> Batch | None:
            found = self.retrieve(job)
            return found if condition(found) else None

        return wait_for(look)

    def wait_for_end(self, job: Batch) -> Batch:
        """Wait for the job's end."""
        return self.wait_until(job, lambda found: found.status in ENDED)

    def results(self, file_id: str | None) -> dict[str, Any]:
        """Return the lines of an output file by name; each name must occur once."""
        assert file_id is not None
        return by_name(self.stack.sdk().files.content(file_id).content)

    # ---- the state machine ----

    @property
    def machine(self) -> str:
        return self.stack.outputs["JobsMachine"]

    def start(self, execution_input: object) -> str:
        """Start an execution; return its ARN."""
        client = self.stack.aws("stepfunctions")
        started = client.start_execution(
            stateMachineArn=self.machine, input=json.dumps(execution_input)
        )
        return str(started["executionArn"])

    def execution(self, arn: str) -> dict[str, Any]:
        """Wait for the execution's end; return its description."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any]
            found = self.stack.aws("stepfunctions").describe_execution(executionArn=arn)
            return None if found["status"] == "RUNNING" else found

        return wait_for(look)

    def execution_of(self, job: Batch) -> str:
        """Return the ARN of the execution that the API started."""
        return f"{self.machine.replace(':stateMachine:', ':execution:')}:{job.id}"

    # ---- the bucket ----

    @property
    def bucket(self) -> str:
        return self.stack.outputs["JobsBucket"]

    def put(self, key: str, data: bytes) -> str:
        """Store an object; return its address."""
        self.stack.aws("s3").put_object(Bucket=self.bucket, Key=key, Body=data)
        return f"s3://{self.bucket}/{key}"

    def get(self, key: str) -> bytes | None:
        client = self.stack.aws("s3")
        try:
            data: bytes = client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None
        return data

    def break_shard(self, job: Batch, shard: int) -> Callable[[], None]:
        """
        Put an archived object into a shard's folder; return a function that removes it.

        S3 does not give its bytes (`InvalidObjectState`), so each worker of the shard fails before
        it sends a line:
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html (2026-11).
        """
        key = f"jobs/{job.id}/shards/{shard:06d}/broken-00001.failures.jsonl"
        self.wait_until(job, lambda found: found.status == "in_progress")
        self.stack.aws("s3").put_object(
            Bucket=self.bucket, Key=key, Body=b"{}\n", StorageClass="GLACIER"
        )
        return lambda: self.stack.aws("s3").delete_object(Bucket=self.bucket, Key=key)


def by_name(data: bytes) -> dict[str, Any]:
    """Return the lines of an output file by name; each name must occur once."""
    lines = [json.loads(one) for one in data.splitlines()]
    found = {one["custom_id"]: one["response"] or one["error"] for one in lines}
    assert len(found) == len(lines)
    return found
