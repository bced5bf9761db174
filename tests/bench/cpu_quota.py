"""
Limits a process to the CPU that AWS gives a Lambda function of some memory size (Linux).

`python -m tests.bench.cpu_quota SHARE COMMAND …` runs the command. Once it has used its share of
one core in a period, it is stopped until the period ends, as the kernel's CFS bandwidth control
does with a Lambda function. This needs no root. "At 1,769 MB, a function has the equivalent of one
vCPU": https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html. The period is the
kernel's default: https://docs.kernel.org/scheduler/sched-bwc.html.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence

FULL = 1769
"""Megabytes of a function that gets one core."""

PERIOD = 0.1
CHECK = 0.0005
"""Seconds between two checks of the CPU time used."""


def share(memory: int) -> float:
    """The share of a core that a function with so many megabytes gets."""
    return memory / FULL


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code. SIGTERM is forwarded."""
    quota = float(arguments[0]) * PERIOD
    with subprocess.Popen(arguments[1:]) as process:

        def terminate(*_: object) -> None:
            process.send_signal(signal.SIGCONT)
            process.terminate()

        signal.signal(signal.SIGTERM, terminate)
        try:
            _limit(process, quota)
        finally:
            terminate()
    return process.returncode


def _limit(process: subprocess.Popen[bytes], quota: float) -> None:
    """Enforce the quota in each period; CPU used beyond it counts in the next."""
    used = _cpu(process.pid)
    until = time.perf_counter()
    debt = 0.0
    while process.poll() is None:
        until = max(until + PERIOD, time.perf_counter())
        stopped = False
        while (now := time.perf_counter()) < until:
            if not stopped and debt + _cpu(process.pid) - used >= quota:
                process.send_signal(signal.SIGSTOP)
                stopped = True
            time.sleep(until - now if stopped else CHECK)
        if stopped:
            process.send_signal(signal.SIGCONT)
        total = _cpu(process.pid)
        debt = max(0.0, debt + total - used - quota)
        used = total


def _cpu(pid: int) -> float:
    """CPU seconds of all threads of a process, by the clock of clock_getcpuclockid(3)."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:  # the process has ended
        return float("inf")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
