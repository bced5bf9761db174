"""
Measures how long cancels take on a deployed stack, and prints a table.

`make rehearse TESTS=tests/deployed/measure_cancel.py`; the variables CANCELS and COLD_CANCELS say
how many. The time is from the moment at which the client sends the cancel to that at which the
provider sees that the last call of the request is closed.
"""

from __future__ import annotations

import math
import os
import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import NamedTuple

import pytest

from .deployed_stack import DeployedStack
from .scripted_provider import ScriptedProvider
from .test_cancel import KINDS, Client

CANCELS = int(os.environ.get("CANCELS", "200"))
COLD_CANCELS = int(os.environ.get("COLD_CANCELS", "20"))
AT_ONCE = 4
"""Requests that are open at the same time."""

LONGEST = 3.0
"""Seconds for which a request is open before its cancel, at most."""

pytestmark = pytest.mark.timeout(3_600)


class Times(NamedTuple):
    """Seconds until the calls are closed, and until the cancel has its response."""

    closed: float
    answered: float


class Measurement:
    """Cancels requests of a stack, each kind in turn."""

    def __init__(self, stack: DeployedStack, provider: ScriptedProvider) -> None:
        self._stack = stack
        self._provider = provider
        self._rng = random.Random(15)  # noqa: S311 -- the same moments in each run

    def open(self, client: Client, name: str, kind: str) -> int:
        """Send a request and wait until all its calls are open; return their number."""
        calls, fields = KINDS[kind]
        conversation = [{"role": "user", "content": name}]
        lists = len(fields.get("messages", ()))
        messages = [conversation] * lists if lists else conversation
        client.send(name, {**fields, "messages": messages})
        assert self._provider.was_asked(name, calls)
        return calls

    def cancel(self, client: Client, name: str, calls: int) -> Times:
        """Cancel a request and wait for the end of its calls."""
        asked = time.monotonic()
        assert client.control(name).status == 200
        answered = time.monotonic()
        return Times(self._provider.closed_at(name, calls) - asked, answered - asked)

    def run(self, number: int) -> Times:
        """Open a request, and cancel it at a random moment."""
        name, kind = f"measured-{number}", list(KINDS)[number % len(KINDS)]
        delay = self._rng.uniform(0, LONGEST)
        with ThreadPoolExecutor(1) as threads:
            client = Client(self._stack, threads)
            calls = self.open(client, name, kind)
            time.sleep(delay)
            return self.cancel(client, name, calls)

    def run_cold(self, number: int) -> Times:
        """Open a request, and cancel it through an environment that has to start."""
        name = f"cold-{number}"
        with ThreadPoolExecutor(1) as threads:
            client = Client(self._stack, threads)
            calls = self.open(client, name, "one")
            with self._stack.variant() as version, self._stack.live(version):
                return self.cancel(client, name, calls)

    def rest(self) -> float:
        """The seconds of a request that does nothing."""
        began = time.monotonic()
        assert self._stack.ask("GET", "/models").status == 200
        return time.monotonic() - began

    def rest_cold(self) -> float:
        """The same, if an environment has to start for it."""
        with self._stack.variant() as version, self._stack.live(version):
            return self.rest()


def test_cancels(
    own: DeployedStack, provider: ScriptedProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    measurement = Measurement(own, provider)
    measurement.rest()  # the stack's first request
    idle = [measurement.rest() for _ in range(50)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        warm = list(pool.map(measurement.run, range(CANCELS)))
    cold, starts = [], []
    for number in range(COLD_CANCELS):
        starts.append(measurement.rest_cold())
        cold.append(measurement.run_cold(number))
    rows = [
        ("GET /models, one at a time", idle),
        (f"cancel, {AT_ONCE} requests open: calls closed", [one.closed for one in warm]),
        ("  the cancel's own response", [one.answered for one in warm]),
    ]
    for index, kind in enumerate(KINDS):
        rows.append((f"  calls closed: {kind}", [one.closed for one in warm[index :: len(KINDS)]]))
    rows += [
        ("GET /models, for which an environment starts", starts),
        ("cancel whose environment starts: calls closed", [one.closed for one in cold]),
        ("  the cancel's own response", [one.answered for one in cold]),
    ]
    with capsys.disabled():
        sys.stdout.write(f"\n{'seconds':50}{'number':>8}{'median':>8}{'p99':>8}{'most':>8}\n")
        for what, times in rows:
            figures = (median(times), percentile(times, 0.99), max(times))
            cells = "".join(f"{figure:8.2f}" for figure in figures)
            sys.stdout.write(f"{what:50}{len(times):8}{cells}\n")


def percentile(times: Sequence[float], part: float) -> float:
    """The least time that `part` of all times do not exceed."""
    return sorted(times)[math.ceil(part * len(times)) - 1]
