"""A race of a slow and a fast model through the gateways, beside the fast model asked directly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, TypeAlias

from .load import Load, put, request
from .report import Section, Verdict
from .servers import Server
from .testbed import HELLO, SCRIPTS, Plan

RACE = {"model": "slow, fast", "fastest_response": True, "messages": HELLO}
PERCENT = 2.0
MILLISECONDS = 5.0

Look: TypeAlias = Callable[[Load], float]
LOOKS: Sequence[tuple[str, bool, Look]] = (
    ("streamed, first word", True, lambda load: load.first),
    ("streamed, whole answer", True, lambda load: load.whole),
    ("plain, whole answer", False, lambda load: load.whole),
)


def measure(stub: Server, servers: Mapping[str, Server], plan: Plan, litellm: str) -> Section:
    """First word and whole answer, streamed and plain."""
    racers = {name: servers[name] for name in ("fanout", "litellm") if name in servers}
    loads = {stream: in_turn(stub, racers, plan.races, stream=stream) for stream in (True, False)}
    rows: list[list[str]] = []
    verdicts: list[Verdict] = []
    for what, stream, look in LOOKS:
        seen = {name: [look(load) for load in found] for name, found in loads[stream].items()}
        alone = median(seen["stub"]) * 1000
        row = [what, f"{alone:.1f} ms"]
        for name in racers:
            added = median(a - b for a, b in zip(seen[name], seen["stub"], strict=True)) * 1000
            share = added / alone * 100
            row.append(f"{added:+.2f} ms, {share:+.2f} %")
            if name == "fanout":
                said = f"race, {what}: added to the fast model's"
                verdicts.append(Verdict(said, share, PERCENT, "%"))
                verdicts.append(Verdict(said, added, MILLISECONDS, "ms"))
        rows.append(row)
    note = (
        "Two scripted models, the slow one named first: it begins after a second; the fast one "
        "says its first word after 200 ms and its tenth, the last, 45 ms later. In turn with the "
        f"fast one asked directly, no gateway between; the median of {plan.races} differences."
    )
    names = {"fanout": "**Fanout** adds", "litellm": f"LiteLLM's proxy {litellm} adds"}
    header = ["", "fast model alone", *(names[name] for name in racers)]
    return Section("A race", note, header, rows, verdicts)


def in_turn(
    stub: Server, racers: Mapping[str, Server], count: int, *, stream: bool
) -> dict[str, list[Load]]:
    """The fast model alone, and a race through each, again and again."""
    direct = f"/{SCRIPTS['fast']}/v1/chat/completions"
    alone = request(_body({"model": "fast", "messages": HELLO}, stream=stream), direct)
    raced = request(_body(RACE, stream=stream))
    found: dict[str, list[Load]] = {name: [] for name in ("stub", *racers)}
    for turn in range(count + 1):  # the first warms them up
        for name, server in {"stub": stub, **racers}.items():
            asked = alone if name == "stub" else raced
            load = put(server.port, asked, clients=1, seconds=5, count=1)
            if turn:
                found[name].append(load)
    return found


def _body(body: dict[str, Any], *, stream: bool) -> dict[str, Any]:
    return {**body, "stream": True} if stream else body
