"""The app behind the Lambda Web Adapter: its headers, and the end of each response."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest

from fanout.http.asgi import Message, Receive, Scope, Send
from fanout.http.lambda_lifecycle import lambda_deadline
from functions.api.web_adapter.app import BehindAdapter, read_headers

NOW = 1_700_000_000.0
PIECES = (b"Hel", b"lo")


def ask(headers: Mapping[str, str] = {}, *, kind: str = "http") -> tuple[list[object], Scope]:
    """Return the events of one request in order, and the scope that the app got."""
    events: list[object] = []
    scopes: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        scopes.append(scope)
        if scope["type"] != "http":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for index, piece in enumerate(PIECES):
            last = index == len(PIECES) - 1
            await send({"type": "http.response.body", "body": piece, "more_body": not last})
        events.append("work is over")

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        events.append(message.get("body", message["type"]))

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(BehindAdapter(app)({"type": kind, "headers": raw}, receive, send))
    return events, scopes[0]


def test_the_last_piece_is_sent_when_everything_about_the_request_is_done() -> None:
    assert ask()[0] == ["http.response.start", PIECES[0], "work is over", PIECES[1]]


def test_the_lifespan_is_the_apps_own() -> None:
    assert ask(kind="lifespan") == ([], {"type": "lifespan", "headers": []})


def test_the_apps_deadline_is_that_of_the_adapters_header() -> None:
    context = json.dumps({"deadline": int((NOW + 30) * 1000)})
    scope = ask({"x-amzn-lambda-context": context})[1]
    assert lambda_deadline(2.0, lambda: NOW)(scope) == pytest.approx(28.0)


def test_the_request_id_is_api_gateways() -> None:
    context = json.dumps({"requestId": "11d-e", "stage": "v1"})
    scope = {"headers": [(b"x-amzn-request-context", context.encode())]}
    assert read_headers(scope).request_id == "11d-e"


@pytest.mark.parametrize("text", [None, "", "{}", "[1]", "null", "{", "7"])
@pytest.mark.parametrize("header", ["x-amzn-request-context", "x-amzn-lambda-context"])
def test_a_header_that_cannot_be_read_says_nothing(header: str, text: str | None) -> None:
    headers = [] if text is None else [(header.encode(), text.encode())]
    found = read_headers({"headers": headers})
    assert (found.deadline, found.request_id) == (None, None)


@pytest.mark.parametrize("text", ['{"requestId": 7}', '{"deadline": "soon"}'])
def test_a_value_of_another_type_says_nothing(text: str) -> None:
    names = (b"x-amzn-request-context", b"x-amzn-lambda-context")
    found = read_headers({"headers": [(name, text.encode()) for name in names]})
    assert (found.deadline, found.request_id) == (None, None)
