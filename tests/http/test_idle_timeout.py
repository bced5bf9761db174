"""Responses on a host that closes a connection which has been silent for 300 s."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from msgspec import Struct

from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.http.app import App
from fanout.http.asgi import Message
from fanout.settings import Settings
from tests.support.scripted_engine import Script, ScriptedEngine, answers, stalls
from tests.support.virtual_clock import now, run

IDLE_TIMEOUT, HOSTS_LIMIT, INVOCATION = 290.0, 300.0, 898.0


class Response(Struct):
    """What a client got, and the virtual seconds at which each piece came."""

    status: int
    body: bytes
    times: list[float]

    @property
    def silence(self) -> float:
        return max(later - earlier for earlier, later in pairwise([0.0, *self.times]))


async def ask(
    path: str, fields: Mapping[str, Any] | None, **models: Script
) -> tuple[Response, ScriptedEngine]:
    """Send one request to an app over these models; without fields, its body never comes."""
    engine, events, life = (
        ScriptedEngine(**models),
        asyncio.Queue[Message](),
        asyncio.Queue[Message](),
    )
    config = {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {
                    "model": "openai/m",
                    "api_base": f"http://{name}.test/v1",
                    "api_key": "sk-1",
                    "num_retries": 0,
                },
            }
            for name in models
        ],
        "router_settings": {"timeout": INVOCATION},
    }
    catalog = resolve(check(config, {}), {})
    app = App(
        lambda: open_gateway(Settings(), catalog=catalog, engine=engine),
        deadline=lambda _: INVOCATION,
        host_idle_timeout=IDLE_TIMEOUT,
    )
    started, response = asyncio.Event(), Response(0, b"", [])

    async def lifespan(_: Message) -> None:
        started.set()

    async def send(message: Message) -> None:
        response.status = message.get("status", response.status)
        response.body += message.get("body", b"")
        response.times.append(now())

    if fields is not None:
        body = {"messages": [{"role": "user", "content": "Hi"}], **fields}
        events.put_nowait({"type": "http.request", "body": json.dumps(body).encode()})
    life.put_nowait({"type": "lifespan.startup"})
    headers = [(b"host", b"localhost")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": headers,
        "query_string": b"",
    }
    async with asyncio.TaskGroup() as group:
        group.create_task(app({"type": "lifespan"}, life.get, lifespan))
        await started.wait()
        await app(scope, events.get, send)
        life.put_nowait({"type": "lifespan.shutdown"})
    return response, engine


WAYS = [
    {"model": "a"},
    {"model": "a, b", "fastest_response": True},
    {"model": "a, b"},
    {"model": "a", "n": 2},
    {"model": "a", "timeout": 600},
]


@pytest.mark.parametrize("way", WAYS)
def test_a_plain_response_that_takes_too_long_is_an_error_that_names_streams(
    way: Mapping[str, Any],
) -> None:
    response, engine = run(ask("/v1/chat/completions", way, a=stalls(), b=stalls()))
    assert response.times[0] == IDLE_TIMEOUT
    assert (response.status, engine.open) == (504, [])
    assert "290 s; use `stream: true`" in response.body.decode()


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_may_take_longer_and_is_never_silent_for_long(way: Mapping[str, Any]) -> None:
    late = answers("late", after=500.0)
    fields = {**way, "stream": True}
    response, _ = run(ask("/v1/chat/completions", fields, a=late, b=late))
    assert (response.status, b"late" in response.body) == (200, True)
    assert response.times[-1] >= 500.0
    assert response.silence < HOSTS_LIMIT


def test_a_shorter_timeout_of_the_request_does_not_name_streams() -> None:
    fields = {"model": "a", "timeout": 20}
    response, _ = run(ask("/v1/chat/completions", fields, a=stalls()))
    assert (response.times[0], response.status) == (20.0, 504)
    assert "stream" not in response.body.decode()


@pytest.mark.parametrize(
    "path", ["/v1/uploads/upload_1/complete", "/v1/batches", "/v1/files", "/v1/chat/completions"]
)
def test_any_other_request_ends_before_the_host_closes_its_connection(path: str) -> None:
    response, _ = run(ask(path, None, a=stalls()))
    assert response.status in {404, 504}
    assert response.silence < HOSTS_LIMIT
