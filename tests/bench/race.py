"""Measures a race, and an agreement, next to calling the fast model directly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, TypeAlias

from .load import LoadResult, request, run_load
from .report import Figure, Section
from .servers import Server
from .testbed import HELLO, SCRIPTS, Plan

RACE = {"model": "slow, fast", "fastest_response": True, "messages": HELLO}
VOTE = {
    "fanout": {"mode": "agree", "models": ["slow", "fast", "fast"], "start": "all"},
    "messages": HELLO,
}
PERCENT = 2.0
MILLISECONDS = 5.0

Metric: TypeAlias = Callable[[LoadResult], float]
METRICS: Sequence[tuple[str, bool, Metric]] = (
    ("streamed, first word", True, lambda load: load.first_word),
    ("streamed, whole response", True, lambda load: load.response_time),
    ("plain, whole response", False, lambda load: load.response_time),
)


def measure(stub: Server, servers: Mapping[str, Server], plan: Plan, litellm: str) -> Section:
    """First word and whole response, streamed and plain."""
    racers = {name: servers[name] for name in ("fanout", "litellm") if name in servers}
    loads = {stream: in_turn(stub, racers, plan.races, stream=stream) for stream in (True, False)}
    rows: list[list[str]] = []
    figures: list[Figure] = []
    for what, stream, metric in METRICS:
        times = {name: [metric(load) for load in runs] for name, runs in loads[stream].items()}
        alone = median(times["stub"]) * 1000
        row = [what, f"{alone:.1f} ms"]
        for name in racers:
            added = median(a - b for a, b in zip(times[name], times["stub"], strict=True)) * 1000
            share = added / alone * 100
            row.append(f"{added:+.2f} ms, {share:+.2f} %")
            if name == "fanout":
                title = f"race, {what}: added to the fast model's time"
                figures.append(Figure(title, share, PERCENT, "%"))
                figures.append(Figure(title, added, MILLISECONDS, "ms"))
        rows.append(row)
    row, figure = vote(stub, servers["fanout"], plan)
    rows.append([*row, *[""] * (len(racers) - 1)])
    figures.append(figure)
    note = (
        "A race of two scripted models. The slow one, named first, starts after a second. The fast "
        "one sends its first word after 200 ms and its tenth and last 45 ms later. Each race "
        "alternates with a direct call to the fast model, without a gateway; the figures are "
        f"medians of {plan.races} differences. In mode agree, the fast model has two votes, and "
        "the slow one is cancelled."
    )
    names = {"fanout": "**Fanout** adds", "litellm": f"LiteLLM's proxy {litellm} adds"}
    header = ["", "fast model alone", *(names[name] for name in racers)]
    return Section("A race", note, header, rows, figures)


def vote(stub: Server, fanout: Server, plan: Plan) -> tuple[list[str], Figure]:
    """The time of a decision next to that of the second equal response alone."""
    votes = in_turn(stub, {"fanout": fanout}, plan.races, stream=False, body=VOTE)
    times = {name: [load.response_time for load in runs] for name, runs in votes.items()}
    alone = median(times["stub"]) * 1000
    added = median(a - b for a, b in zip(times["fanout"], times["stub"], strict=True)) * 1000
    share = added / alone * 100
    row = ["agree, two fast of three", f"{alone:.1f} ms", f"{added:+.2f} ms, {share:+.2f} %"]
    allowed = MILLISECONDS + alone * PERCENT / 100
    return row, Figure("agree: added to the second equal response", added, allowed, "ms")


def in_turn(
    stub: Server,
    racers: Mapping[str, Server],
    count: int,
    *,
    stream: bool,
    body: dict[str, Any] = RACE,
) -> dict[str, list[LoadResult]]:
    """Repeat a direct call to the fast model, and a race through each gateway, in turn."""
    direct = f"/{SCRIPTS['fast']}/v1/chat/completions"
    alone = request(_body({"model": "fast", "messages": HELLO}, stream=stream), direct)
    raced = request(_body(body, stream=stream))
    found: dict[str, list[LoadResult]] = {name: [] for name in ("stub", *racers)}
    for turn in range(count + 1):  # the first warms up
        for name, server in {"stub": stub, **racers}.items():
            data = alone if name == "stub" else raced
            load = run_load(server.port, data, clients=1, seconds=5, count=1)
            if turn:
                found[name].append(load)
    return found


def _body(body: dict[str, Any], *, stream: bool) -> dict[str, Any]:
    return {**body, "stream": True} if stream else body
