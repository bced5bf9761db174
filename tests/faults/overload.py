"""More than one process can do: thousands of callers at once, and giants among small requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.bench.load import KEY

from .clients import Ask, Heard, ask_all
from .gateway_process import Gateway, child, free_port, gateway, listed, wait_for_port
from .report import Figure

CALLERS = 2_000
SMALL, GAP = 400, 0.01
"""Small requests beside a fan-out, and the seconds between two: a hundred a second."""

WAY = 1_000
BIG = 8_000_000
"""Bytes of each body of those that are too much together."""

HI = [{"role": "user", "content": "Hi"}]


def measure(folder: Path) -> list[Figure]:
    """Every figure; the provider is one that costs next to nothing."""
    port = free_port()
    with child("tests.bench.stub", str(port)):
        wait_for_port(port)
        names = ["stub", *(f"m{index}" for index in range(WAY))]
        scripts = {"stub": "20/1/0", "slow": "500/1/0"}
        url = f"http://127.0.0.1:{port}"
        models = listed(
            [
                *((name, f"{url}/{scripts['stub']}", {"api_key": "none"}) for name in names),
                ("slow", f"{url}/{scripts['slow']}", {"api_key": "none"}),
            ]
        )
        config = {"model_list": models, "general_settings": {"master_key": KEY}}
        with gateway(config, folder, quiet=True) as served:
            calm = _p99(ask_all(served.port, _small(), KEY))
            return [
                Figure(
                    "small requests alone (the provider takes 20 ms): p99",
                    calm,
                    100,
                    "ms",
                    timed=True,
                ),
                *_fan_outs(served),
                *_crowd(served),
                *_big(served),
            ]


def _small() -> list[Ask]:
    body = {"model": "stub", "messages": HI}
    return [Ask(body, at=index * GAP) for index in range(SMALL)]


def _p99(heard: Sequence[Heard]) -> float:
    """Milliseconds that 99 in 100 took at most; an answer but 200 is an error."""
    assert {one.status for one in heard} == {200}, Counter(one.status for one in heard)
    return sorted(one.seconds for one in heard)[int(len(heard) * 0.99)] * 1000


def _fan_outs(served: Gateway) -> list[Figure]:
    everyone = {"model": [f"m{index}" for index in range(WAY)], "messages": HI}
    figures = []
    for stream, words in ((False, "plain"), (True, "streamed")):
        giants = [Ask(everyone | {"stream": stream}, at=0.5 + 1.5 * turn) for turn in range(2)]
        heard = ask_all(served.port, [*giants, *_small()], KEY)
        assert [one.status for one in heard[:2]] == [200, 200]
        name = f"small requests beside {WAY:,}-way fan-outs, {words}: p99"
        figures.append(Figure(name, _p99(heard[2:]), 100, "ms", timed=True))
    return figures


def _crowd(served: Gateway) -> list[Figure]:
    """All at once, of a provider that takes half a second."""
    heard = ask_all(served.port, [Ask({"model": "slow", "messages": HI})] * CALLERS, KEY)
    return [*_refusals(f"{CALLERS:,} callers at once", heard, served, 10)]


def _big(served: Gateway) -> list[Figure]:
    """Bodies of 8 MB, for two models each: 1.6 GB if all were held."""
    body = {"model": ["slow", "stub"], "messages": [{"role": "user", "content": "x" * BIG}]}
    heard = ask_all(served.port, [Ask(body)] * 100, KEY)
    return _refusals("100 bodies of 8 MB at once", heard, served, 30)


def _refusals(what: str, heard: Sequence[Heard], served: Gateway, seconds: float) -> list[Figure]:
    counts = Counter(one.status for one in heard)
    fine, refused = counts[200], counts[429]
    hasty = [one for one in heard if one.status == 429 and not one.retry_after]
    return [
        Figure(
            f"{what}: answers that are neither 200 nor 429 ({fine} and {refused})",
            len(heard) - fine - refused,
            0,
        ),
        Figure(f"{what}: refusals without Retry-After", len(hasty), 0),
        Figure(
            f"{what}: the last answer", max(one.seconds for one in heard), seconds, "s", timed=True
        ),
        Figure(f"{what}: memory at its peak", served.memory("VmHWM"), 1_500, "MB"),
    ]
