"""A race of a fast and a slow model through the gateway, beside the fast model asked directly."""

from __future__ import annotations

from statistics import median
from typing import Any

from .load import Load, put, request
from .report import Section, Verdict
from .scene import HELLO, SCRIPTS, Plan
from .servers import Server

RACE = {"model": "fast, slow", "fastest_response": True, "messages": HELLO}
PERCENT = 2.0
MILLISECONDS = 5.0


def measure(stub: Server, gateway: Server, plan: Plan) -> Section:
    """First word and whole answer, streamed and plain."""
    rows: list[list[str]] = []
    verdicts: list[Verdict] = []
    for stream in (True, False):
        pairs = [
            (_once(stub, _direct(stream=stream)), _once(gateway, _asked(stream=stream)))
            for _ in range(plan.races)
        ]
        if stream:
            firsts = [(alone.first, raced.first) for alone, raced in pairs]
            _note(rows, verdicts, "streamed, first word", firsts)
        wholes = [(alone.whole, raced.whole) for alone, raced in pairs]
        name = "streamed, whole answer" if stream else "plain, whole answer"
        _note(rows, verdicts, name, wholes)
    note = (
        "Two scripted models: the fast one says its first word after 200 ms and its tenth, the "
        "last, 45 ms later; the slow one begins after a second. In turn with the fast one asked "
        f"directly, no gateway between; the median of {plan.races} differences."
    )
    header = ["", "fast model alone", "race through Fanout", "added"]
    return Section("A race", note, header, rows, verdicts)


def _note(
    rows: list[list[str]], verdicts: list[Verdict], what: str, pairs: list[tuple[float, float]]
) -> None:
    alone, raced = (median(values) * 1000 for values in zip(*pairs, strict=True))
    added = median(race - fast for fast, race in pairs) * 1000
    share = added / alone * 100
    said = f"{added:+.2f} ms, {share:+.2f} %"
    rows.append([what, f"{alone:.1f} ms", f"{raced:.1f} ms", said])
    verdicts.append(Verdict(f"race, {what}: added to the fast model's", share, PERCENT, "%"))
    verdicts.append(Verdict(f"race, {what}: added to the fast model's", added, MILLISECONDS, "ms"))


def _asked(*, stream: bool) -> bytes:
    return request(_body(RACE, stream=stream))


def _direct(*, stream: bool) -> bytes:
    path = f"/{SCRIPTS['fast']}/v1/chat/completions"
    return request(_body({"model": "fast", "messages": HELLO}, stream=stream), path)


def _body(body: dict[str, Any], *, stream: bool) -> dict[str, Any]:
    return {**body, "stream": True} if stream else body


def _once(server: Server, asked: bytes) -> Load:
    return put(server.port, asked, clients=1, seconds=5, count=1)
