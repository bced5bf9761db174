"""Whether the process's other threads are done."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from functions.api.idle_threads import wait_for_idle_threads

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Lambda runs Linux")


@contextmanager
def thread(work: Callable[[], object]) -> Iterator[threading.Event]:
    """Run work in a thread; yield an event that is set at its end."""
    started, done = threading.Event(), threading.Event()

    def run() -> None:
        started.set()
        work()
        done.set()

    one = threading.Thread(target=run)
    one.start()
    started.wait()
    try:
        yield done
    finally:
        one.join()


def compute() -> None:
    """Work without the interpreter's lock, as the engine's threads do; about 0.1 s."""
    hashlib.pbkdf2_hmac("sha256", b"", b"", 200_000)


def test_threads_that_have_work_are_waited_for() -> None:
    for _ in range(3):
        end, whole = threading.Event(), list[float]()

        def run() -> None:
            compute()
            whole.append(time.thread_time())  # noqa: B023 -- it is run in this round
            end.wait()  # noqa: B023

        worker = threading.Thread(target=run)
        worker.start()
        used = partial(time.clock_gettime, time.pthread_getcpuclockid(worker.ident or 0))
        while used() < 0.01:  # its work has not begun
            time.sleep(0.001)
        asyncio.run(wait_for_idle_threads(limit=50.0))
        seconds = used()
        end.set()
        worker.join()
        assert seconds > 0.8 * whole[0]


def test_threads_that_sleep_are_not_waited_for() -> None:
    wake = threading.Event()
    with thread(wake.wait):
        began = time.monotonic()
        asyncio.run(wait_for_idle_threads(limit=50.0))
        seconds = time.monotonic() - began
        wake.set()
    assert seconds < 25.0


def test_no_thread_is_waited_for_longer_than_the_limit() -> None:
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            compute()

    with thread(work) as done:
        asyncio.run(wait_for_idle_threads(limit=0.01))
        was_done = done.is_set()
        stop.set()
    assert not was_done
