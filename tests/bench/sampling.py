"""
Samples where a Python process spends its CPU: in the kernel, in other threads, in which package.

`python -m tests.bench.sampling FILE serve ARGUMENTS` runs the gateway and writes what it has needed
to FILE when it ends; `… FILE prompts URL COUNT` sends so many prompts at once.

A sample is taken after each millisecond of CPU time, or as often as the kernel allows. It belongs
to the package of the innermost frame of Python: time in C counts for the code that called it, and
for the event loop if no code did. The timer also counts the time of other threads.
"""

from __future__ import annotations

import asyncio.runners
import json
import resource
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from types import FrameType

import fanout

INTERVAL = 0.001
"""Seconds of CPU time between two samples."""

LOOP = "the event loop"
"""Sockets, TLS, timers and the scheduling of tasks, in C."""

PACKAGE = str(Path(fanout.__file__).parent) + "/"
LOOP_FILES = frozenset({asyncio.runners.__file__, asyncio.events.__file__})


class Sampler:
    """Counts the samples of the main thread from `start` to `stop`, and the CPU time of all."""

    def __init__(self) -> None:
        self._found: Counter[str] = Counter()
        self._began = (0.0, 0.0, 0.0)

    def start(self) -> None:
        """Begin; the process may not use `SIGPROF` itself."""
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
        self._began = _times()

    def stop(self) -> dict[str, float]:
        """CPU seconds: the main thread in the `kernel` and by package, and other `threads`."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        whole, kernel, user = (now - then for now, then in zip(_times(), self._began, strict=True))
        count, threads = sum(self._found.values()) or 1, max(0.0, whole - kernel - user)
        python = {name: user * number / count for name, number in self._found.items()}
        return {"all": whole, "kernel": kernel, "threads": threads, **python}

    def _sample(self, _signal: int, frame: FrameType | None) -> None:
        self._found[_package(frame)] += 1


def _times() -> tuple[float, float, float]:
    """The CPU time of all threads, and the main thread's in the kernel and outside, in seconds."""
    own = resource.getrusage(resource.RUSAGE_THREAD)
    return time.process_time(), own.ru_stime, own.ru_utime


def _package(frame: FrameType | None) -> str:
    if frame is None or frame.f_code.co_filename in LOOP_FILES or _begins(frame):
        return LOOP
    file = frame.f_code.co_filename
    if file.startswith(PACKAGE):
        return f"fanout/{file.removeprefix(PACKAGE).partition('/')[0]}"
    parts = Path(file).parts
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1].removesuffix(".py")
    return "Python's standard library"


def _begins(frame: FrameType) -> bool:
    """Whether a task has just begun: the signal came before, and Python takes it up only there."""
    caller = frame.f_back
    is_task = caller is not None and caller.f_code.co_filename in LOOP_FILES
    return is_task and frame.f_lineno == frame.f_code.co_firstlineno


def serve(arguments: list[str]) -> dict[str, float]:
    """Run `fanout serve` until it is stopped."""
    from fanout.cli.main import main as run

    sampler = Sampler()
    sampler.start()
    try:
        run(["serve", *arguments])
    finally:
        found = sampler.stop()
    return found


def send_prompts(base: str, count: int) -> dict[str, float]:
    """Send so many prompts at once; the first call, which imports much, is not measured."""
    import uvloop

    from fanout import abatch_completion

    from .prompt_process import KEY, MESSAGES

    async def send(number: int) -> None:
        await abatch_completion(
            "openai/stub", [MESSAGES] * number, max_workers=number, api_base=base, api_key=KEY
        )

    sampler = Sampler()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(send(1))
        sampler.start()
        runner.run(send(count))
        return sampler.stop()


def main(output: Path, what: str, arguments: list[str]) -> None:
    """Run what is to be measured, and write the seconds that it needed."""
    serves = what == "serve"
    found = serve(arguments) if serves else send_prompts(arguments[0], int(arguments[1]))
    output.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
