"""Runs scenarios in every mode against the gateway, and describes what happened as rows."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.gateway_response import ParsedResponse
from tests.support.provider_steps import answers, opens, pause, until, wait
from tests.support.scripted_provider import Upstream, open_upstream

from .gateway_process import Gateway, free_port, gateway, model_list, untrusted_certificate
from .rows import MODES, WAYS, Mode, Row, Way
from .scenarios import LATE, Scenario

PROMPT = "zebra-prompt-marker"
KEY = "sk-provider-secret-0123456789"
CLIENT_KEY = "sk-caller-0123456789"
STAGGER = 0.2
HEAD_START = 0.15
"""Seconds from a fault to the other model's response, at least."""

SECRETS = (KEY, CLIENT_KEY, PROMPT, "10.1.2.3", "nowhere.invalid")
ORPHANED = 0.1
"""Seconds after a response within which all of its calls must end."""

LONGEST = 30
"""Characters of a response that a row shows."""


@dataclass(frozen=True)
class Testbed:
    """A running gateway with its providers, the scenarios to run, and how slow the machine is."""

    gateway: Gateway
    upstream: Upstream
    scenarios: Sequence[Scenario]
    patience: float
    slowness: float


def names(scenario: Scenario, mode: Mode, way: Way) -> tuple[str, str]:
    """The models of a row, which no other row uses: the faulty one and the good one."""
    stem = f"{scenario.name}/{mode}/{way}".replace(" ", "-")
    return f"{stem}/bad", f"{stem}/good"


@contextmanager
def open_testbed(
    scenarios: Sequence[Scenario],
    folder: Path,
    patience: float = ORPHANED,
    slowness: float = 1.0,
) -> Iterator[Testbed]:
    """
    Start the providers, and a gateway with two models for each row.

    `patience` is how many seconds after a response a call may still be open. On a busy machine, all
    times on which the outcome of a row depends are multiplied by `slowness`.
    """
    with open_upstream() as here, open_upstream(untrusted_certificate()) as tls:
        addresses = {
            "here": here.url,
            "tls": tls.url,
            "dns": "https://nowhere.invalid",
            "closed": f"http://127.0.0.1:{free_port()}",
        }
        models: list[tuple[str, str, dict[str, Any]]] = []
        for scenario, mode, way in all_rows(scenarios):
            bad, good = names(scenario, mode, way)
            limits = {
                name: value * slowness if name in LATE else value
                for name, value in scenario.params.items()
            }
            models.append((bad, addresses[scenario.where], {"api_key": KEY, **limits}))
            models.append((good, here.url, {"api_key": KEY}))
        config = {
            "model_list": model_list(models),
            "router_settings": {"num_retries": 0},
            "general_settings": {"master_key": CLIENT_KEY},
        }
        with gateway(config, folder) as served:
            yield Testbed(served, here, scenarios, patience, slowness)
            assert tls.calls == [], "a call went to an untrusted server"


def all_rows(scenarios: Sequence[Scenario]) -> Iterator[tuple[Scenario, Mode, Way]]:
    """Every combination of scenario, mode and way."""
    for scenario in scenarios:
        for mode in MODES:
            for way in WAYS:
                yield scenario, mode, way


def run_all(bed: Testbed, parallel: int = 4) -> list[Row]:
    """Run every row, several at once; heavy ones alone."""
    todo = list(all_rows(bed.scenarios))
    light = [one for one in todo if not one[0].heavy]
    with ThreadPoolExecutor(parallel) as pool:
        rows = list(pool.map(lambda one: run(bed, *one), light))
    rows += [run(bed, *one) for one in todo if one[0].heavy]
    order: list[tuple[str, str, str]] = [(scenario.name, mode, way) for scenario, mode, way in todo]
    return sorted(rows, key=lambda row: order.index(row.key))


