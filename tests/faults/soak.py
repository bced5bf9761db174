"""
`make soak`: mixed traffic for half an hour (or `MINUTES`), at about half of what there can be.

Plain and streamed answers, races, fan-outs, failures, callers that vanish. Each minute tells how
many were answered and what the process holds; 1 if anything failed that should not have, or grew.
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

from .clients import Ask, ask_all, vanishing
from .gateway_process import Gateway, child, free_port, gateway, listed, wait_for_port

MINUTES = 30.0
MOST = 50
"""Requests a second at the most: each has a connection of its own, which is work for the asker."""

MOST_MB, MOST_FILES = 20, 20
"""What the process may gain after its first minute."""

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
    """Go on for so long."""
    port = free_port()
    with (
        tempfile.TemporaryDirectory() as folder,
        child("tests.bench.stub", str(port)),
        open_upstream() as upstream,
    ):
        wait_for_port(port)
        with gateway(_config(port, upstream), Path(folder), quiet=True) as served:
            rate = _half(served)
            print(f"{rate} requests a second", flush=True)
            return _go_on(served, upstream, rate, minutes)


def _config(port: int, upstream: Upstream) -> dict[str, object]:
    upstream.script("bad", [refuse(500)])
    upstream.script("silent", stalls(role))
    url, key = f"http://127.0.0.1:{port}", {"api_key": "none", "num_retries": 0}
    models = [("stub", url, key), ("slow", f"{url}/100/10/5", key)]
    models += [(name, upstream.url, key) for name in ("bad", "silent")]
    return {"model_list": listed(models), "general_settings": {"master_key": KEY}}


def _half(served: Gateway) -> int:
    """Half of the requests that it answers in a second when they come all at once."""
    asks = [Ask({"messages": HI, **GOOD[index % len(GOOD)]}) for index in range(200)]
    began = time.perf_counter()
    ask_all(served.port, asks, KEY)
    return min(MOST, max(1, int(200 / (time.perf_counter() - began) / 2)))


def _go_on(served: Gateway, upstream: Upstream, rate: int, minutes: float) -> int:
    until = time.perf_counter() + minutes * 60
    answers: Counter[int] = Counter()
    held: list[tuple[float, int]] = []
    while time.perf_counter() < until:
        seconds = min(60.0, minutes * 60)
        count = int(rate * seconds)
        asks = [
            Ask({"messages": HI, **GOOD[index % len(GOOD)]}, at=index / rate)
            for index in range(count)
        ]
        heard = ask_all(served.port, asks, KEY)
        answers.update(one.status for one in heard)
        ask_all(served.port, vanishing(LEFT, 20, count), KEY)
        time.sleep(0.5)
        orphans = sum(not call.ended for call in upstream.calls)
        upstream.calls.clear()
        memory, files = served.memory(), served.files()
        held.append((memory, files))
        print(f"{dict(answers)}; {memory:.1f} MB, {files} files, {orphans} orphans", flush=True)
        if set(answers) != {200} or orphans:
            return 1
    memory, files = held[-1][0] - held[0][0], held[-1][1] - held[0][1]
    print(f"gained {memory:.1f} MB and {files} files since the first minute")
    return int(memory > MOST_MB or files > MOST_FILES)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if sys.argv[1:] else MINUTES))
