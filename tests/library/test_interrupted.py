"""Ctrl-C, cancelled tasks, event loops that come and go: every upstream call is closed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from typing import Any

import pytest

import fanout
from tests.library.ways import HI, at, content, spoken
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, hang, pause, role, say, stalls
from tests.support.scripted_provider import Upstream

CALLS: list[Any] = [
    pytest.param(1, "completion('openai/a', HI, **AT)", id="completion"),
    pytest.param(3, "batch_completion('openai/a', [HI] * 3, **AT)", id="batch"),
    pytest.param(3, "batch_completion('openai/a', iter([HI] * 3), **AT)", id="iterator"),
    pytest.param(2, "batch_completion_models(['openai/a', 'openai/a'], HI, **AT)", id="race"),
    pytest.param(2, "batch_completion_models_all_responses(['openai/a'] * 2, HI, **AT)", id="all"),
    pytest.param(1, "list(completion('openai/a', HI, stream=True, **AT))", id="stream"),
]


STREAMING = """
import threading
stream = completion('openai/c', HI, stream=True, **AT)
next(stream)
threading.Thread(target=list, args=[stream], daemon=True).start()
"""


def script(upstream: Upstream, body: str) -> subprocess.Popen[str]:
    """A Python process that runs `body`, warnings being errors."""
    head = f"from fanout import *\nHI = {HI!r}\nAT = {at(upstream)!r}\n"
    return subprocess.Popen(  # noqa: S603 -- what it runs is written here
        [sys.executable, "-W", "error", "-c", head + textwrap.dedent(body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize(("calls", "expression"), CALLS)
def test_ctrl_c_closes_every_call_and_is_raised(
    upstream: Upstream, calls: int, expression: str
) -> None:
    upstream.script("a", [role, say("I"), hang] if "stream" in expression else stalls())
    body = f"""
        import time
        try:
            {expression}
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        time.sleep(3_600)  # so that it is not the process's end that hangs up
    """
    process = script(upstream, body)
    try:
        upstream.wait(lambda: len(upstream.calls_to("a")) == calls)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.readline() == "interrupted\n"
        upstream.wait(lambda: all(call.disconnected_at for call in upstream.calls))
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_while_an_iterator_is_read_closes_every_call(upstream: Upstream) -> None:
    upstream.script("a", stalls())
    body = """
        import time

        def prompts():
            yield HI
            time.sleep(3_600)

        try:
            batch_completion("openai/a", prompts(), **AT)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """
    process = script(upstream, body)
    upstream.wait_called("a")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (out, err, process.returncode) == ("interrupted\n", "", 0)
    upstream.wait_disconnected("a")


@pytest.mark.parametrize(
    "expression",
    [
        "next(completion('openai/a', HI, stream=True, **AT))",
        "stream = completion('openai/a', HI, stream=True, **AT); next(stream)",
        "streams = batch_completion('openai/a', [HI] * 3, stream=True, **AT)",
        "completion('openai/b', HI, **AT)",
        STREAMING,
    ],
)
def test_a_process_ends_at_once_and_quietly_whatever_it_left_open(
    upstream: Upstream, expression: str
) -> None:
    upstream.script("a", [role, say("I"), hang])
    upstream.script("b", answers("B"))
    upstream.script("c", [role, *[say("I"), pause(0.001)] * 2000, hang])
    process = script(upstream, f"{expression}\nprint('end')")
    out, err = process.communicate(timeout=PATIENCE)
    assert (out, err, process.returncode) == ("end\n", "", 0)


def test_a_process_that_was_forked_too_late_gets_an_error(upstream: Upstream) -> None:
    upstream.script("b", answers("B"))
    body = """
        import os
        completion("openai/b", HI, **AT)
        child = os.fork()
        if child == 0:
            try:
                completion("openai/b", HI, **AT)
            except FanoutError as error:
                print(type(error).__name__, isinstance(error, RuntimeError), error, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
    """
    process = script(upstream, body)
    out, _ = process.communicate(timeout=PATIENCE)
    assert out.startswith("ForkedProcess True")
    assert "forked after its parent had made a call" in out
    assert "`spawn`" in out


# ---- tasks ----

TWINS: list[Any] = [
    pytest.param("acompletion", "openai/a", HI, id="completion"),
    pytest.param("abatch_completion", "openai/a", [HI] * 3, id="batch"),
    pytest.param("abatch_completion_models", ["openai/a", "openai/a"], HI, id="race"),
    pytest.param("abatch_completion_models_all_responses", ["openai/a"] * 2, HI, id="all"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("name", "models", "messages"), TWINS)
def test_a_cancelled_task_closes_every_call(
    upstream: Upstream, name: str, models: Any, messages: Any, *, stream: bool
) -> None:
    upstream.script("a", stalls())

    async def ask() -> None:
        answer = await getattr(fanout, name)(models, messages, stream=stream, **at(upstream))
        for one in answer if isinstance(answer, list) else [answer]:
            async for _ in one:
                pass

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(ask())
            await asyncio.to_thread(upstream.wait_called, "a")
            task.cancel()
        assert task.cancelled()

    asyncio.run(main())
    upstream.wait(lambda: upstream.calls and all(call.disconnected_at for call in upstream.calls))


def test_an_error_in_the_callers_loop_closes_its_calls(upstream: Upstream) -> None:
    upstream.script("a", stalls())

    async def fail() -> None:
        await asyncio.to_thread(upstream.wait_called, "a")
        raise ZeroDivisionError

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fanout.acompletion("openai/a", HI, **at(upstream)))
            group.create_task(fail())

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(main())
    assert raised.group_contains(ZeroDivisionError)
    upstream.wait_disconnected("a")


# ---- loops ----


def test_loops_one_after_another_each_have_their_own_connections(upstream: Upstream) -> None:
    upstream.script("b", answers("B"))
    for _ in range(3):
        found = asyncio.run(fanout.acompletion("openai/b", HI, **at(upstream)))
        assert content(found) == "B"


def test_loops_one_after_another_leave_no_warnings(upstream: Upstream) -> None:
    upstream.script("b", answers("B"))
    upstream.script("a", [role, say("I"), hang])
    body = """
        import asyncio

        async def leave():
            async for chunk in await acompletion("openai/a", HI, stream=True, **AT):
                break

        for _ in range(2):
            asyncio.run(acompletion("openai/b", HI, **AT))
            asyncio.run(leave())
        completion("openai/b", HI, **AT)
    """
    process = script(upstream, body)
    out, err = process.communicate(timeout=PATIENCE)
    assert (out, err, process.returncode) == ("", "", 0)
    upstream.wait(lambda: all(call.disconnected_at for call in upstream.calls_to("a")))


def test_the_plain_functions_work_inside_a_running_loop_as_in_a_notebook(
    upstream: Upstream,
) -> None:
    upstream.script("b", answers("B"))

    async def cell() -> list[Any]:
        one = fanout.completion("openai/b", HI, **at(upstream))
        many = fanout.batch_completion("openai/b", iter([HI, HI]), **at(upstream))
        chunks = list(fanout.completion("openai/b", HI, stream=True, **at(upstream)))
        return [content(one), *map(content, many), spoken(chunks)]

    assert asyncio.run(cell()) == ["B", "B", "B", "B"]
