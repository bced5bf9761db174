"""
`make smoke STACK=Fanout`: checks on a deployed stack what no emulator can show.

It sends about ten short requests to one model (`ARGS="--model NAME"`, else the first of the list)
and runs a job of three lines. docs/first-hour-on-aws.md says what each check proves and what to
report if its result differs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import boto3

from .smoke_stack import Stack, error_text, open_stack, resources_of

MEGABYTE = 1_000_000
JOB_SECONDS, LOG_SECONDS = 600, 120
SPREAD = 0.1
"""
Seconds between the first and the last piece of a stream; a model takes over a second to count.
"""

MANY = 128


@dataclass(frozen=True)
class Result:
    """Whether a check passed, and what was seen."""

    passed: bool
    seen: str


Check = Callable[[Stack], Result]


def main() -> int:
    """Run every check; return 0 if all passed."""
    words = argparse.ArgumentParser(prog="make smoke", description=__doc__)
    words.add_argument("stack", nargs="?", default="Fanout")
    words.add_argument("--model", default="")
    words.add_argument("--region", help="by default that of the AWS command line")
    words.add_argument("--profile", help="of the AWS command line's config")
    given = words.parse_args()
    stack = open_stack(given.stack, given.region, given.profile)
    stack.model = given.model or stack.sdk().models.list().data[0].id
    print(f"stack {stack.name}, model {stack.model}, {stack.url}\n")
    failed = 0
    for number, (name, check) in enumerate(CHECKS.items(), 1):
        try:
            result = check(stack)
        except Exception as error:  # noqa: BLE001 -- the other checks are run, too
            result = Result(passed=False, seen=f"{type(error).__name__}: {str(error)[:300]}")
        failed += not result.passed
        print(f"{number:2} {'ok    ' if result.passed else 'DIFFERS'} {name}: {result.seen}")
    print(f"\n{len(CHECKS) - failed} of {len(CHECKS)} as expected (docs/first-hour-on-aws.md)")
    return int(failed > 0)


def check_limit(_: Stack) -> Result:
    limits = boto3.client("lambda").get_account_settings()["AccountLimit"]
    return Result(passed=True, seen=f"{limits['ConcurrentExecutions']} at the same time")


def check_health(stack: Stack) -> Result:
    first, *others = [stack.send("GET", "/health") for _ in range(6)]
    seconds = [response.elapsed.total_seconds() for response in (first, *others)]
    bare, later = stack.seconds_without_function(), min(seconds[1:])
    seen = (
        f"{first.status_code}, first {seconds[0]:.2f} s, then {later * 1000:.0f} ms, "
        f"{max(later - bare, 0) * 1000:.0f} of them in the function"
    )
    return Result(first.status_code == HTTPStatus.OK, seen)


def check_key(stack: Stack) -> Result:
    response = stack.send("GET", "/models", key="wrong")
    return Result(response.status_code == HTTPStatus.UNAUTHORIZED, error_text(response))


def check_path(stack: Stack) -> Result:
    response = stack.send("GET", "/nowhere")
    return Result(response.status_code == HTTPStatus.NOT_FOUND, error_text(response))


def check_plain(stack: Stack) -> Result:
    response = stack.client.request(**stack.chat(stream=False))
    stack.request_ids.append(response.headers.get("x-request-id", ""))
    names = [name.lower() for name, _ in response.headers.multi_items()]
    repeated = sorted({name for name in names if names.count(name) > 1})
    is_error = response.status_code != HTTPStatus.OK
    status = error_text(response) if is_error else f"{response.status_code}"
    seen = f"{status}, {response.elapsed.total_seconds():.2f} s"
    passed = response.status_code == HTTPStatus.OK and not repeated
    return Result(passed, f"{seen}, repeated headers: {', '.join(repeated) or 'none'}")


def check_stream(stack: Stack) -> Result:
    began, times, text = time.perf_counter(), list[float](), ""
    with stack.client.stream(**stack.chat(stream=True)) as response:
        if response.status_code != HTTPStatus.OK:
            response.read()
            return Result(passed=False, seen=error_text(response))
        for piece in response.iter_text():
            times.append(time.perf_counter() - began)
            text += piece
    if not times:
        return Result(passed=False, seen="an empty body")
    seen = f"{len(times)} pieces, from {times[0]:.2f} s to {times[-1]:.2f} s"
    is_whole = text.rstrip().endswith("[DONE]")
    if not is_whole:
        seen += f", ends with {text[-100:]!r}"
    return Result(is_whole and times[-1] - times[0] >= SPREAD, seen)


def check_large_body(stack: Stack) -> Result:
    """7 MB: more than Lambda takes, less than API Gateway does. AWS documents no status for it."""
    response = stack.send("POST", "/chat/completions", b" " * 7 * MEGABYTE)
    return Result(400 <= response.status_code < 600, error_text(response))  # noqa: PLR2004


def check_largest_body(stack: Stack) -> Result:
    response = stack.send("POST", "/chat/completions", b" " * 11 * MEGABYTE)
    return Result(response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE, error_text(response))


def check_metrics(stack: Stack) -> Result:
    """The request's log line and its metrics are in CloudWatch although no other request came."""
    if "AWS_ENDPOINT_URL" in os.environ:
        return Result(passed=True, seen="not checked: an emulator has no logs of streams")
    (group,) = resources_of(stack, "AWS::Logs::LogGroup", "ApiLog")
    events = boto3.client("logs").get_paginator("filter_log_events")  # a page may be empty
    since, began = int(stack.began * 1000), time.monotonic()
    missing: list[str] = []
    while time.monotonic() < began + LOG_SECONDS:
        pages = events.paginate(logGroupName=group, startTime=since)
        lines = [event["message"] for page in pages for event in page["events"]]
        missing = missing_lines(lines, stack.request_ids[-1])
        if not missing:
            return Result(passed=True, seen=f"both after {time.monotonic() - began:.0f} s")
        time.sleep(2)
    return Result(passed=False, seen=f"no {' and no '.join(missing)} after {LOG_SECONDS} s")


