"""Searches for leaks: clients that disconnect at random moments, and ten thousand requests."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.load import KEY, request, run_load
from tests.support.provider_steps import answers, cut, pause, refuse, role, say, stalls, stop
from tests.support.scripted_provider import Script, Upstream, open_upstream

from .clients import ClientRequest, disconnecting, send_all
from .gateway_process import Gateway, child, free_port, gateway, model_list, wait_for_port
from .report import Figure

SEED = 5
DISCONNECTS = 400
"""Clients that disconnect."""

ROUNDS, PLAIN, STREAMED, FAILED, LEFT = 4, 2_000, 350, 100, 50
"""The number of rounds, and of requests of each kind in a round: 10,000 requests in all."""

HI = [{"role": "user", "content": "Hi"}]

SCRIPTS: Mapping[str, Script] = {
    "slow": answers("Hello", after=0.4),
    "talks": answers(*["word"] * 50, between=0.01),
    "silent": stalls(role),
    "stuck": stalls(role, say("Once")),
    "late": [pause(0.2), refuse(500)],
    "breaks": [role, say("Once"), pause(0.1), cut],
    "headless": [pause(5), stop],
}


def bodies() -> list[dict[str, Any]]:
    """One request in each mode for every pair of models, plain and streamed."""
    found: list[dict[str, Any]] = []
    names = list(SCRIPTS)
    for first, second in zip(names, [*names[1:], names[0]], strict=True):
        both = [first, second]
        for form in (
            {"model": first},
            {"model": both},
            {"model": both, "fastest_response": True},
            {"fanout": {"mode": "hedge", "models": both, "stagger": 0.05}},
            {"fanout": {"mode": "fallback", "models": both}},
            {"model": both, "messages": [HI, HI, HI]},
        ):
            found += [{"messages": HI, **form, "stream": stream} for stream in (False, True)]
    return found


def measure(folder: Path) -> list[Figure]:
    """Both measurements."""
    return [*_disconnects(folder), *_growth(folder)]


@contextmanager
def _gateway_to(folder: Path, upstream: Upstream) -> Iterator[Gateway]:
    for name, script in SCRIPTS.items():
        upstream.script(name, script)
    config = {
        "model_list": model_list([(name, upstream.url, {"api_key": "none"}) for name in SCRIPTS]),
        "general_settings": {"master_key": KEY},
    }
    with gateway(config, folder, quiet=True) as served:
        yield served


def _disconnects(folder: Path) -> list[Figure]:
    with open_upstream() as upstream, _gateway_to(folder, upstream) as served:
        send_all(served.port, [ClientRequest({"model": "slow", "messages": HI})], KEY)
        before = served.files()
        send_all(served.port, disconnecting(bodies(), DISCONNECTS, SEED), KEY)
        time.sleep(0.1)
        orphans = [call for call in upstream.calls if not call.ended]
        calls = len(upstream.calls)
        more = _settled(lambda: served.files() - before)
    assert calls > DISCONNECTS / 2, "too few calls reached the providers"
    return [
        Figure(
            f"{DISCONNECTS} clients disconnect: calls still open after 100 ms (of {calls})",
            len(orphans),
            0,
            timed=True,
        ),
        Figure(f"{DISCONNECTS} clients disconnect: additional open files", more, 40),
    ]


def _settled(count: Any) -> float:
    """The least of a count over two seconds: idle connections are closed a little later."""
    least = float(count())
    for _ in range(20):
        time.sleep(0.1)
        least = min(least, float(count()))
    return max(least, 0.0)


def _growth(folder: Path) -> list[Figure]:
    """Growth of memory and sockets over 10,000 successful, failed and disconnected requests."""
    port = free_port()
    with child("tests.bench.stub", str(port)), open_upstream() as upstream:
        wait_for_port(port)
        upstream.script("bad", [refuse(500)])
        upstream.script("silent", stalls(role))
        models = model_list(
            [
                ("stub", f"http://127.0.0.1:{port}", {"api_key": "none"}),
                ("bad", upstream.url, {"api_key": "none", "num_retries": 0}),
                ("silent", upstream.url, {"api_key": "none"}),
            ]
        )
        config = {"model_list": models, "general_settings": {"master_key": KEY}}
        with gateway(config, folder, quiet=True) as served:
            _round(served)
            memory, files = served.memory(), served.files()
            for _ in range(ROUNDS):
                _round(served)
            growth = served.memory() - memory
            more = _settled(lambda: served.files() - files)
    count = ROUNDS * (PLAIN + STREAMED + FAILED + LEFT)
    return [
        Figure(f"{count:,} requests: memory growth", growth, 15, "MB"),
        Figure(f"{count:,} requests: additional open files", more, 100),
    ]


def _round(served: Gateway) -> None:
    for stream, count in ((False, PLAIN), (True, STREAMED)):
        body = {"model": "stub", "messages": HI, "stream": stream}
        run_load(served.port, request(body), clients=32, seconds=60, count=count)
    failing = ClientRequest({"model": "bad", "messages": HI})
    failed = send_all(served.port, [failing] * FAILED, KEY)
    assert {result.status for result in failed} == {502}
    silent = {"model": "silent", "messages": HI}
    forms: list[dict[str, Any]] = [silent, silent | {"stream": True}]
    send_all(served.port, disconnecting(forms, LEFT, SEED), KEY)
