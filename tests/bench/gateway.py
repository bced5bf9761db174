"""The gateway under load, beside the floor and LiteLLM's proxy."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from .load import put, request
from .report import Section, Verdict, number
from .servers import Server
from .testbed import ASKED, HELLO, Plan, Seen, ratio, rounds

CROWD = 64
NAMES = {"stub": "the stub itself", "floor": "bare ASGI function", "fanout": "**Fanout**"}


def measure(
    stub: Server, servers: Mapping[str, Server], plan: Plan, litellm: str
) -> tuple[Section, Section]:
    """Throughput, one client's latency, memory, streams."""
    names = {**NAMES, "litellm": f"LiteLLM's proxy {litellm}"}
    three = list(servers.values())
    for server in three:  # the first answers of each are its warming up
        put(server.port, ASKED, clients=CROWD, seconds=plan.seconds)
    crowd = rounds(three, ASKED, count=plan.rounds, clients=CROWD, seconds=plan.seconds)
    alone = rounds([stub, *three], ASKED, count=plan.rounds, clients=1, seconds=plan.seconds / 2)
    memory = {name: server.memory() for name, server in servers.items()}
    chunks = _chunks(three, plan)
    grown = _grown(servers["fanout"], plan.requests)
    return (
        _throughput(names, crowd, alone, memory),
        _costs(names, chunks, grown, plan.requests),
    )


def _throughput(
    names: dict[str, str], crowd: dict[str, Seen], alone: dict[str, Seen], memory: dict[str, float]
) -> Section:
    rows = [
        [
            names[name],
            number(crowd[name].rate, "/s") if name in crowd else "",
            number(crowd[name].cpu, "ms") if name in crowd else "",
            number(alone[name].whole * 1000, "ms"),
            number(memory[name], "MB") if name in memory else "",
        ]
        for name in alone
    ]
    rates = {name: [load.rate for load in seen.loads] for name, seen in crowd.items()}
    cpus = {
        name: [c / len(s.wholes) for c, s in zip(seen.cpus, seen.loads, strict=True)]
        for name, seen in crowd.items()
    }
    pairs = zip(alone["fanout"].loads, alone["stub"].loads, strict=True)
    added = median(ours.whole - stub.whole for ours, stub in pairs) * 1000
    verdicts = [
        Verdict(
            f"{CROWD} clients: requests/s beside the bare function's",
            ratio(rates["fanout"], rates["floor"]),
            0.4,
            "x",
            at_least=True,
        ),
        Verdict("1 client: median over the stub's own", added, 1.5, "ms"),
    ]
    if "litellm" in rates:
        verdicts.insert(
            1,
            Verdict(
                f"{CROWD} clients: requests/s beside LiteLLM's proxy's",
                ratio(rates["fanout"], rates["litellm"]),
                25,
                "x",
                at_least=True,
            ),
        )
    note = (
        f"One process each, no log lines, {CROWD} keep-alive clients and one, of a stub that "
        "answers at once. The bare function runs under the same server, makes the same call "
        "through the same HTTP client, and does nothing else. In rounds, one after the other; the "
        "medians of the rounds, and of the ratios within a round. A Fanout request costs "
        f"{number(ratio(cpus['fanout'], cpus['floor']), 'x')} the bare function's CPU."
    )
    header = ["", f"{CROWD} clients", "CPU a request", "1 client, median", "memory"]
    return Section("The gateway", note, header, rows, verdicts)


def _grown(ours: Server, requests: int) -> tuple[float, float]:
    """Megabytes before and after so many requests more."""
    before = ours.memory()
    put(ours.port, ASKED, clients=CROWD, seconds=60, count=requests)
    return before, ours.memory()


def _chunks(servers: list[Server], plan: Plan) -> dict[str, float]:
    """Milliseconds of CPU for each chunk of a stream, sixteen streams at once."""
    asked = request({"model": "talker", "messages": HELLO, "stream": True})
    found: dict[str, list[float]] = {server.name: [] for server in servers}
    for _ in range(3 if plan.peers else 1):
        for server in servers:
            cpu = server.cpu()
            load = put(server.port, asked, clients=16, seconds=5, count=16)
            found[server.name].append((server.cpu() - cpu) * 1000 / (250 * len(load.wholes)))
    return {name: median(costs) for name, costs in found.items()}


def _costs(
    names: dict[str, str], chunks: dict[str, float], grown: tuple[float, float], requests: int
) -> Section:
    rows = [[f"CPU a streamed chunk: {names[n]}", number(cost, "ms")] for n, cost in chunks.items()]
    before, after = grown
    rows.append(
        [
            f"memory before and after {requests:,} requests more: {names['fanout']}",
            f"{number(before, 'MB')}, {number(after, 'MB')} ({after - before:+.1f} MB)",
        ]
    )
    note = "Sixteen streams at once, 250 words each, 4 ms apart."
    return Section("Streams, and memory over time", note, ["", ""], rows)
