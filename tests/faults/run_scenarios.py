"""Plays a scenario in every mode against the gateway, and tells what happened in a row's words."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.gateway_response import Said
from tests.support.provider_steps import answers, pause, wait
from tests.support.scripted_provider import Upstream, open_upstream

from .gateway_process import Gateway, free_port, gateway, listed, nobodys_certificate
from .rows import MODES, WAYS, Mode, Row, Way
from .scenarios import Scenario

PROMPT = "zebra-prompt-marker"
KEY = "sk-provider-secret-0123456789"
CALLER = "sk-caller-0123456789"
STAGGER = 0.2
HEAD_START = 0.15
"""Seconds from a fault to the other model's answer: long enough for the fault to be known."""

SECRETS = (KEY, CALLER, PROMPT, "10.1.2.3", "nowhere.invalid")
ORPHANED = 0.1
"""Seconds after an answer in which every call of it is over."""

LONGEST = 30
"""Characters of an answer that a row shows."""


@dataclass(frozen=True)
class Stage:
    """Where scenarios are played."""

    gateway: Gateway
    upstream: Upstream
    scenarios: Sequence[Scenario]
    patience: float
    head_start: float


def names(scenario: Scenario, mode: Mode, way: Way) -> tuple[str, str]:
    """The two models of a row, which nobody else asks: the faulty one, and the good one."""
    stem = f"{scenario.name}/{mode}/{way}".replace(" ", "-")
    return f"{stem}/bad", f"{stem}/good"


@contextmanager
def stage(
    scenarios: Sequence[Scenario],
    folder: Path,
    patience: float = ORPHANED,
    head_start: float = HEAD_START,
) -> Iterator[Stage]:
    """
    The providers, and a gateway that knows two models for each row.

    After `patience` seconds a call that is still open is an orphan; `head_start` is what a fault
    has before the other model answers.
    """
    with open_upstream() as here, open_upstream(nobodys_certificate()) as tls:
        addresses = {
            "here": here.url,
            "tls": tls.url,
            "dns": "https://nowhere.invalid",
            "closed": f"http://127.0.0.1:{free_port()}",
        }
        models: list[tuple[str, str, dict[str, Any]]] = []
        for scenario, mode, way in every(scenarios):
            bad, good = names(scenario, mode, way)
            models.append((bad, addresses[scenario.where], {"api_key": KEY, **scenario.params}))
            models.append((good, here.url, {"api_key": KEY}))
        config = {
            "model_list": listed(models),
            "router_settings": {"num_retries": 0},
            "general_settings": {"master_key": CALLER},
        }
        with gateway(config, folder) as served:
            yield Stage(served, here, scenarios, patience, head_start)
            assert tls.calls == [], "a call went to a server that nobody trusts"


def every(scenarios: Sequence[Scenario]) -> Iterator[tuple[Scenario, Mode, Way]]:
    """Each row's place."""
    for scenario in scenarios:
        for mode in MODES:
            for way in WAYS:
                yield scenario, mode, way


def play_all(place: Stage, parallel: int = 4) -> list[Row]:
    """Every row, several at once; heavy ones alone."""
    todo = list(every(place.scenarios))
    light = [one for one in todo if not one[0].heavy]
    with ThreadPoolExecutor(parallel) as pool:
        rows = list(pool.map(lambda one: play(place, *one), light))
    rows += [play(place, *one) for one in todo if one[0].heavy]
    order: list[tuple[str, str, str]] = [(scenario.name, mode, way) for scenario, mode, way in todo]
    return sorted(rows, key=lambda row: order.index(row.key))


