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
"""Megabytes of a function that has one core."""

PERIOD = 0.1
LOOK = 0.0005
"""Seconds between two looks at what the process has used."""


def share(memory: int) -> float:
    """The part of a core that a function of so many megabytes has."""
    return memory / FULL


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit code. SIGTERM is handed on."""
    quota = float(arguments[0]) * PERIOD
    with subprocess.Popen(arguments[1:]) as process:

        def hand_on(*_: object) -> None:
            process.send_signal(signal.SIGCONT)
            process.terminate()

        signal.signal(signal.SIGTERM, hand_on)
        try:
            _hold(process, quota)
        finally:
            hand_on()
    return process.returncode


def _hold(process: subprocess.Popen[bytes], quota: float) -> None:
    """Period after period; what was used beyond a quota is the next one's."""
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
            time.sleep(until - now if stopped else LOOK)
        if stopped:
            process.send_signal(signal.SIGCONT)
        total = _cpu(process.pid)
        debt = max(0.0, debt + total - used - quota)
        used = total


def _cpu(pid: int) -> float:
    """Seconds that all of a process's threads have worked, by clock_getcpuclockid(3)'s clock."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:  # it has ended
        return float("inf")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
