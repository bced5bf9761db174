"""Errors of vendors with Anthropic's API: clients act on their details, so they are passed on."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import anthropic
import pytest

from fanout.transport.engine import Outgoing
from fanout.wire.http import WireResponse
from tests.http.test_messages_on_clouds import Clouds
from tests.http.test_messages_on_clouds import config as clouds_config
from tests.http.test_messages_passed_through import START, named, streamed
from tests.support.event_stream_frames import event
from tests.support.gateway_server import RunningGateway
from tests.support.in_process import run_in_process
from tests.support.provider_steps import reply
from tests.support.scripted_provider import Upstream

HI: Any = [{"role": "user", "content": "Hi"}]
ASK: dict[str, Any] = {"model": "claude", "max_tokens": 9, "messages": HI}


def error_of(kind: str, message: str = "no", **details: Any) -> bytes:
    """A vendor's error with odd spaces and fields that Fanout does not know."""
    error = {"type": kind, "message": message, "details": {"limit": 1e5, **details}}
    return b'{"type":"error", "error":%b,"request_id":"req_v", "new":[1.50]}' % (
        json.dumps(error).encode()
    )


def test_an_errors_status_and_bytes_are_the_vendors(
    server: RunningGateway, upstream: Upstream
) -> None:
    rows = [
        (400, "invalid_request_error", {"error_code": "thread_unsupported_request"}),
        (402, "billing_error", {}),
        (404, "not_found_error", {"error_code": "thread_not_found"}),
        (409, "conflict_error", {}),
        (413, "request_too_large", {}),
        (422, "invalid_request_error", {}),
        (429, "rate_limit_error", {"error_code": "enterprise_limit"}),
        (500, "api_error", {}),
        (503, "overloaded_error", {}),
        (504, "timeout_error", {}),
        (529, "overloaded_error", {}),
    ]
    wrong: list[Any] = []
    for status, kind, details in rows:
        sent = error_of(kind, **details)
        upstream.script("claude-x", [reply(status, sent)])
        for stream in (False, True):
            with server.ask({**ASK, "stream": stream}, "/v1/messages") as response:
                got = response.status, response.read()
            if got != (status, sent):
                wrong.append((stream, got))
    assert wrong == []


def test_an_error_amid_a_stream_is_the_vendors(server: RunningGateway, upstream: Upstream) -> None:
    text = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"H"}}'
    block = b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}'
    sent = error_of("overloaded_error", "Overloaded", retry="later")
    upstream.script("claude-x", streamed(named(START), named(block), named(text), named(sent)))
    with server.ask({**ASK, "stream": True}, "/v1/messages") as response:
        assert response.read().endswith(named(text) + named(sent))
    client = anthropic.Anthropic(api_key="k", base_url=server.url, max_retries=0)
    with client, pytest.raises(anthropic.APIStatusError) as raised:
        list(client.messages.create(**ASK, stream=True))
    body: Any = raised.value.body
    assert body["error"]["details"] == {"limit": 1e5, "retry": "later"}


def test_an_error_that_quotes_the_gateways_key_is_shown_without_it(
    server: RunningGateway, upstream: Upstream
) -> None:
    key = "sk-provider-claude"
    quoted = error_of(
        "invalid_request_error", f"no {key}", **{key: [f"Bearer {key}", upstream.url]}
    )
    upstream.script("claude-x", [reply(400, quoted)])
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        status, _, found = server.json(ASK, path)
        assert (status, found["error"]["message"]) == (400, "no [key]")
        assert found["error"]["details"]["limit"] == 1e5
        assert key not in json.dumps(found)
        assert upstream.url not in json.dumps(found)
    for status in (401, 403):
        upstream.script("claude-x", [reply(status, error_of("authentication_error", key))])
        got, _, found = server.json(ASK, "/v1/messages")
        assert (got, key in json.dumps(found)) == (502, False)
        assert "details" not in found["error"]


class Failing(Clouds):
    """Both clouds reject every request as Anthropic does; Bedrock within its own stream."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = body
        inner = event("chunk", {"bytes": b64encode(body).decode()})
        self.stream_of = {"bedrock": inner, "vertex": named(body)}

    async def send(self, request: Outgoing) -> WireResponse:
        self.sent.append(request)
        return WireResponse(400, {}, self._body)


def test_an_error_of_claude_on_a_cloud_keeps_its_details() -> None:
    sent = error_of("invalid_request_error", error_code="x")
    with run_in_process(clouds_config(), Failing(sent)) as app:
        for name in ("bedrock", "vertex"):
            for stream in (False, True):
                body = json.dumps({**ASK, "model": name, "stream": stream}).encode()
                response = app.ask("POST", "/v1/messages", [body])
                assert (name, response.status, response.body) == (name, 400, sent)
