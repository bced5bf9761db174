"""
The API function's loop under AWS's own runtime code: `make test-rie`.

`tests/functions` tests the loop in every case; this tests that AWS's code agrees.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.api_function import ENV, ROOT, write_config
from tests.support.patience import quickest
from tests.support.provider_steps import answers, stalls
from tests.support.runtime_api import proxy_event
from tests.support.scripted_provider import Upstream

from .emulator import Emulator, emulating, is_available

pytestmark = [
    pytest.mark.timeout(900),  # the first run compiles the emulator
    pytest.mark.skipif(not is_available(), reason="needs Go and ../shared/emulator/rie"),
]

COMMAND = f"exec {shlex.join([str(ROOT / 'functions/api/runtime.sh'), sys.executable])}"
HELLO = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
DELAYED_ACKNOWLEDGEMENT = 0.04
"""Seconds by which Linux delays an acknowledgement, and a response that waits for one."""


@pytest.fixture
def config(tmp_path: Path, upstream: Upstream) -> str:
    upstream.script("m", answers("Hello there"))
    return write_config(tmp_path, f"{upstream.url}/v1")


@pytest.fixture
def function(config: str) -> Iterator[Emulator]:
    with emulating(COMMAND, {**ENV, "FANOUT_CONFIG": config}) as emulator:
        yield emulator


def chat(**fields: Any) -> bytes:
    return json.dumps(proxy_event(body=json.dumps(HELLO | fields))).encode()


def test_a_plain_response(function: Emulator) -> None:
    result = function.invoke(chat())
    prelude = json.loads(result.prelude)
    assert prelude["statusCode"] == 200
    assert prelude["headers"]["x-request-id"] == "api-gateway-1"
    assert json.loads(result.body)["choices"][0]["message"]["content"] == "Hello there"


def test_a_streamed_response(function: Emulator) -> None:
    result = function.invoke(chat(stream=True))
    assert json.loads(result.prelude)["headers"]["content-type"].startswith("text/event-stream")
    assert result.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("stream", [False, True])
def test_requests_one_after_the_other_and_none_waits_for_an_acknowledgement(
    function: Emulator, *, stream: bool
) -> None:
    def seconds() -> float:
        began = time.perf_counter()
        result = function.invoke(chat(stream=stream))
        took = time.perf_counter() - began
        assert json.loads(result.prelude)["statusCode"] == 200
        return took

    for _ in range(20):  # the system acknowledges the first ones at once
        seconds()
    assert quickest(seconds, DELAYED_ACKNOWLEDGEMENT, tries=300) < DELAYED_ACKNOWLEDGEMENT


def test_an_event_that_is_no_http_request_is_an_error_and_the_next_one_is_served(
    function: Emulator,
) -> None:
    error = json.loads(function.invoke(b'{"source": "aws.events"}').raw)
    assert error["errorType"] == "Function.NotAnHTTPRequest"
    assert json.loads(function.invoke(chat()).prelude)["statusCode"] == 200


def test_a_request_and_a_response_of_almost_six_megabytes(
    function: Emulator, upstream: Upstream
) -> None:
    text = "u" * 5_900_000
    upstream.script("m", answers(text))
    result = function.invoke(chat(messages=[{"role": "user", "content": text}]))
    assert json.loads(result.body)["choices"][0]["message"]["content"] == text


def test_the_gateways_504_comes_before_the_functions_time_limit(
    tmp_path: Path, upstream: Upstream
) -> None:
    upstream.script("m", stalls())
    env = {**ENV, "FANOUT_CONFIG": write_config(tmp_path, f"{upstream.url}/v1")}
    with emulating(COMMAND, env, timeout=8) as function:
        function.invoke(json.dumps(proxy_event("GET", "/health")).encode())  # it starts
        result = function.invoke(chat())
        assert json.loads(result.prelude)["statusCode"] == 504


def test_a_config_that_is_wrong_is_named(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"model_lists": []}')
    with emulating(COMMAND, {**ENV, "FANOUT_CONFIG": str(config)}) as function:
        error = json.loads(function.invoke(chat()).raw)
    assert "`model_lists`" in error["errorMessage"]
