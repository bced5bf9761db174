"""Measures the gateway under load, next to a bare ASGI function and LiteLLM's proxy."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from .load import request, run_load
from .report import Figure, Section, number
from .servers import Server
from .testbed import HELLO, STUB_REQUEST, LoadSeries, Plan, median_ratio, run_rounds

CLIENTS = 64
NAMES = {"stub": "the stub itself", "forwarding": "bare ASGI function", "fanout": "**Fanout**"}


def measure(
    stub: Server, servers: Mapping[str, Server], plan: Plan, litellm: str
) -> tuple[Section, Section]:
    """Throughput, latency of a single client, memory and streams."""
    names = {**NAMES, "litellm": f"LiteLLM's proxy {litellm}"}
    measured = list(servers.values())
    for server in measured:  # warm up
        run_load(server.port, STUB_REQUEST, clients=CLIENTS, seconds=plan.seconds)
    many = run_rounds(
        measured, STUB_REQUEST, count=plan.rounds, clients=CLIENTS, seconds=plan.seconds
    )
    single = run_rounds(
        [stub, *measured], STUB_REQUEST, count=plan.rounds, clients=1, seconds=plan.seconds / 2
    )
    memory = {name: server.memory() for name, server in servers.items()}
    chunks = _chunks(measured, plan)
    growth = _growth(servers["fanout"], plan.requests)
    return (
        _throughput(names, many, single, memory),
        _costs(names, chunks, growth, plan.requests),
    )


def _throughput(
    names: dict[str, str],
    many: dict[str, LoadSeries],
    single: dict[str, LoadSeries],
    memory: dict[str, float],
) -> Section:
    rows = [
        [
            names[name],
            number(many[name].rate, "/s") if name in many else "",
            number(many[name].cpu, "ms") if name in many else "",
            number(single[name].response_time * 1000, "ms"),
            number(memory[name], "MB") if name in memory else "",
        ]
        for name in single
    ]
    rates = {name: [load.rate for load in series.loads] for name, series in many.items()}
    cpus = {
        name: [c / len(s.response_times) for c, s in zip(series.cpus, series.loads, strict=True)]
        for name, series in many.items()
    }
    pairs = zip(single["fanout"].loads, single["stub"].loads, strict=True)
    added = median(ours.response_time - stub.response_time for ours, stub in pairs) * 1000
    figures = [
        Figure(
            f"{CLIENTS} clients: requests/s relative to the bare function",
            median_ratio(rates["fanout"], rates["forwarding"]),
            0.55,
            "x",
            at_least=True,
        ),
        Figure("1 client: median time added to the stub's", added, 1.5, "ms"),
    ]
    if "litellm" in rates:
        figures.insert(
            1,
            Figure(
                f"{CLIENTS} clients: requests/s relative to LiteLLM's proxy",
                median_ratio(rates["fanout"], rates["litellm"]),
                25,
                "x",
                at_least=True,
            ),
        )
    note = (
        f"Each server is one process without request logs, loaded by {CLIENTS} keep-alive clients, "
        "then by one. The provider is a stub that responds at once. The bare function runs under "
        "uvicorn, makes the same call with pyqwest, and does nothing "
        "else. The servers are loaded in turn; the figures are medians over all rounds, and "
        "medians of the ratios within a round. A request to Fanout costs "
        f"{number(median_ratio(cpus['fanout'], cpus['forwarding']), 'x')} the bare function's CPU."
    )
    header = ["", f"{CLIENTS} clients", "CPU for each request", "1 client, median", "memory"]
    return Section("The gateway", note, header, rows, figures)


def _growth(ours: Server, requests: int) -> tuple[float, float]:
    """Megabytes before and after this many more requests."""
    before = ours.memory()
    run_load(ours.port, STUB_REQUEST, clients=CLIENTS, seconds=60, count=requests)
    return before, ours.memory()


def _chunks(servers: list[Server], plan: Plan) -> dict[str, float]:
    """Milliseconds of CPU for each streamed chunk, with sixteen streams at once."""
    data = request({"model": "talker", "messages": HELLO, "stream": True})
    found: dict[str, list[float]] = {server.name: [] for server in servers}
    for _ in range(3 if plan.peers else 1):
        for server in servers:
            cpu = server.cpu()
            load = run_load(server.port, data, clients=16, seconds=5, count=16)
            found[server.name].append(
                (server.cpu() - cpu) * 1000 / (250 * len(load.response_times))
            )
    return {name: median(costs) for name, costs in found.items()}


def _costs(
    names: dict[str, str], chunks: dict[str, float], growth: tuple[float, float], requests: int
) -> Section:
    rows = [
        [f"CPU for each streamed chunk: {names[n]}", number(cost, "ms")]
        for n, cost in chunks.items()
    ]
    before, after = growth
    rows.append(
        [
            f"memory before and after {requests:,} more requests: {names['fanout']}",
            f"{number(before, 'MB')}, {number(after, 'MB')} ({after - before:+.1f} MB)",
        ]
    )
    figures = [
        Figure(
            "CPU for each streamed chunk relative to the bare function",
            chunks["fanout"] / chunks["forwarding"],
            1.4,
            "x",
        )
    ]
    note = "Sixteen streams at once, each with 250 words, 4 ms apart."
    return Section("Streams, and memory over time", note, ["", ""], rows, figures)
