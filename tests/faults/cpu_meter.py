"""Measures the CPU that other processes use: times measured on a busy machine mean nothing."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

QUIET = 0.15
"""The share of the CPU that other processes may use; above it, times are not judged."""


class CpuMeter:
    """Measures from its creation on. Linux only: on other systems it reports no other load."""

    def __init__(self) -> None:
        self._began, self._busy, self._own = time.perf_counter(), _busy(), _own()

    def others(self) -> float:
        """The share of the CPU that other processes used. Our own processes must have ended."""
        seconds = (time.perf_counter() - self._began) * (os.cpu_count() or 1)
        taken = (_busy() - self._busy) - (_own() - self._own)
        return max(0.0, taken / seconds)


def _busy() -> float:
    try:
        line = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    except OSError:
        return _own()
    user, nice, system, _idle, _wait, irq, soft, stolen, *_ = (int(ticks) for ticks in line)
    return (user + nice + system + irq + soft + stolen) / os.sysconf("SC_CLK_TCK")


def _own() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
