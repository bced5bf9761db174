"""
`make soak`: mixed traffic for half an hour (or `MINUTES`), at about half of the maximum rate.

The traffic has plain and streamed responses, races, fan-outs, failures and clients that disconnect,
and beside them jobs, raw bytes, endless requests and clients that do not read. Each minute prints
the number of responses, and the memory, files and threads in use. Exits with 1 if an unexpected
request failed, or if memory, files or threads grew.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.load import KEY
from tests.support.provider_steps import refuse, role, stalls
from tests.support.scripted_provider import Upstream, open_upstream

from .clients import ClientRequest, Result, disconnecting, send_all
from .gateway_process import Gateway, child, free_port, gateway, model_list, wait_for_port
from .soak_traffic import Traffic

MINUTES = 30.0
SETTLING = 2.0
"""Seconds for connections to close."""

FASTEST = 50
"""The most requests a second: each has its own connection, which costs this process CPU."""


class Usage(NamedTuple):
    """What the process holds; threads are few, whatever the traffic."""

    memory: float
    files: int
    threads: int

    def __str__(self) -> str:
        return f"{self.memory:.1f} MB, {self.files} files, {self.threads} threads"


MOST = Usage(20.0, 20, 4)
"""How much the process may grow after its first minute."""

HI = [{"role": "user", "content": "Hi"}]
BOTH = ["stub", "slow"]
GOOD = (
    {"model": "stub"},
    {"model": "stub", "stream": True},
    {"model": BOTH, "fastest_response": True},
    {"model": BOTH, "fastest_response": True, "stream": True},
    {"model": BOTH},
    {"model": "bad", "fallbacks": ["stub"]},
    {"model": "stub", "messages": [HI] * 20},
)
LEFT = [{"model": "silent", "messages": HI, "stream": stream} for stream in (False, True)]


def main(minutes: float) -> int:
    """Run for so many minutes."""
    port = free_port()
    with (
        tempfile.TemporaryDirectory() as folder,
        child("tests.bench.stub", str(port)),
        open_upstream() as upstream,
    ):
        wait_for_port(port)
        with gateway(_config(port, upstream), Path(folder), quiet=True) as served:
            rate = _half_rate(served)
            print(f"{rate} requests a second", flush=True)
            return _run(served, upstream, rate, minutes)


def _config(port: int, upstream: Upstream) -> dict[str, object]:
    upstream.script("bad", [refuse(500)])
    upstream.script("silent", stalls(role))
    url, key = f"http://127.0.0.1:{port}", {"api_key": "none", "num_retries": 0}
    models = [("stub", url, key), ("slow", f"{url}/100/10/5", key)]
    models += [(name, upstream.url, key) for name in ("bad", "silent")]
    return {"model_list": model_list(models), "general_settings": {"master_key": KEY}}


def _half_rate(served: Gateway) -> int:
    """Half of the requests a second that the gateway serves when they arrive together."""
    requests = [_request(index) for index in range(200)]
    began = time.perf_counter()
    send_all(served.port, requests, KEY)
    return min(FASTEST, max(1, int(200 / (time.perf_counter() - began) / 2)))


def _request(index: int, at: float = 0.0) -> ClientRequest:
    return ClientRequest({"messages": HI, **GOOD[index % len(GOOD)]}, at=at)


def _run(served: Gateway, upstream: Upstream, rate: int, minutes: float) -> int:
    until = time.perf_counter() + minutes * 60
    statuses: Counter[int] = Counter()
    usage: list[Usage] = []
    traffic = Traffic(served)
    while time.perf_counter() < until:
        count = int(rate * min(60.0, minutes * 60))
        requests = [_request(index, at=index / rate) for index in range(count)]
        with traffic.running():
            results = send_all(served.port, requests, KEY)
        statuses.update(one.status for one in results)
        send_all(served.port, disconnecting(LEFT, 20, count), KEY)
        time.sleep(0.5)
        orphans = sum(not call.ended for call in upstream.calls)
        upstream.calls.clear()
        usage.append(_settled(served))
        print(f"{dict(statuses)}; {usage[-1]}, {orphans} orphans", flush=True)
        if set(statuses) != {200} or orphans or traffic.failures:
            print("\n".join([*traffic.failures, *_without_response(requests, results)]))
            return 1
    print(", ".join(f"{number} {name}" for name, number in traffic.counts.items()))
    now, then = usage[-1], usage[0]
    grown = Usage(now.memory - then.memory, now.files - then.files, now.threads - then.threads)
    print(f"grew by {grown} since the first minute")
    return int(any(more > most for more, most in zip(grown, MOST, strict=True)))


def _without_response(
    requests: Sequence[ClientRequest], results: Sequence[Result]
) -> Iterator[str]:
    """Each request that got no response: when it was sent, and why."""
    for request, result in zip(requests, results, strict=True):
        if not result.status:
            yield f"at {request.at:.1f} s, after {result.seconds:.1f} s: {result.error}"


def _settled(served: Gateway) -> Usage:
    """What the process holds once the connections of this round are closed."""
    end = time.perf_counter() + SETTLING
    found = Usage(served.memory(), served.files(), served.threads())
    while time.perf_counter() < end:
        time.sleep(0.1)
        found = Usage(
            served.memory(), min(found.files, served.files()), min(found.threads, served.threads())
        )
    return found


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if sys.argv[1:] else MINUTES))
