"""How many calls are in flight at once: the limits of connections and of open files."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, wait
from tests.support.scripted_provider import Upstream
from tests.transport.engine_calls import engine, outgoing

SHARED = Path(__file__).parents[2] / "shared"

CODE = """
import json, resource, sys
url, count, files = json.load(sys.stdin)
resource.setrlimit(resource.RLIMIT_NOFILE, files)
from fanout import batch_completion
found = batch_completion(
    "openai/a", [[{"role": "user", "content": "Hi"}]] * count, max_workers=count,
    api_base=url, api_key="k", num_retries=0,
)
texts = [getattr(one, "choices", None) and one.choices[0].message.content for one in found]
print(json.dumps([texts.count("Hello"), *resource.getrlimit(resource.RLIMIT_NOFILE)]))
"""


def run(upstream: Upstream, count: int, *files: int) -> list[int]:
    """Send so many prompts at once; returns the number of responses, and the process's limits."""
    given = json.dumps([f"{upstream.url}/v1", count, files])
    done = subprocess.run(  # noqa: S603 -- what it runs is written here
        [sys.executable, "-c", CODE],
        input=given, capture_output=True, text=True, check=True, timeout=PATIENCE,
        env={"PYTHONPATH": str(SHARED), "NO_PROXY": "*"},
    )  # fmt: skip
    found: list[int] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_calls_over_http_1_raise_the_limit_for_open_files_when_they_need_it(
    plain: Upstream,
) -> None:
    all_called = plain.gate()
    plain.script("a", [*answers("Hello")[:-1], wait(all_called), answers("Hello")[-1]])

    async def watch() -> list[int]:
        async with asyncio.TaskGroup() as group:
            ran = group.create_task(asyncio.to_thread(run, plain, 500, 300, 2_000))
            await asyncio.to_thread(plain.wait, lambda: len(plain.calls) == 500)
            all_called.open()
        return ran.result()

    assert asyncio.run(watch()) == [500, 2_000, 2_000]


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_calls_wait_if_the_limit_may_not_be_raised(plain: Upstream) -> None:
    plain.script("a", answers("Hello", after=0.2))  # so that calls are in flight together
    assert run(plain, 500, 300, 300) == [500, 300, 300]
    assert len(plain.calls) == 500


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_few_calls_leave_the_limit_as_it_is(plain: Upstream) -> None:
    plain.script("a", answers("Hello"))
    assert run(plain, 50, 300, 2_000) == [50, 300, 2_000]


def test_calls_over_http_2_open_as_many_connections_as_they_need(
    http2: Upstream, ca: trustme.CA
) -> None:
    all_called = http2.gate()
    http2.script("a", [wait(all_called), *answers("Hello")])

    async def run_all() -> int:
        async with engine(ca) as made, asyncio.TaskGroup() as group:
            tasks = [group.create_task(made.send(outgoing(http2, "a"))) for _ in range(1_050)]
            await asyncio.to_thread(http2.wait, lambda: len(http2.calls) == 1_050)
            all_called.open()
        return sum(task.result().status == 200 for task in tasks)

    assert asyncio.run(run_all()) == 1_050
    assert http2.connections == 11
