"""
The API function under AWS's own runtime code of Lambda Managed Instances: `make test-rie`.

Many invocations are in one process at the same time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.api_function import ENV, write_config
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, role, say, stalls, wait
from tests.support.runtime_api import proxy_event
from tests.support.scripted_provider import Upstream

from .emulator import (
    Emulator,
    Result,
    can_change_user,
    emulating_managed_instances,
    is_available,
)

pytestmark = [
    pytest.mark.timeout(400),  # the first run compiles the emulator
    pytest.mark.skipif(not is_available(), reason="needs Go and ../shared/emulator/rie"),
    pytest.mark.skipif(not can_change_user(), reason="needs root, to run it as another user"),
]

CONCURRENCY = 64
GROWTH = 40_000_000
"""Bytes by which memory may grow: allocators keep some; a leak of a request would be more."""


FLOOD = [say("x" * 100_000)] * 50
"""Almost as much as the emulator accepts, which takes a response whole: 6 MB."""


@pytest.fixture
def config(tmp_path: Path, upstream: Upstream) -> str:
    return config_of(tmp_path, upstream)


def config_of(folder: Path, upstream: Upstream, keys: Sequence[str] = ()) -> str:
    """With the model `n` beside `m`, and keys that are named as they are."""
    general = {"keys": [{"name": key, "key": key} for key in keys]} if keys else {}
    config = json.loads(Path(write_config(folder, f"{upstream.url}/v1", general)).read_text())
    (entry,) = config["model_list"]
    other = {**entry["litellm_params"], "model": "openai/n"}
    config["model_list"].append({"model_name": "n", "litellm_params": other})
    return json.dumps(config)


@pytest.fixture
def function(config: str) -> Iterator[Emulator]:
    with emulating_managed_instances(ENV, config, concurrency=CONCURRENCY) as emulator:
        served(emulator, event("GET", "/health"))
        yield emulator


def event(
    method: str = "POST", path: str = "/chat/completions", *, key: str = "k", **fields: Any
) -> bytes:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]} | fields
    found = proxy_event(method, path, body=json.dumps(body))
    found["multiValueHeaders"]["Authorization"] = [f"Bearer {key}"]
    return json.dumps(found).encode()


def served(function: Emulator, wanted: bytes) -> Result:
    """Invoke until the function has asked for an invocation, as Lambda itself does."""
    until = time.monotonic() + PATIENCE
    while (result := function.invoke(wanted)).is_rejected:
        assert time.monotonic() < until
        time.sleep(0.01)
    return result


def all_served(function: Emulator, wanted: Sequence[bytes]) -> list[Result]:
    """Invoke at the same time."""
    with ThreadPoolExecutor(len(wanted)) as pool:
        return list(pool.map(lambda one: served(function, one), wanted))


@contextmanager
def at_once(function: Emulator, wanted: Sequence[bytes]) -> Iterator[Future[list[Result]]]:
    """Invoke at the same time, while the block runs."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(all_served, function, wanted)


def statuses(results: Sequence[Result]) -> list[int]:
    return [json.loads(result.prelude)["statusCode"] for result in results]


def test_64_streams_are_open_at_the_same_time_in_one_process(
    function: Emulator, upstream: Upstream
) -> None:
    for _ in range(2):  # the second time, the first 64 invocations are served again
        upstream.reset()
        gate = upstream.gate()
        upstream.script("m", [role, say("Hello"), wait(gate), *answers(" there")])
        with at_once(function, [event(stream=True)] * CONCURRENCY) as results:
            upstream.wait(lambda: len(upstream.calls) == CONCURRENCY)
            assert not any(call.ended for call in upstream.calls)
            assert len(function.functions()) == 1
            gate.open()
        assert statuses(results.result()) == [200] * CONCURRENCY
        for result in results.result():
            assert result.body.endswith(b"data: [DONE]\n\n")


