"""The app on a host that freezes it between requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from fanout.http.asgi import Message, Receive, Scope, Send, headers_of
from fanout.http.lambda_lifecycle import LambdaLifecycle, lambda_deadline

NOW = 1_700_000_000.0
PIECES = (b"Hel", b"lo")


class RecordedCall:
    """The events of one request in order: messages sent, and the work around the request."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.scopes: list[Scope] = []
        self.start: Message = {}

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An app that streams two pieces."""
        self.scopes.append(scope)
        if scope["type"] != "http":
            return
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for index, piece in enumerate(PIECES):
            last = index == len(PIECES) - 1
            await send({"type": "http.response.body", "body": piece, "more_body": not last})
        self.events.append("answered")

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        self.events.append("work begins")
        yield
        self.events.append("work is over")

    async def send(self, message: Message) -> None:
        self.events.append(message.get("body", message["type"]))
        self.start = message if message["type"] == "http.response.start" else self.start


def ask(
    headers: Mapping[str, str] = {}, *, origin: str | None = None, kind: str = "http"
) -> RecordedCall:
    recorded = RecordedCall()

    async def receive() -> Message:
        return {"type": "http.request"}

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    lifecycle = LambdaLifecycle(recorded.app, recorded.beside, origin)
    asyncio.run(lifecycle({"type": kind, "headers": raw}, receive, recorded.send))
    return recorded


def named(headers: Mapping[str, str]) -> str | None:
    """The request id that the app sees."""
    (scope,) = ask(headers).scopes
    return headers_of(scope).get("x-request-id")


def test_the_last_piece_is_sent_when_everything_about_the_request_is_done() -> None:
    start = "http.response.start"
    assert ask().events == [
        "work begins",
        start,
        PIECES[0],
        "answered",
        "work is over",
        PIECES[1],
    ]


def test_the_lifespan_is_the_apps_own() -> None:
    recorded = ask(kind="lifespan")
    assert recorded.events == []
    assert [scope["type"] for scope in recorded.scopes] == ["lifespan"]


def test_api_gateways_request_id_is_used() -> None:
    context = json.dumps({"requestId": "11d-e", "stage": "v1"})
    assert named({"x-amzn-request-context": context}) == "11d-e"


def test_a_client_may_set_the_request_id() -> None:
    context = json.dumps({"requestId": "theirs"})
    assert named({"x-amzn-request-context": context, "x-request-id": "mine"}) == "mine"


@pytest.mark.parametrize("context", ["", "{}", "[1]", "null", '{"requestId": 7}', "{"])
def test_a_context_without_a_name_leaves_the_request_nameless(context: str) -> None:
    assert named({"x-amzn-request-context": context}) is None


def test_pages_of_the_origin_may_read_the_answer() -> None:
    given = dict(ask(origin="https://app.example.com").start["headers"])
    assert given == {
        b"content-type": b"text/event-stream",
        b"access-control-allow-origin": b"https://app.example.com",
        b"access-control-expose-headers": b"retry-after, x-fanout-mode, x-fanout-winner, "
        b"x-request-id",
        b"vary": b"origin",
    }


def test_without_an_origin_there_are_no_cors_headers() -> None:
    assert ask().start["headers"] == [(b"content-type", b"text/event-stream")]


def deadline(context: str | None, margin: float = 2.0) -> float | None:
    headers = {} if context is None else {"x-amzn-lambda-context": context}
    return lambda_deadline(margin, lambda: NOW)(headers)


def test_the_deadline_is_the_invocations_less_the_margin() -> None:
    assert deadline(json.dumps({"deadline": int((NOW + 30) * 1000)})) == pytest.approx(28.0)


def test_a_deadline_that_has_passed_is_now() -> None:
    assert deadline(json.dumps({"deadline": int((NOW + 1) * 1000)})) == 0.0


@pytest.mark.parametrize("context", [None, "", "{}", '{"deadline": "soon"}', "7"])
def test_without_a_deadline_there_is_none(context: str | None) -> None:
    assert deadline(context) is None
