"""Jobs of a deployed stack, as tests make them and wait for them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from openai.types import Batch

from .deployed_stack import Deployed

T = TypeVar("T")

URL: Literal["/v1/chat/completions"] = "/v1/chat/completions"
SOON = 120.0
OVER = {"completed", "failed", "expired", "cancelled"}
PROMPT = "the-prompt-of-a-line-that-nobody-may-log"


def line(name: str, model: str = "quick") -> bytes:
    """A line of a batch file; its prompt ends with its name."""
    messages = [{"role": "user", "content": f"{PROMPT} {name}"}]
    body: dict[str, Any] = {"model": model, "messages": messages}
    return json.dumps({"custom_id": name, "method": "POST", "url": URL, "body": body}).encode()


def asked_once(names: Iterable[str]) -> dict[str, int]:
    """What a provider has counted that each of the lines has come to once."""
    return {f"{PROMPT} {name}": 1 for name in names}


def until(look: Callable[[], T | None]) -> T:
    """What `look` finds, as soon as it does."""
    end = time.monotonic() + SOON
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.2)
    return found


@dataclass
class Jobs:
    """The jobs of a stack: by OpenAI's SDK, by the state machine, in the bucket."""

    stack: Deployed

    # ---- OpenAI's SDK ----

    def create(self, lines: Iterable[bytes], **more: Any) -> Batch:
        data = b"\n".join(lines)
        file = self.stack.sdk().files.create(file=("in.jsonl", data), purpose="batch")
        return self.of_file(file.id, **more)

    def of_file(self, file_id: str, **more: Any) -> Batch:
        return self.stack.sdk().batches.create(
            input_file_id=file_id, endpoint=URL, completion_window="24h", extra_body=more
        )

    def now(self, job: Batch) -> Batch:
        return self.stack.sdk().batches.retrieve(job.id)

    def when(self, job: Batch, is_so: Callable[[Batch], bool]) -> Batch:
        def look() -> Batch | None:
            found = self.now(job)
            return found if is_so(found) else None

        return until(look)

    def ended(self, job: Batch) -> Batch:
        """The job, once it is over."""
        return self.when(job, lambda found: found.status in OVER)

    def results(self, file_id: str | None) -> dict[str, Any]:
        """The lines of an output file by name, each name once."""
        assert file_id is not None
        return by_name(self.stack.sdk().files.content(file_id).content)

    # ---- the state machine ----

    @property
    def machine(self) -> str:
        return self.stack.outputs["JobsMachine"]

    def start(self, given: object) -> str:
        """An execution's ARN."""
        client = self.stack.aws("stepfunctions")
        started = client.start_execution(stateMachineArn=self.machine, input=json.dumps(given))
        return str(started["executionArn"])

    def execution(self, arn: str) -> dict[str, Any]:
        """It, once it has ended."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any]
            found = self.stack.aws("stepfunctions").describe_execution(executionArn=arn)
            return None if found["status"] == "RUNNING" else found

        return until(look)

    def execution_of(self, job: Batch) -> str:
        """The ARN of the execution that the API has started."""
        return f"{self.machine.replace(':stateMachine:', ':execution:')}:{job.id}"

    # ---- the bucket ----

    @property
    def bucket(self) -> str:
        return self.stack.outputs["JobsBucket"]

    def put(self, key: str, data: bytes) -> str:
        """An object's address."""
        self.stack.aws("s3").put_object(Bucket=self.bucket, Key=key, Body=data)
        return f"s3://{self.bucket}/{key}"

    def get(self, key: str) -> bytes | None:
        client = self.stack.aws("s3")
        try:
            data: bytes = client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None
        return data

    def spoil(self, job: Batch, shard: int) -> Callable[[], None]:
        """
        Half a result in a shard's folder, on which each worker fails before it asks for a line;
        what is given back takes it away.
        """
        key = f"jobs/{job.id}/shards/{shard:06d}/spoilt-00001.answers.jsonl"
        self.when(job, lambda found: found.status == "in_progress")
        self.put(key, b'{"custom_id": "spoilt"}\n')
        return lambda: self.stack.aws("s3").delete_object(Bucket=self.bucket, Key=key)


def by_name(data: bytes) -> dict[str, Any]:
    """The lines of an output file by name, each name once."""
    said = [json.loads(one) for one in data.splitlines()]
    found = {one["custom_id"]: one["response"] or one["error"] for one in said}
    assert len(found) == len(said)
    return found
