"""Measures thousands of prompts at once: to a server with HTTP/1.1 only, and over HTTP/2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import NamedTuple

from .prompts import FIGURES, run_client, run_peer, tls_provider, unfinished
from .report import Figure, Section, number
from .servers import ENV
from .testbed import Plan, Testbed

OURS = "**Fanout**"

PATIENCE = 600.0
"""Seconds after which a peer has failed: LiteLLM takes 15 ms or more of CPU for each call."""

PLAIN = "HTTP/1.1 without TLS"
HTTP2 = "HTTP/2 over TLS"


class Load(NamedTuple):
    """So many prompts at once, the peers, and the targets: time relative to the ideal, peak MB."""

    over: str
    prompts: int
    peers: tuple[str, ...]
    wall: float
    peak: float | None = None


LOADS = (
    Load(PLAIN, 1_000, ("litellm-wide", "aiohttp"), 1.3),
    Load(PLAIN, 5_000, ("litellm-wide", "aiohttp"), 1.5),
    Load(HTTP2, 10_000, ("litellm-wide", "pyqwest"), 1.5, 300),
)
PEERS = {
    "litellm-wide": "`litellm.batch_completion`, 1,000 threads",
    "aiohttp": "aiohttp, only the HTTP calls",
    "pyqwest": "pyqwest, only the HTTP calls",
}


def measure(folder: Path, bed: Testbed, plan: Plan) -> Section:
    """Wall time, CPU and memory of each client library, each in its own process."""
    rows, figures = [], []
    for load in LOADS if plan.peers else LOADS[:1]:
        found = _clients(folder, bed, load, plan)
        name = f"{load.prompts:,} prompts, {load.over}"
        rows += [_row(f"{name}: {client}", one) for client, one in found.items()]
        ours = found[OURS]
        assert ours is not None
        figures.append(Figure(f"{name}: time relative to the ideal", ours["wall"], load.wall, "x"))
        if load.peak:
            figures.append(Figure(f"{name}: peak memory", ours["peak"], load.peak, "MB"))
    note = (
        "As above, with as many workers as prompts. The provider takes 1 s for each response, so "
        "the ideal is 1 s. Over HTTP/1.1 each call has a connection of its own, and the provider "
        "is the stub of the other sections. All calls start at once, so the time beyond the ideal "
        "is the CPU of the client and of the provider, on the same cores. pyqwest is the HTTP "
        "client that Fanout uses, without Fanout.\n\n"
        "LiteLLM has 1,000 threads in each row, because each call needs one while it runs, and "
        "speaks HTTP/1.1. A few of its calls get no response, from either provider; it sends these "
        "again after a timeout of 60 s."
    )
    header = ["", "wall time", "CPU for each call", "peak memory", "responses"]
    return Section("Thousands of prompts at once", note, header, rows, figures)


def _clients(
    folder: Path, bed: Testbed, load: Load, plan: Plan
) -> dict[str, dict[str, float] | None]:
    peers = load.peers if plan.peers else ()
    if load.over == HTTP2:
        with tls_provider(folder) as (url, env):
            return _run_all(load, peers, url, env, plan.repeats)
    return _run_all(load, peers, bed.url("steady"), ENV, plan.repeats)


def _run_all(
    load: Load, peers: tuple[str, ...], url: str, env: Mapping[str, str], repeats: int
) -> dict[str, dict[str, float] | None]:
    found: dict[str, dict[str, float] | None]
    found = {OURS: _median("fanout", url, load.prompts, env, repeats)}
    return found | {PEERS[peer]: run_peer(peer, url, load.prompts, env, PATIENCE) for peer in peers}


def _median(
    client: str, url: str, count: int, env: Mapping[str, str], repeats: int
) -> dict[str, float]:
    runs = [run_client(client, url, count, env) for _ in range(repeats)]
    return {name: median(one[name] for one in runs) for name in FIGURES}


def _row(name: str, found: Mapping[str, float] | None) -> list[str]:
    if found is None:
        return [name, unfinished(PATIENCE), "", "", ""]
    costs = number(found["cpu"], "ms"), number(found["peak"], "MB")
    return [name, number(found["wall"], "s"), *costs, f"{found['good']:,.0f}"]
