"""A server that stops while requests are in flight."""

from __future__ import annotations

import http.client
import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.faults.gateway_process import Gateway, gateway, model_list
from tests.support.provider_steps import hang, role, say
from tests.support.scripted_provider import open_upstream

from .attack import HI, KEY, Attack, count, seconds, until

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
BOTH = ["talks", "talks too"]
FORMS: dict[str, dict[str, Any]] = {
    "one": {"model": "talks"},
    "race": {"model": BOTH, "fastest_response": True},
    "all": {"model": BOTH},
    "list": {"model": "talks", "messages": [HI, HI]},
    "hedge": {"fanout": {"mode": "hedge", "models": BOTH, "stagger": 0}},
    "fallback": {"fanout": {"mode": "fallback", "models": BOTH}},
}
GRACE = 0.5


def measure(folder: Path) -> Iterator[Attack]:
    """One for each signal."""
    for stop in STOPS:
        yield _stopped(folder, stop)


def _stopped(folder: Path, stop: signal.Signals) -> Attack:
    with open_upstream() as upstream:
        for name in BOTH:
            upstream.script(name, [role, say("Hello"), hang])
        config = {
            "model_list": model_list([(name, upstream.url, {"api_key": "none"}) for name in BOTH]),
            "general_settings": {"master_key": "sk-master"},
        }
        bodies = [
            {"messages": HI, **form, "stream": stream}
            for form in FORMS.values()
            for stream in (False, True)
        ]
        with (
            gateway(config, folder, "--grace", str(GRACE)) as served,
            ThreadPoolExecutor(len(bodies)) as pool,
        ):
            sent = [pool.submit(_ask, served, body) for body in bodies]
            until(lambda: len(upstream.calls) >= len(bodies))
            time.sleep(0.3)  # the text has come
            began = time.perf_counter()
            served.process.send_signal(stop)
            found = [one.result() for one in sent]
            code = served.process.wait(20)
            took = time.perf_counter() - began
            log = served.log.splitlines()[1:]
    ended = [json.loads(one) for one in log if one.startswith('{"event":"request"')]
    return Attack(
        f"{stop.name} with requests in flight",
        f"{', '.join(FORMS)}, each plain and streamed, take longer than `--grace`",
        [
            count("plain responses that are no 503 `shutting_down`", _wrong(found[0::2], 503)),
            count("streams that do not end with that error event", _wrong(found[1::2], 200)),
            count("requests without a line in the log", len(bodies) - len(ended)),
            count("log lines that are no JSON", sum(not one.startswith("{") for one in log)),
            count("exit code", abs(code)),
            seconds("the process ends after", took, GRACE + 3),
        ],
    )


def _ask(served: Gateway, body: dict[str, Any]) -> tuple[int, str]:
    """The status of the response, and the code of the error with which it ends."""
    try:
        with served.ask(body, headers=KEY) as response:
            raw, status = response.read(), response.status
    except (OSError, http.client.HTTPException):
        return 0, ""
    last = raw.strip().split(b"\n\n")[-1].removeprefix(b"data: ")
    try:
        return status, str(json.loads(last)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return status, ""


def _wrong(found: list[tuple[int, str]], status: int) -> int:
    return sum(one != (status, "shutting_down") for one in found)
