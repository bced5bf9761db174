"""Jobs through OpenAI's SDK and by hand: planned, worked and finished by the state machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any, Literal

from openai.types import Batch

from .provider import Provider
from .stack import Deployed

URL: Literal["/v1/chat/completions"] = "/v1/chat/completions"
SOON = 120.0
OVER = {"completed", "failed", "expired", "cancelled"}


def line(name: str, model: str | None = "quick") -> bytes:
    """A line of a batch file; its prompt is its name."""
    body: dict[str, Any] = {"messages": [{"role": "user", "content": name}]}
    if model:
        body["model"] = model
    return json.dumps({"custom_id": name, "method": "POST", "url": URL, "body": body}).encode()


def upload(stack: Deployed, lines: Iterable[bytes]) -> str:
    data = b"\n".join(lines)
    return stack.sdk().files.create(file=("in.jsonl", data), purpose="batch").id


def create(stack: Deployed, lines: Iterable[bytes], **more: Any) -> Batch:
    """The job of these lines."""
    return stack.sdk().batches.create(
        input_file_id=upload(stack, lines), endpoint=URL, completion_window="24h", extra_body=more
    )


def ended(stack: Deployed, job: Batch) -> Batch:
    """The job, once it is over."""
    end = time.monotonic() + SOON
    while (job := stack.sdk().batches.retrieve(job.id)).status not in OVER:
        assert time.monotonic() < end, job
        time.sleep(0.5)
    return job


def results(stack: Deployed, file_id: str | None) -> dict[str, Any]:
    """The lines of an output file by name, each name once."""
    if file_id is None:
        return {}
    said = [json.loads(one) for one in stack.sdk().files.content(file_id).iter_lines()]
    found = {one["custom_id"]: one["response"] or one["error"] for one in said}
    assert len(found) == len(said)
    return found


def test_a_job_of_openais_sdk_is_answered_line_by_line(own: Deployed, provider: Provider) -> None:
    names = [f"n{number:02d}" for number in range(20)]
    job = ended(own, create(own, map(line, names)))
    assert (job.status, job.errors) == ("completed", None)
    assert sorted(results(own, job.output_file_id)) == names
    assert provider.asked == dict.fromkeys(names, 1)
