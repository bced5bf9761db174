"""Over `/v1/messages`, the error of one of several models has the type that it has alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fanout.transport.engine import Incoming, Outgoing, StreamedResponse
from fanout.wire.http import WireResponse
from tests.support.in_process import HelloEngine, run_in_process

ASK: dict[str, Any] = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
STATUSES = (400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504, 529)


class Failing(HelloEngine):
    """The model `bad` fails with the `status`."""

    status = 200

    async def send(self, request: Outgoing) -> WireResponse:
        if json.loads(request.body)["model"] == "bad":
            return WireResponse(self.status, {}, b'{"error":{"message":"boom","type":"t"}}')
        return await super().send(request)

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        if json.loads(request.body)["model"] == "bad":
            found = await self.send(request)
            yield StreamedResponse(found.status, {}, _one(found.body))
            return
        async with super().stream(request) as opened:
            yield opened


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data


def test_a_failed_model_of_all_has_the_type_of_its_error_alone() -> None:
    listed = [
        {"model_name": name, "litellm_params": {"model": f"hosted_vllm/{name}", "api_key": "k"}}
        for name in ("good", "bad")
    ]
    engine = Failing()
    config = {"model_list": listed, "router_settings": {"num_retries": 0, "allowed_fails": 1000}}
    found: dict[int, list[str]] = {}
    with run_in_process(config, engine) as app:
        for engine.status in STATUSES:
            data = json.dumps({**ASK, "model": "bad"}).encode()
            alone: str = app.ask("POST", "/v1/messages", [data]).error["type"]
            found[engine.status] = [alone]
            for stream in (False, True):
                fanout = {"mode": "all", "models": ["good", "bad"]}
                data = json.dumps({**ASK, "fanout": fanout, "stream": stream}).encode()
                body = app.ask("POST", "/v1/messages", [data]).body
                if stream:
                    events = [line for line in body.split(b"\n") if line.startswith(b"data:")]
                    [body] = [line[5:] for line in events if b'"message_delta"' in line]
                [failed] = json.loads(body)["fanout"]["responses"]
                found[engine.status].append(failed["error"]["type"])
    assert {status: types for status, types in found.items() if len({*types}) > 1} == {}
    assert found[500][0] == "api_error"
    assert found[503][0] == found[529][0] == "overloaded_error"
