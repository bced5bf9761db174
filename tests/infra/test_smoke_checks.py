"""`make smoke`: what its checks conclude, without a stack."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence

import boto3
import httpx2
import pytest

from scripts.aws.smoke import Result, check_health, check_plain, check_stream, main, missing_lines
from scripts.aws.smoke_stack import Stack


def log(request_id: str) -> str:
    return json.dumps({"level": "INFO", "message": "request", "correlation_id": request_id})


METRICS = json.dumps({"_aws": {"Timestamp": 1}, "Requests": [1.0], "service": "Fanout"})
ATTEMPT = json.dumps({"_aws": {"Timestamp": 1}, "Attempts": [1.0], "service": "Fanout"})
OTHER = "START RequestId: 1"


@pytest.mark.parametrize(
    ("lines", "missing"),
    [
        ([OTHER, log("a"), METRICS, log("b"), ATTEMPT, METRICS], []),
        # Held back until the next request: the earlier requests' metrics are there.
        ([log("a"), METRICS, log("b"), ATTEMPT], ["metrics"]),
        ([log("a"), METRICS], ["log line"]),
        ([log("a"), METRICS, METRICS], ["log line"]),
        ([OTHER, ATTEMPT], ["log line", "metrics"]),
    ],
)
def test_the_last_requests_metrics_are_not_those_of_the_requests_before_it(
    lines: Sequence[str], missing: list[str]
) -> None:
    assert missing_lines(lines, "b") == missing


class Pieces(httpx2.SyncByteStream):
    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces


def respond(status: int, *pieces: bytes) -> httpx2.Response:
    return httpx2.Response(status, stream=Pieces(*pieces))


def stack(response: httpx2.Response) -> Stack:
    transport = httpx2.MockTransport(lambda _: response)
    return Stack("Fanout", "https://x/v1", "k", "m", client=httpx2.Client(transport=transport))


def test_a_stream_that_arrives_at_once_differs_also_in_several_pieces() -> None:
    pieces = b"data: 1\n\n", b"data: 2\n\n", b"data: [DONE]\n\n"
    result = check_stream(stack(respond(200, *pieces)))
    assert (result.passed, result.seen[:8]) == (False, "3 pieces")


@pytest.mark.parametrize("check", [check_plain, check_stream])
def test_an_error_is_shown_with_its_code_and_message(check: Callable[[Stack], Result]) -> None:
    error = {"error": {"code": "model_not_found", "message": "`nope` is unknown"}}
    result = check(stack(respond(404, json.dumps(error).encode())))
    assert not result.passed
    assert result.seen.startswith("404 model_not_found (`nope` is unknown)")


def test_the_time_of_health_is_compared_with_that_of_a_response_without_the_function() -> None:
    seen: list[tuple[str, str]] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.method, request.url.path))
        return respond(200 if request.url.path == "/v1/health" else 403)

    with httpx2.Client(transport=httpx2.MockTransport(handle)) as client:
        result = check_health(Stack("Fanout", "https://x/v1", "k", client=client))
    assert result.passed
    assert result.seen.endswith(" of them in the function")
    assert seen == [("GET", "/v1/health")] * 6 + [("GET", "/no-such-stage")] * 5


@pytest.mark.parametrize(
    ("words", "region"), [(["--region", "eu-west-1"], "eu-west-1"), ([], "none")]
)
def test_a_stack_that_cannot_be_read_is_one_line_with_what_to_do(
    words: list[str], region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens on the port."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(sys, "argv", ["smoke", "Nope", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    line = str(ended.value)  # Python prints it, and the exit code is 1
    assert "\n" not in line
    assert line.startswith(f"make smoke: the stack `Nope` cannot be read in the region `{region}`")
    assert "--region" in line