def test_what_fails_is_one_request_among_others(function: Emulator, upstream: Upstream) -> None:
    gate = upstream.gate()
    upstream.script("m", [role, say("Hello"), wait(gate), *answers(" there")])
    with at_once(function, [event(stream=True)] * 32) as many:
        upstream.wait(lambda: len(upstream.calls) == 32)
        with at_once(function, [b'{"source": "aws.events"}'] * 16) as failed:
            unknown = all_served(function, [event(model="unknown")] * 16)
        gate.open()
    kinds = {json.loads(result.raw)["errorType"] for result in failed.result()}
    assert kinds == {"Function.NotAnHTTPRequest"}
    assert statuses(unknown) == [404] * 16
    assert statuses(many.result()) == [200] * 32


def test_a_key_that_floods_leaves_a_quarter_of_the_requests_to_others(
    tmp_path: Path, upstream: Upstream
) -> None:
    gate = upstream.gate()
    upstream.script("m", [role, say("Hello"), wait(gate), *answers(" there")])
    config = config_of(tmp_path, upstream, ["sk-one", "sk-other"])
    with emulating_managed_instances(ENV, config, concurrency=CONCURRENCY) as function:
        served(function, event("GET", "/health"))
        with at_once(function, [event(stream=True, key="sk-one")] * 60) as flood:
            upstream.wait(lambda: len(upstream.calls) == 48)
            with at_once(function, [event(stream=True, key="sk-other")] * 8) as others:
                upstream.wait(lambda: len(upstream.calls) == 56)
                gate.open()
    assert sorted(statuses(flood.result())) == [200] * 48 + [429] * 12
    assert statuses(others.result()) == [200] * 8


def test_responses_that_flood_delay_no_other(function: Emulator, upstream: Upstream) -> None:
    gate = upstream.gate()
    upstream.script("m", [role, *FLOOD, wait(gate), *answers(" there")])
    upstream.script("n", answers("Hello"))
    with at_once(function, [event(stream=True)] * 4) as floods:
        upstream.wait(lambda: len(upstream.calls) == 4)
        quick = [served(function, event(model="n")) for _ in range(20)]
        assert not any(call.ended for call in upstream.calls_to("m"))
        gate.open()
    assert statuses(quick) == [200] * 20
    assert statuses(floods.result()) == [200] * 4
    assert all(len(result.body) > 5_000_000 for result in floods.result())


def test_a_time_out_of_one_request_is_no_time_out_of_another(
    config: str, upstream: Upstream
) -> None:
    upstream.script("m", stalls())
    with emulating_managed_instances(ENV, config, concurrency=8, timeout=12) as function:
        health = event("GET", "/health")
        served(function, health)
        with at_once(function, [event()] * 4) as slow:
            upstream.wait(lambda: len(upstream.calls) == 4)
            assert statuses([served(function, health) for _ in range(20)]) == [200] * 20
        assert statuses(slow.result()) == [504] * 4
        assert len(function.functions()) == 1


def test_a_thousand_requests_leave_no_open_file_no_thread_and_no_memory(
    function: Emulator, upstream: Upstream
) -> None:
    upstream.script("m", answers("Hello there"))
    (process,) = function.functions()
    wanted = [event(stream=bool(index % 2)) for index in range(8)]
    before, memory = (0, 0), 0
    for batch in range(150):
        assert statuses(all_served(function, wanted)) == [200] * 8
        if batch == 24:  # 200 requests: every pool is as large as it gets
            before, memory = open_files_and_threads(process), memory_of(process)
    until = time.monotonic() + PATIENCE
    while any(a > b for a, b in zip(open_files_and_threads(process), before, strict=True)):
        assert time.monotonic() < until, (before, open_files_and_threads(process))
        time.sleep(0.05)
    assert memory_of(process) < memory + GROWTH
    assert function.functions() == [process]


def open_files_and_threads(process: int) -> tuple[int, int]:
    kinds = (Path(f"/proc/{process}/{kind}") for kind in ("fd", "task"))
    files, threads = (len(list(kind.iterdir())) for kind in kinds)
    return files, threads


def memory_of(process: int) -> int:
    """Resident bytes."""
    pages = Path(f"/proc/{process}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