def missing_lines(lines: Sequence[str], request_id: str) -> list[str]:
    """
    Return what is missing of the last request's `log line` and `metrics`.

    Each request writes one line of each kind, and the metrics have no request id. So the last one's
    are missing if there are fewer of them than log lines.
    """
    found = list(filter(None, map(_json_object, lines)))
    requests = [line.get("correlation_id") for line in found if line.get("message") == "request"]
    metrics = sum("_aws" in line and "Requests" in line for line in found)
    is_there = {"log line": request_id in requests, "metrics": 0 < len(requests) <= metrics}
    return [name for name, is_found in is_there.items() if not is_found]


def _json_object(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def check_job(stack: Stack) -> Result:
    """Three lines through the state machine, the worker and S3."""
    if not resources_of(stack, "AWS::StepFunctions::StateMachine", "Bulk"):
        return Result(passed=True, seen="the stack has no jobs")
    body = {"model": stack.model, "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
    lines = [
        {"custom_id": f"l{n}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        for n in range(3)
    ]
    data, began = "\n".join(map(json.dumps, lines)).encode(), time.monotonic()
    with stack.sdk() as client:
        file = client.files.create(file=("smoke.jsonl", data), purpose="batch")
        job = client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        while job.status not in ENDED and time.monotonic() < began + JOB_SECONDS:
            time.sleep(1)
            job = client.batches.retrieve(job.id)
    counts = job.request_counts
    done = counts.completed if counts else 0
    seen = f"{job.status}, {done} of 3 lines, {time.monotonic() - began:.0f} s"
    return Result((job.status, done) == ("completed", 3), seen)


def check_many(stack: Stack) -> Result:
    """Many requests at once, which use no tokens, in the few environments of managed instances."""
    names = resources_of(stack, "AWS::Lambda::CapacityProvider", "Api")
    if not names:
        return Result(passed=True, seen="not checked: each has an environment on classic Lambda")
    provider = boto3.client("lambda").get_capacity_provider(CapacityProviderName=names[0])
    with ThreadPoolExecutor(MANY) as pool:
        responses = list(pool.map(lambda _: stack.send("GET", "/models"), range(MANY)))
    served = sum(response.status_code == HTTPStatus.OK for response in responses)
    state = provider["CapacityProvider"]["State"]
    return Result(served == MANY, f"{served} of {MANY} served, instances are {state}")


ENDED = {"completed", "failed", "expired", "cancelled"}
CHECKS: dict[str, Check] = {
    "the account's Lambda concurrency": check_limit,
    "/health": check_health,
    "a wrong key": check_key,
    "an unknown path": check_path,
    "a plain response": check_plain,
    "logs and metrics of that request": check_metrics,
    "a streamed response": check_stream,
    "a body of 7 MB": check_large_body,
    "a body of 11 MB": check_largest_body,
    "a job": check_job,
    f"{MANY} requests at once": check_many,
}
"""In the order in which they run; a plain request is the last one before its logs are read."""


if __name__ == "__main__":
    sys.exit(main())