def run(bed: Testbed, scenario: Scenario, mode: Mode, way: Way) -> Row:
    """Run one row."""
    bad, good = names(scenario, mode, way)
    gate = bed.upstream.gate()
    scripts = [[*script] for script in scenario.scripts(gate)]
    first = [wait(gate)] if scenario.where == "here" else []
    if mode == "race" and scenario.where == "here":  # both calls have begun before the fault
        arrived = bed.upstream.gate()
        scripts[0].insert(0, wait(arrived))
        first.insert(0, opens(arrived))
    bed.upstream.script(bad, *scripts)
    request_id = f"{bad.removesuffix('/bad')}".replace("/", ".")
    if scenario.lasts:
        first.append(pause(HEAD_START * bed.slowness))
    else:  # the gateway has seen the fault
        attempts = len(scripts)
        first.append(pause(HEAD_START))
        first.append(until(lambda: bed.gateway.logged_attempts(request_id, bad) >= attempts))
    bed.upstream.script(good, [*first, *answers("Hi")])
    request = _request(mode, bad, good, STAGGER * bed.slowness)
    request |= {"stream": way == "streamed"} | scenario.request
    started = time.perf_counter()
    response = bed.gateway.chat(
        request, {"authorization": f"Bearer {CLIENT_KEY}", "x-request-id": request_id}
    )
    took = time.perf_counter() - started
    orphans = _orphans(bed, bad, good)
    log = bed.gateway.log_lines(request_id)
    got = describe(response, bad, good)
    if leaks := _leaks(response, log, bed.upstream.url):
        got += f", and leaks {leaks}"
    saw = _saw(bed.upstream, bad, good) + orphans
    return Row(scenario.name, mode, way, f"{took:.2f}", got, saw, _logged(log, bad, good))


def _request(mode: Mode, bad: str, good: str, stagger: float) -> dict[str, Any]:
    messages = [{"role": "user", "content": PROMPT}]
    both = [bad, good]
    forms: dict[Mode, dict[str, Any]] = {
        "one": {"model": bad},
        "race": {"model": both, "fastest_response": True},
        "all": {"model": both},
        "hedge": {"fanout": {"mode": "hedge", "models": both, "stagger": stagger}},
        "fallback": {"fanout": {"mode": "fallback", "models": both}},
    }
    return {**forms[mode], "messages": messages}


def describe(response: ParsedResponse, bad: str, good: str) -> str:
    """A response as text: its status, the text of each model, and how it ends."""
    short = {bad: "bad", good: "good"}
    after = (
        f", retry-after {response.headers['retry-after']}"
        if "retry-after" in response.headers
        else ""
    )
    if not response.texts:
        code = _code(response.error) if response.error else "nothing"
        return f"{response.status} {code}{after}"
    parts = []
    for index, text in sorted(response.texts.items()):
        choice = response.choices[index]
        who = short.get(choice.get("model") or response.model or "", "?")
        shown = f"“{text if len(text) <= LONGEST else text[:LONGEST] + '…'}”" if text else "no text"
        error = choice.get("error")
        parts.append(f"{who} {shown}" + (f", then {_code(error)}" if error else ""))
    end = f", then {_code(response.error)}" if response.error else ""
    whole = response.done or not response.events
    return f"{response.status} {'; '.join(parts)}{end}{'' if whole else ', not [DONE]'}{after}"


def _code(error: Any) -> str:
    return str(error["code"] or error["type"])


def _orphans(bed: Testbed, *models: str) -> str:
    """The number of calls still open after `patience` seconds, as text; empty if there are none."""
    until = time.perf_counter() + bed.patience
    while open_calls := [c for m in models for c in bed.upstream.calls_to(m) if not c.ended]:
        if time.perf_counter() > until:
            return f"; {len(open_calls)} ORPHANED"
        time.sleep(0.002)
    return ""


def _saw(upstream: Upstream, bad: str, good: str) -> str:
    parts = []
    for short, model in (("bad", bad), ("good", good)):
        calls = upstream.calls_to(model)
        closed = sum(call.disconnected_at is not None for call in calls)
        parts.append(f"{short} {len(calls)}" + (f", closed {closed}" if closed else ""))
    return "; ".join(parts)


def _logged(lines: list[dict[str, Any]], bad: str, good: str) -> str:
    short = {bad: "bad", good: "good"}
    parts = sorted(
        f"{short[line['model']]} {line['error'] or line['outcome']}"
        for line in lines
        if line["event"] == "attempt"
    )
    last = lines[-1]
    return f"{', '.join(parts)}; request {last['status']} {last['error'] or 'ok'}"


def _leaks(response: ParsedResponse, log: list[dict[str, Any]], url: str) -> str:
    """The secrets that the response or the log contains."""
    out = json.dumps(
        [response.error, response.choices, response.events, dict(response.headers), log]
    )
    found = [secret for secret in (*SECRETS, url, url.partition("//")[2]) if secret in out]
    return ", ".join(found)
