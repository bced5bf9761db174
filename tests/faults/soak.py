"""
`make soak`: mixed traffic for half an hour (or `MINUTES`), at about half of the maximum rate.

The traffic has plain and streamed responses, races, fan-outs, failures and clients that disconnect.
Each minute prints the number of responses and the memory and files in use. Exits with 1 if an
unexpected request failed, or if memory or open files grew.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.bench.load import KEY
from tests.support.provider_steps import refuse, role, stalls
from tests.support.scripted_provider import Upstream, open_upstream

from .clients import ClientRequest, disconnecting, send_all
from .gateway_process import Gateway, child, free_port, gateway, model_list, wait_for_port

MINUTES = 30.0
MOST = 50
"""The most requests a second: each has its own connection, which costs this process CPU."""

MOST_MB, MOST_FILES = 20, 20
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
    return min(MOST, max(1, int(200 / (time.perf_counter() - began) / 2)))


def _request(index: int, at: float = 0.0) -> ClientRequest:
    return ClientRequest({"messages": HI, **GOOD[index % len(GOOD)]}, at=at)


def _run(served: Gateway, upstream: Upstream, rate: int, minutes: float) -> int:
    until = time.perf_counter() + minutes * 60
    statuses: Counter[int] = Counter()
    usage: list[tuple[float, int]] = []
    while time.perf_counter() < until:
        seconds = min(60.0, minutes * 60)
        count = int(rate * seconds)
        requests = [_request(index, at=index / rate) for index in range(count)]
        results = send_all(served.port, requests, KEY)
        statuses.update(one.status for one in results)
        send_all(served.port, disconnecting(LEFT, 20, count), KEY)
        time.sleep(0.5)
        orphans = sum(not call.ended for call in upstream.calls)
        upstream.calls.clear()
        memory, files = served.memory(), served.files()
        usage.append((memory, files))
        print(f"{dict(statuses)}; {memory:.1f} MB, {files} files, {orphans} orphans", flush=True)
        if set(statuses) != {200} or orphans:
            return 1
    memory, files = usage[-1][0] - usage[0][0], usage[-1][1] - usage[0][1]
    print(f"grew by {memory:.1f} MB and {files} files since the first minute")
    return int(memory > MOST_MB or files > MOST_FILES)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if sys.argv[1:] else MINUTES))
