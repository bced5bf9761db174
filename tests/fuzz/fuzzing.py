"""
Requests made of the published description: right ones, and wrong ones, by schemathesis.

Whatever comes in, an answer goes out: never a 500, always OpenAI's error object, and nothing of
what came in goes to a header or into the log. The same requests each time.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
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
from fanout.bulk.local.batch_service import open_local
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.http.app import App
from fanout.settings import Settings
from fanout.telemetry.observers import AttemptRecord, JSONLines, RequestRecord
from tests.support.background_loop import background
from tests.support.gateway_server import Notes
from tests.support.in_process import Agreeable, Heard, InProcess, _running

DESCRIPTION = Path(fanout.http.__file__).with_name("openapi.json")
TELLING = 8
"""Characters of a text that are too many to come out by chance."""

KNOWN = frozenset({"a", "b"})


class Listening(Notes):
    """Notes that keep the log's lines too."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._log = JSONLines(self.lines.append)

    def attempt(self, record: AttemptRecord) -> None:
        self._log.attempt(record)

    def request(self, record: RequestRecord) -> None:
        self._log.request(record)

    def forget(self) -> None:
        super().forget()
        self.lines.clear()


@contextmanager
def running(home: Path) -> Iterator[tuple[InProcess, Listening]]:
    """The app with everything that it can do, its providers agreeing to all."""
    notes = Listening()
    models = [
        {"model_name": name, "litellm_params": {"model": f"openai/{name}", "api_key": "k"}}
        for name in sorted(KNOWN)
    ]
    catalog = resolve(check({"model_list": models}, {}), {})
    app = App(
        lambda: open_gateway(Settings(), catalog=catalog, engine=Agreeable(), observer=notes),
        observer=notes,
        jobs=lambda gateway: open_local(gateway, home, observer=notes),
    )
    with background(lambda: _running(app, notes)) as made:
        yield made, notes


def operations() -> Mapping[str, Any]:
    """Everything that the description describes, by its label."""
    schema = schemathesis.openapi.from_dict(json.loads(DESCRIPTION.read_text()))
    every = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    return {operation.label: operation for operation in every}


def fuzz(operation: Any, count: int, ask: Asker) -> None:
    """Ask so many requests of one kind, half of them wrong on purpose where they can be."""
    until = ask.asked + count
    for mode, many in ((GenerationMode.NEGATIVE, count // 2), (GenerationMode.POSITIVE, count)):

        @settings(
            max_examples=max(1, min(many, until - ask.asked)),
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # what fails is seen as it is, and soon
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def run(case: Any) -> None:
            ask(case)

        with suppress(Unsatisfiable):  # where nothing is asked for, nothing can be wrong
            run()


class Asker:
    """Asks the app, and checks what comes out; `asked` counts."""

    def __init__(self, app: InProcess, notes: Listening) -> None:
        self._app = app
        self._notes = notes
        self.asked = 0

    def __call__(self, case: Any) -> None:
        """One request."""
        self.asked += 1
        body, headers = _encoded(case, self.asked)
        path = case.formatted_path
        query = urlencode(case.query or {}, doseq=True).encode()
        heard = self._app.ask(case.method.upper(), path, [body], headers, query)
        self._check(heard, _texts([case.body, case.query, case.path_parameters, case.headers]))

    def _check(self, heard: Heard, texts: set[str]) -> None:
        bugs, lines = list(self._notes.bugs), "".join(self._notes.lines)
        self._notes.forget()
        assert bugs == [], bugs
        assert heard.status < 500, heard
        if heard.status >= 400:
            assert heard.error["message"]
        out = lines + str(heard.headers)
        found = [text for text in texts if text in out]
        assert found == [], (found, out)


def _texts(value: Any) -> set[str]:
    """Every telling text in a value, keys too, but the names of models that there are."""
    if isinstance(value, Mapping):
        return set().union(*(_texts(each) for pair in value.items() for each in pair), set())
    if isinstance(value, list | tuple):
        return set().union(*(_texts(each) for each in value), set())
    if isinstance(value, str) and len(value) >= TELLING and value not in _OURS:
        return {value}
    return set()


def _own_words() -> Iterator[str]:
    """What the gateway's code says: schemathesis takes words out of it, to try them."""
    for path in Path(fanout.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


_OURS = frozenset(_own_words())


def _encoded(case: Any, number: int) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The body's bytes, and its headers; most requests are made to name models that there are."""
    body = case.body
    if isinstance(body, NotSet):
        return b"", []
    if case.media_type == "multipart/form-data":
        return _form(body), [(b"content-type", b"multipart/form-data; boundary=B")]
    if isinstance(body, dict) and "messages" in body and number % 3:
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