def play(place: Stage, scenario: Scenario, mode: Mode, way: Way) -> Row:
    """One row."""
    bad, good = names(scenario, mode, way)
    gate = place.upstream.gate()
    place.upstream.script(bad, *scenario.scripts(gate))
    first = wait(gate) if scenario.where == "here" else pause(0)
    place.upstream.script(good, [first, *answers("Hi", after=place.head_start)])
    asked = _request(mode, bad, good) | {"stream": way == "streamed"} | scenario.asked
    request_id = f"{bad.removesuffix('/bad')}".replace("/", ".")
    started = time.perf_counter()
    said = place.gateway.chat(
        asked, {"authorization": f"Bearer {CALLER}", "x-request-id": request_id}
    )
    took = time.perf_counter() - started
    orphans = _orphans(place, bad, good)
    told = place.gateway.told(request_id)
    got = describe(said, bad, good)
    if leaks := _leaks(said, told, place.upstream.url):
        got += f", and leaks {leaks}"
    saw = _saw(place.upstream, bad, good) + orphans
    return Row(scenario.name, mode, way, f"{took:.2f}", got, saw, _logged(told, bad, good))


def _request(mode: Mode, bad: str, good: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": PROMPT}]
    both = [bad, good]
    forms: dict[Mode, dict[str, Any]] = {
        "one": {"model": bad},
        "race": {"model": both, "fastest_response": True},
        "all": {"model": both},
        "hedge": {"fanout": {"mode": "hedge", "models": both, "stagger": STAGGER}},
        "fallback": {"fanout": {"mode": "fallback", "models": both}},
    }
    return {**forms[mode], "messages": messages}


def describe(said: Said, bad: str, good: str) -> str:
    """An answer in words: its status, whose words they are, and what it ends with."""
    short = {bad: "bad", good: "good"}
    after = f", retry-after {said.headers['retry-after']}" if "retry-after" in said.headers else ""
    if not said.texts:
        code = _code(said.error) if said.error else "nothing"
        return f"{said.status} {code}{after}"
    parts = []
    for index, text in sorted(said.texts.items()):
        choice = said.choices[index]
        who = short.get(choice.get("model") or said.model or "", "?")
        shown = f"“{text if len(text) <= LONGEST else text[:LONGEST] + '…'}”" if text else "no word"
        error = choice.get("error")
        parts.append(f"{who} {shown}" + (f", then {_code(error)}" if error else ""))
    end = f", then {_code(said.error)}" if said.error else ""
    whole = said.done or not said.events
    return f"{said.status} {'; '.join(parts)}{end}{'' if whole else ', not [DONE]'}{after}"


def _code(error: Any) -> str:
    return str(error["code"] or error["type"])


def _orphans(place: Stage, *models: str) -> str:
    """What is still open when patience is at its end, in words; nothing, as it should be."""
    until = time.perf_counter() + place.patience
    while open_calls := [c for m in models for c in place.upstream.asked(m) if not c.ended]:
        if time.perf_counter() > until:
            return f"; {len(open_calls)} ORPHANED"
        time.sleep(0.002)
    return ""


def _saw(upstream: Upstream, bad: str, good: str) -> str:
    parts = []
    for short, model in (("bad", bad), ("good", good)):
        calls = upstream.asked(model)
        left = sum(call.hung_up is not None for call in calls)
        parts.append(f"{short} {len(calls)}" + (f", left {left}" if left else ""))
    return "; ".join(parts)


def _logged(told: list[dict[str, Any]], bad: str, good: str) -> str:
    short = {bad: "bad", good: "good"}
    parts = sorted(
        f"{short[line['model']]} {line['error'] or line['outcome']}"
        for line in told
        if line["event"] == "attempt"
    )
    last = told[-1]
    return f"{', '.join(parts)}; request {last['status']} {last['error'] or 'ok'}"


def _leaks(said: Said, told: list[dict[str, Any]], url: str) -> str:
    """Which secret came out, in the answer or in the log."""
    out = json.dumps([said.error, said.choices, said.events, dict(said.headers), told])
    found = [secret for secret in (*SECRETS, url, url.partition("//")[2]) if secret in out]
    return ", ".join(found)
