"""Overload: thousands of clients at once, and small requests next to very large ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from tests.bench.load import KEY

from .clients import TIMEOUT, ClientRequest, Result, send_all
from .gateway_process import Gateway, child, free_port, gateway, model_list, wait_for_port
from .report import Figure

CLIENTS = 2_000
SMALL, GAP = 400, 0.01
"""The number of small requests during a fan-out, and the seconds between two: 100 a second."""

WIDTH = 1_000
"""Models in one fan-out."""

BIG = 8_000_000
"""Bytes of each large body."""

HI = [{"role": "user", "content": "Hi"}]


def measure(folder: Path) -> list[Figure]:
    """All figures, with a provider that costs almost no CPU."""
    port = free_port()
    with child("tests.bench.stub", str(port)):
        wait_for_port(port)
        names = ["stub", *(f"m{index}" for index in range(WIDTH))]
        scripts = {"stub": "20/1/0", "slow": "500/1/0"}
        url = f"http://127.0.0.1:{port}"
        models = model_list(
            [
                *((name, f"{url}/{scripts['stub']}", {"api_key": "none"}) for name in names),
                ("slow", f"{url}/{scripts['slow']}", {"api_key": "none"}),
            ]
        )
        config = {"model_list": models, "general_settings": {"master_key": KEY}}
        with gateway(config, folder, quiet=True) as served:
            alone = send_all(served.port, _small(), KEY)
            return [
                *_delays("small requests alone (the provider takes 20 ms)", alone),
                *_fan_outs(served),
                *_many_clients(served),
                *_large_bodies(served),
            ]


def _small() -> list[ClientRequest]:
    body = {"model": "stub", "messages": HI}
    return [ClientRequest(body, at=index * GAP) for index in range(SMALL)]


def _delays(what: str, results: Sequence[Result]) -> list[Figure]:
    """The 99th percentile, and what no client should get."""
    p99 = sorted(one.seconds for one in results)[int(len(results) * 0.99)] * 1000
    return [
        Figure(f"{what}: p99", p99, 100, "ms", timed=True),
        *_without(f"{what}: responses other than 200", results, {200}),
    ]


def _without(what: str, results: Sequence[Result], expected: Collection[int]) -> list[Figure]:
    """The number of other responses. How many clients gave up depends on the machine's load."""
    gave_up = sum(one.error == TIMEOUT for one in results)
    others = sum(one.status not in expected for one in results) - gave_up
    found = [Figure(what, others, 0)]
    if gave_up:
        found.append(Figure(f"{what}: clients that gave up", gave_up, 0, timed=True))
    return found


def _fan_outs(served: Gateway) -> list[Figure]:
    wide = {"model": [f"m{index}" for index in range(WIDTH)], "messages": HI}
    figures: list[Figure] = []
    for stream, words in ((False, "plain"), (True, "streamed")):
        fan_outs = [
            ClientRequest(wide | {"stream": stream}, at=0.5 + 1.5 * turn) for turn in range(2)
        ]
        results = send_all(served.port, [*fan_outs, *_small()], KEY)
        what = f"{WIDTH:,}-way fan-outs, {words}"
        figures += _without(f"{what}: responses other than 200", results[:2], {200})
        figures += _delays(f"small requests during {what}", results[2:])
    return figures


def _many_clients(served: Gateway) -> list[Figure]:
    """All clients at once; the provider takes half a second."""
    request = ClientRequest({"model": "slow", "messages": HI})
    results = send_all(served.port, [request] * CLIENTS, KEY)
    return _rejections(f"{CLIENTS:,} clients at once", results, served, 10)


def _large_bodies(served: Gateway) -> list[Figure]:
    """Bodies of 8 MB for two models each: 1.6 GB if the gateway held all of them."""
    body = {"model": ["slow", "stub"], "messages": [{"role": "user", "content": "x" * BIG}]}
    results = send_all(served.port, [ClientRequest(body)] * 100, KEY)
    return _rejections("100 bodies of 8 MB at once", results, served, 30)


def _rejections(
    what: str, results: Sequence[Result], served: Gateway, seconds: float
) -> list[Figure]:
    counts = Counter(one.status for one in results)
    succeeded, rejected = counts[200], counts[429]
    without_hint = [one for one in results if one.status == 429 and not one.retry_after]
    return [
        *_without(
            f"{what}: responses other than 200 ({succeeded:,}) and 429 ({rejected:,})",
            results,
            {200, 429},
        ),
        Figure(f"{what}: 429s without Retry-After", len(without_hint), 0),
        Figure(
            f"{what}: time to the last response",
            max(one.seconds for one in results),
            seconds,
            "s",
            timed=True,
        ),
        Figure(f"{what}: peak memory", served.memory("VmHWM"), 1_500, "MB"),
    ]
