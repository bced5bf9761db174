"""What runs beside the soak test's requests: jobs, raw bytes, and clients that do not read."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from tests.bench.load import KEY as CLIENT_KEY
from tests.fuzz.raw_http import WITHOUT_END, RawClient

from .attacks.attack import connect
from .attacks.connections import PIPELINED
from .attacks.keys import create_job, line, wait_for_job
from .gateway_process import Gateway

KEY = {"authorization": f"Bearer {CLIENT_KEY}"}
LINES = 50
UNREAD = 3.0
"""Seconds in which a slow client reads nothing."""


class Traffic:
    """Each kind in a thread of its own. `counts` are the times, `failures` what went wrong."""

    def __init__(self, served: Gateway) -> None:
        self._served = served
        self._raw = RawClient(served.port, served.process.pid, seed=1)
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send in this block; at its end, let each thread finish what it does."""
        ended = Event()
        kinds: dict[str, tuple[Callable[[], None], float]] = {
            "jobs": (self._job, 2.0),
            "raw connections": (self._raw_bytes, 0.05),
            "endless requests": (self._endless, 1.0),
            "slow readers": (self._slow_reader, 0.5),
        }
        threads = [
            Thread(target=self._repeat, args=(name, action, pause, ended))
            for name, (action, pause) in kinds.items()
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def _repeat(self, name: str, action: Callable[[], None], pause: float, ended: Event) -> None:
        while not ended.wait(pause):
            try:
                action()
            except Exception as error:  # noqa: BLE001 -- reported at the end of the round
                self.failures.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")
            self.counts[name] += 1

    def _job(self) -> None:
        data = b"".join(line(f"n{number}", "stub") for number in range(LINES))
        _, job = create_job(self._served, data, KEY)
        done = wait_for_job(self._served, job, KEY)
        assert done["request_counts"]["completed"] == LINES, done
        for file_id in (done["input_file_id"], done["output_file_id"]):
            assert self._served.json(None, f"/v1/files/{file_id}", "DELETE", KEY)[0] == 200

    def _raw_bytes(self) -> None:
        self._raw.valid()
        self._raw.broken()

    def _endless(self) -> None:
        names = list(WITHOUT_END)
        sock = self._raw.endless(names[self.counts["endless requests"] % len(names)])
        sock.close()

    def _slow_reader(self) -> None:
        with connect(self._served.port) as sock:
            sock.sendall(PIPELINED * 16)
            time.sleep(UNREAD)
            sock.recv(1_000)
