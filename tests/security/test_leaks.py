"""
No prompt, response or key appears in logs or where it should not.

Markers are planted as prompt, response, key, header and file. Then every mode and many failures run
through a gateway with both logs, and all of its output is searched for the markers.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from fanout.bulk.local.lazy_service import open_local_batches
from fanout.config.catalog import Catalog
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.http.app import App
from fanout.settings import Settings
from fanout.telemetry.observers import (
    AttemptRecord,
    DecisionRecord,
    JSONLinesObserver,
    RequestRecord,
)
from functions.powertools import PowertoolsObserver
from tests.faults.rows import MODES
from tests.support.background_loop import background
from tests.support.gateway_server import RecordingObserver, RunningGateway, _serving, entry
from tests.support.provider_steps import answers, cut, hang, piece, raw, refuse, reply, role, say
from tests.support.scripted_provider import Script, Upstream
from tests.support.wire_formats import OpenAI

PROMPT, ANSWER, FILE = "zebra-prompt-4711", "walrus-answer-4711", "ocelot-file-4711"
CALLER, PROVIDER, HEADER = "badger4711caller", "marmot4711provider", "ferret-header-4711"
KEYS = (CALLER, PROVIDER)
NEVER_SHOWN = (*KEYS, PROMPT, HEADER, FILE)

TOOLS = [{"type": "function", "function": {"name": "f", "description": PROMPT}}]
MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": PROMPT},
    {"role": "user", "content": [{"type": "text", "text": PROMPT}]},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"data:,{PROMPT}"}}]},
]

# Providers that repeat the key that they were given, as some do.
SCRIPTS: dict[str, Script] = {
    "fine": answers(ANSWER, ANSWER),
    "cut": [role, say(ANSWER), cut],
    "silent": [role, say(ANSWER), hang],
    "erring": [
        role,
        say(ANSWER),
        piece(b"data: " + OpenAI().error({"message": PROVIDER}) + b"\n\n"),
    ],
    "garbled": [raw(f"{ANSWER} {PROVIDER}\r\n\r\n".encode()), cut],
    "nonsense": [reply(200, f'{{"choices": "{PROVIDER}"}}'.encode())],
    "refused": [refuse(401, f"Incorrect API key provided: {PROVIDER}")],
    "limited": [refuse(429, f"slow down, {PROVIDER}")],
    "failed": [refuse(500, f"key {PROVIDER} at http://10.0.0.1/x", param=PROVIDER)],
    "rejected": [refuse(400, f"not with {PROVIDER}")],
}


class Everything:
    """An observer for both logs, which also keeps unexpected errors."""

    def __init__(self, service: str) -> None:
        self.lines: list[str] = []
        self.observer = RecordingObserver()
        self._all = (
            JSONLinesObserver(self.lines.append, lambda: 0.0),
            PowertoolsObserver(service),
            self.observer,
        )

    def attempt(self, record: AttemptRecord) -> None:
        for each in self._all:
            each.attempt(record)

    def request(self, record: RequestRecord) -> None:
        for each in self._all:
            each.request(record)

    def decision(self, record: DecisionRecord) -> None:
        for each in self._all:
            each.decision(record)

    def unexpected_error(self, request_id: str, error: BaseException) -> None:
        for each in self._all:
            each.unexpected_error(request_id, error)


@contextmanager
def gateway(upstream: Upstream, home: Path, observer: Everything) -> Iterator[RunningGateway]:
    soon: dict[str, Any] = {"silent": {"timeout": 0.2, "stream_timeout": 0.2}}
    models = [entry(upstream, name, api_key=PROVIDER, **soon.get(name, {})) for name in SCRIPTS]
    config = check(
        {
            "model_list": models,
            "router_settings": {"num_retries": 0},
            "general_settings": {"master_key": CALLER},
        },
        {},
    )
    catalog: Catalog = resolve(config, {})
    app = App(
        lambda: open_gateway(Settings(), catalog=catalog, observer=observer),
        observer=observer,
        jobs=lambda made: open_local_batches(made, home, observer=observer),
    )
    with background(lambda: _serving(app, observer.observer), uvloop.new_event_loop) as served:
        yield served


def asked() -> Iterator[dict[str, Any]]:
    """Requests in every mode for every model, alone and with the good one, plain and streamed."""
    for name in SCRIPTS:
        both = [name, "fine"]
        for form in (
            {"model": name},
            {"model": both},
            {"model": both, "fastest_response": True},
            {"fanout": {"mode": "hedge", "models": both, "stagger": 0.05}},
            {"fanout": {"mode": "fallback", "models": both}},
            {"model": name, "messages": [MESSAGES, MESSAGES]},
        ):
            for stream in (False, True):
                yield {
                    "messages": MESSAGES,
                    "tools": TOOLS,
                    "user": PROMPT,
                    **form,
                    "stream": stream,
                }


WRONG: list[Any] = [
    PROMPT,
    {"model": PROMPT},
    {"model": "fine", "messages": PROMPT},
    {"model": "fine", "messages": [{"role": PROMPT, "content": PROMPT}]},
    {"model": "fine", "messages": MESSAGES, "temperature": PROMPT},
    {"model": "fine", "messages": MESSAGES, "fanout": {PROMPT: 1}},
    {"model": "fine", "messages": MESSAGES, "api_base": f"http://{PROMPT}"},
    {"model": "fine", "messages": MESSAGES, PROMPT: {"deep": [PROMPT]}, "stop": 5},
]
"""Rejected requests: errors may quote the request to the client, the log may not."""

HEADERS = {
    "authorization": f"Bearer {CALLER}",
    "x-custom": HEADER,
    "user-agent": HEADER,
    "cookie": HEADER,
    "x-forwarded-for": HEADER,
}


@pytest.fixture
def everything(
    upstream: Upstream, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: Any
) -> tuple[list[str], list[str], str]:
    """Responses, their headers, and everything that was written anywhere else."""
    caplog.set_level(logging.INFO)
    for name, script in SCRIPTS.items():
        upstream.script(name, script)
    observer = Everything(f"markers-{tmp_path.name}")
    bodies: list[str] = []
    heads: list[str] = []

    def ask(body: Any, headers: dict[str, str], path: str = "/v1/chat/completions") -> None:
        with served.ask(body, path, headers=headers) as response:
            heads.append(str(response.getheaders()))
            bodies.append(response.read().decode())

    with gateway(upstream, tmp_path, observer) as served:
        for body in asked():
            ask(body, HEADERS)
        for body in WRONG:
            ask(body, HEADERS)
        ask(f'{{"model": "{PROMPT}'.encode(), HEADERS)
        ask(
            {"model": "fine", "messages": MESSAGES}, HEADERS | {"authorization": f"Bearer {HEADER}"}
        )
        form = "multipart/form-data; boundary=B"
        for purpose in ("batch", HEADER):
            ask(_form(purpose), HEADERS | {"content-type": form}, "/v1/files")
        broken = f"--B\r\n{HEADER}\r\r\n".encode()
        ask(broken, HEADERS | {"content-type": form}, "/v1/files")
        requests = len(bodies) - 1  # storing a file logs nothing
        served.observer.wait_for_requests(requests)
    assert observer.observer.unexpected_errors == []
    out, err = capfd.readouterr()
    assert err == ""
    records = [repr(observer.observer.attempts), repr(observer.observer.requests)]
    written = "\n".join([*observer.lines, *records, out, err, caplog.text])
    assert written.count('"event":"request"') == requests
    return bodies, heads, written


def _form(purpose: str) -> bytes:
    line = json.dumps({"messages": [{"role": "user", "content": FILE}]})
    part = "--B\r\ncontent-disposition: form-data; name="
    first = f'{part}"purpose"\r\n\r\n{purpose}\r\n'
    head = f'{part}"file"; filename="f.jsonl"\r\ncontent-type: {HEADER}\r\n\r\n'
    return f"{first}{head}{line}\r\n--B--\r\n".encode()


def test_no_planted_marker_appears_where_it_should_not(
    everything: tuple[list[str], list[str], str],
) -> None:
    bodies, heads, written = everything
    assert len(bodies) > len(SCRIPTS) * len(MODES)
    assert [m for m in (*NEVER_SHOWN, ANSWER) if m in written] == []  # logs, metrics, streams
    assert [m for m in (*NEVER_SHOWN, ANSWER) for head in heads if m in head] == []
    assert [m for m in (*KEYS, HEADER, FILE) for body in bodies if m in body] == []
    assert "10.0.0.1" not in "".join(bodies)
    own = bodies[: -len(WRONG) - 5]
    assert [
        body for body in own if PROMPT in body
    ] == []  # no response of Fanout's repeats a prompt
    assert sum(ANSWER in body for body in own) > len(own) / 3
