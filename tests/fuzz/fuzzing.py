"""
Sends valid and invalid requests that schemathesis generates from the OpenAPI description.

Every response must be below 500, every error must have OpenAI's error object, and no text of a
request may appear in a response header or in the log. Each run generates the same requests.
"""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core import NotSet
from schemathesis.core.result import Ok

import fanout
import fanout.http
from fanout.bulk.local.lazy_service import open_local_batches
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.http.app import App
from fanout.keys.opening import open_local
from fanout.settings import Settings
from fanout.telemetry.observers import (
    AttemptRecord,
    DecisionRecord,
    JSONLinesObserver,
    RequestRecord,
)
from tests.support.background_loop import background
from tests.support.gateway_server import RecordingObserver
from tests.support.in_process import AppResponse, HelloEngine, InProcess, _running

DESCRIPTION = Path(fanout.http.__file__).with_name("openapi.json")
DISTINCTIVE = 8
"""Characters of a text that cannot appear in the output by chance."""

KNOWN = frozenset({"a", "b"})


class LogRecorder(RecordingObserver):
    """Keeps the log lines, too."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._log = JSONLinesObserver(self.lines.append, time.time)

    def attempt(self, record: AttemptRecord) -> None:
        self._log.attempt(record)

    def request(self, record: RequestRecord) -> None:
        self._log.request(record)

    def decision(self, record: DecisionRecord) -> None:
        self._log.decision(record)

    def clear(self) -> None:
        super().clear()
        self.lines.clear()


MASTER = "sk-master"
MANAGED = ("/key/", "/spend/", "/user/", "/team/", "/budget/", "/global/")
"""Paths for who has the master key of a gateway with virtual keys."""


@contextmanager
def run_app(
    home: Path, general: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[tuple[InProcess, LogRecorder]]:
    """
    Run the app with all features, in process, with providers that accept everything.

    With a `master_key` in `general`, it has virtual keys.
    """
    observer = LogRecorder()
    models = [
        {"model_name": name, "litellm_params": {"model": f"openai/{name}", "api_key": "k"}}
        for name in sorted(KNOWN)
    ]
    config = {"model_list": models, "general_settings": dict(general)}
    catalog = resolve(check(config, {}), {})
    app = App(
        lambda: open_gateway(Settings(), catalog=catalog, engine=HelloEngine(), observer=observer),
        observer=observer,
        jobs=lambda gateway: open_local_batches(gateway, home, observer=observer),
        virtual_keys=partial(open_local, {"FANOUT_HOME": str(home)}) if general else None,
    )
    with background(lambda: _running(app, observer)) as made:
        yield made, observer


def operations(*, managed: bool = False) -> Mapping[str, Any]:
    """The described operations by label: those for a master key, or all others."""
    schema = schemathesis.openapi.from_dict(json.loads(DESCRIPTION.read_text()))
    every = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    return {
        one.label: one for one in every if managed == any(path in one.label for path in MANAGED)
    }


def fuzz(operation: Any, count: int, client: FuzzClient) -> None:
    """Send `count` requests of one operation, half of them invalid where that is possible."""
    until = client.sent + count
    modes = [(GenerationMode.POSITIVE, count)]
    if list(operation.body) or list(operation.query) or list(operation.headers):
        modes.insert(0, (GenerationMode.NEGATIVE, count // 2))  # any text is a valid part of a path
    for mode, many in modes:

        @settings(
            max_examples=max(1, min(many, until - client.sent)),
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # no shrinking: fail fast, with the request as generated
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def run(case: Any) -> None:
            client.send(case)

        with suppress(Unsatisfiable):  # an operation without input has no invalid requests
            run()


class FuzzClient:
    """Sends generated requests to the app and checks the responses; `sent` counts them."""

    def __init__(self, app: InProcess, observer: LogRecorder, key: str = "") -> None:
        self._app = app
        self._key = [(b"authorization", f"Bearer {key}".encode())] if key else []
        self._observer = observer
        self.sent = 0

    def send(self, case: Any) -> None:
        """Send one request and check its response."""
        self.sent += 1
        body, headers = _encode(case, self.sent)
        path = case.formatted_path
        query = urlencode(case.query or {}, doseq=True).encode()
        response = self._app.ask(case.method.upper(), path, [body], headers + self._key, query)
        self._check(response, _texts([case.body, case.query, case.path_parameters, case.headers]))

    def _check(self, response: AppResponse, texts: set[str]) -> None:
        errors, lines = list(self._observer.unexpected_errors), "".join(self._observer.lines)
        self._observer.clear()
        assert errors == [], errors
        assert response.status < 500 or _has_timed_out(response), response
        if response.status >= 400:
            assert response.error["message"]
        named = response.headers.get("x-fanout-dropped", "")  # the client's names of its fields
        assert named.isascii(), named
        out = lines + str({k: v for k, v in response.headers.items() if v is not named})
        found = [text for text in texts if text in out]
        assert found == [], (found, out)


def _has_timed_out(response: AppResponse) -> bool:
    """Whether the request's own `timeout` was over, as that of a nanosecond always is."""
    return bool(response.status == 504 and response.error["code"] == "deadline_exceeded")


def _texts(value: Any) -> set[str]:
    """Every distinctive text in a value, keys included, except Fanout's own strings."""
    if isinstance(value, Mapping):
        return set().union(*(_texts(each) for pair in value.items() for each in pair), set())
    if isinstance(value, list | tuple):
        return set().union(*(_texts(each) for each in value), set())
    if isinstance(value, str) and len(value) >= DISTINCTIVE and value not in _OWN_STRINGS:
        return {value}
    return set()


def _own_strings() -> Iterator[str]:
    """The string literals in Fanout's code, some of which schemathesis uses as input."""
    for path in Path(fanout.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


_OWN_STRINGS = frozenset(_own_strings())


def _encode(case: Any, number: int) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The body and its headers; two of three chat requests get the names of existing models."""
    body = case.body
    if isinstance(body, NotSet):
        return b"", []
    if case.media_type == "multipart/form-data":
        return _form(body), [(b"content-type", b"multipart/form-data; boundary=B")]
    responds = isinstance(body, dict) and ("messages" in body or case.path.endswith("/responses"))
    if responds and number % 3:
        body = {**body, "model": "a" if number % 2 else ["a", "b"]}
    raw = (
        body
        if isinstance(body, bytes)
        else json.dumps(body, default=str).encode("utf-8", "replace")
    )
    return raw, [(b"content-type", b"application/json")]


def _form(body: Any) -> bytes:
    if not isinstance(body, Mapping):
        return str(body).encode("utf-8", "replace")
    parts = [
        f'--B\r\ncontent-disposition: form-data; name="{name}"'
        + ('; filename="f.jsonl"' if name in {"file", "data"} else "")
        + f"\r\n\r\n{value}\r\n"
        for name, value in body.items()
    ]
    return "".join([*parts, "--B--\r\n"]).encode("utf-8", "replace")
