"""The app on a host that freezes it between requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from fanout.http.asgi import Message, Receive, Scope, Send, headers_of
from fanout.http.lambda_lifecycle import (
    Invocation,
    LambdaLifecycle,
    lambda_deadline,
    set_invocation,
)

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
    headers: Mapping[str, str] = {},
    *,
    invocation: Invocation | None = None,
    origin: str | None = None,
    kind: str = "http",
) -> RecordedCall:
    recorded = RecordedCall()

    async def receive() -> Message:
        return {"type": "http.request"}

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    lifecycle = LambdaLifecycle(recorded.app, recorded.beside, origin)
    scope: Scope = {"type": kind, "headers": raw}
    if invocation is not None:
        set_invocation(scope, invocation)
    asyncio.run(lifecycle(scope, receive, recorded.send))
    return recorded


def named(headers: Mapping[str, str], invocation: Invocation | None) -> str | None:
    """The request id that the app sees."""
    (scope,) = ask(headers, invocation=invocation).scopes
    return headers_of(scope).get("x-request-id")


def test_work_around_the_request_is_done_before_the_app_returns() -> None:
    assert ask().events == [
        "work begins",
        "http.response.start",
        *PIECES,
        "answered",
        "work is over",
    ]


def test_the_lifespan_is_the_apps_own() -> None:
    recorded = ask(kind="lifespan")
    assert recorded.events == []
    assert [scope["type"] for scope in recorded.scopes] == ["lifespan"]


def test_api_gateways_request_id_is_used() -> None:
    assert named({}, Invocation(request_id="11d-e")) == "11d-e"


def test_a_client_may_set_the_request_id() -> None:
    assert named({"x-request-id": "mine"}, Invocation(request_id="theirs")) == "mine"


@pytest.mark.parametrize("invocation", [None, Invocation(deadline=NOW)])
def test_without_an_id_the_request_is_nameless(invocation: Invocation | None) -> None:
    assert named({}, invocation) is None


def test_no_header_of_a_client_is_taken_for_the_hosts_word() -> None:
    forged = {
        "x-amzn-lambda-context": '{"deadline": 9}',
        "x-amzn-request-context": '{"requestId": "forged"}',
    }
    (scope,) = ask(forged).scopes
    assert "x-request-id" not in headers_of(scope)
    assert lambda_deadline(2.0)(scope) is None


def test_pages_of_the_origin_may_read_the_response() -> None:
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


def deadline(invocation: Invocation | None, margin: float = 2.0) -> float | None:
    scope: Scope = {"type": "http", "headers": []}
    if invocation is not None:
        set_invocation(scope, invocation)
    return lambda_deadline(margin, lambda: NOW)(scope)


def test_the_deadline_is_the_invocations_less_the_margin() -> None:
    assert deadline(Invocation(NOW + 30)) == pytest.approx(28.0)


def test_a_deadline_that_has_passed_is_now() -> None:
    assert deadline(Invocation(NOW + 1)) == 0.0


@pytest.mark.parametrize("invocation", [None, Invocation(request_id="r")])
def test_without_a_deadline_there_is_none(invocation: Invocation | None) -> None:
    assert deadline(invocation) is None
