"""
`x-fanout-dropped` names exactly what a model whose response is used did not get.

Some models get the client's own request, others one that is made of it: the header is compared with
what the providers have received, in each mode and at each endpoint.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fanout.transport.engine import Incoming, Outgoing, StreamedResponse
from fanout.wire.http import WireResponse
from tests.http.test_messages_passed_through import STREAM, WHOLE
from tests.support.in_process import AppResponse, HelloEngine, InProcess, run_in_process

HI = [{"role": "user", "content": "Hi"}]
MODELS = {
    "claude": "anthropic/claude-sonnet-4-5",
    "opus": "anthropic/claude-opus-4-5",
    "pro": "openai/o3-pro",  # it has the Responses API only
    "codex": "openai/gpt-5-codex",  # the same
    "chat": "hosted_vllm/chat",
    "own": "openai/responses/own",  # a server of your own with the Responses API
    "server": "openai/server",
}
ADDRESS = {"api_base": "http://127.0.0.1:8000/v1"}
JUDGE = "hosted_vllm/judge"
ASKS: Mapping[str, tuple[dict[str, Any], dict[str, str]]] = {
    "/v1/messages": (
        {
            "messages": HI,
            "max_tokens": 99,
            "speed": "fast",
            "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
            "stop_sequences": ["Halt"],
            "top_k": 3,
            "metadata": {"user_id": "Ulm"},
        },
        {
            "speed": "fast",
            "context_management": "clear_tool_uses_20250919",
            "stop_sequences": "Halt",
            "top_k": '"top_k":3',
            "metadata.user_id": "Ulm",
        },
    ),
    "/v1/responses": (
        {
            "input": HI,
            "truncation": "auto",
            "max_tool_calls": 77,
            "metadata": {"team": "Ulm"},
        },
        {
            "truncation": "truncation",
            "max_tool_calls": "77",
            "metadata": "Ulm",
        },
    ),
}
"""A request of each endpoint, and what shows in a provider's request that it has the field."""

MODES = ("all", "race", "fallback", "best", "merge", "agree")


class Vendors(HelloEngine):
    """Each vendor responds in its own API."""

    async def send(self, request: Outgoing) -> WireResponse:
        if request.url.endswith("/messages"):
            self.sent.append(request)
            return WireResponse(200, {}, WHOLE)
        return await super().send(request)

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        if request.url.endswith("/messages"):
            self.sent.append(request)
            yield StreamedResponse(200, {}, _one(STREAM))
            return
        async with super().stream(request) as opened:
            yield opened

    def lost(self, name: str, marks: Mapping[str, str]) -> set[str]:
        """The fields that the request of this model does not show, if it was called."""
        wanted = MODELS[name].rpartition("/")[2]
        bodies = [one.body.replace(b'": ', b'":') for one in self.sent]
        found = [one for one in bodies if json.loads(one)["model"] == wanted]
        return {field for one in found for field, mark in marks.items() if mark.encode() not in one}


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data


def named(response: AppResponse) -> set[str]:
    """What the header names, and in a stream the comment at its end, of the request."""
    assert response.status == 200, response.body
    _, _, comment = response.body.partition(b": x-fanout-dropped: ")
    texts = (response.headers.get("x-fanout-dropped", ""), comment.partition(b"\n")[0].decode())
    names = {name for text in texts for name in text.split(", ")}
    return {name for name in names if name and not name.startswith("output.")}


@pytest.mark.parametrize("path", ASKS)
@pytest.mark.parametrize("mode", MODES)
def test_the_header_names_what_the_models_of_the_response_did_not_get(path: str, mode: str) -> None:
    ask, marks = ASKS[path]
    named_models = {**MODELS, "judge": JUDGE}
    listed = [
        {"model_name": name, "litellm_params": {"model": model, "api_key": "k", **more}}
        for name, model in named_models.items()
        for more in (ADDRESS if name in {"own", "server"} else {},)
    ]
    engine, wrong, seen = Vendors(), [], set[int]()

    def send(app: InProcess, **more: Any) -> AppResponse:
        engine.sent.clear()
        return app.ask("POST", path, [json.dumps({**ask, **more}).encode()])

    with run_in_process({"model_list": listed}, engine) as app:
        for models in itertools.permutations(MODELS, 2):
            fanout: dict[str, Any] = {"mode": mode, "models": models}
            fanout |= {"judge": "judge"} if mode in {"best", "merge"} else {}
            fanout |= {"k": 2} if mode == "agree" else {}
            for stream in (False, True):
                response = send(app, fanout=fanout, stream=stream)
                winner = response.headers.get("x-fanout-winner")
                used = [winner] if winner in models else models
                wanted = set().union(*(engine.lost(name, marks) for name in used))
                seen.add(len(wanted))
                if named(response) != wanted:
                    wrong.append((models, stream, winner, wanted, named(response)))
    assert wrong == []
    assert min(seen) == 0 < max(seen)
