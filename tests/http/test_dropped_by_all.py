"""In mode `all`, the header names what any of the models did not get, as it does for one model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fanout.transport.engine import Incoming, Outgoing, StreamedResponse
from fanout.wire.http import WireResponse
from tests.support.in_process import HelloEngine, run_in_process
from tests.support.wire_formats import WIRE_FORMATS

HI = [{"role": "user", "content": "Hi"}]
ASKS: dict[str, dict[str, Any]] = {
    "/v1/messages": {
        "messages": HI,
        "max_tokens": 9,
        "output_config": {"effort": "low"},
        "top_k": 3,
        "temperature": 0.5,
        "novel": True,
    },
    "/v1/responses": {
        "input": "Hi",
        "reasoning": {"effort": "low"},
        "frequency_penalty": 0.5,
        "temperature": 0.5,
        "truncation": "auto",
    },
}
ASKS["/v1/chat/completions"] = {
    "messages": HI,
    "reasoning_effort": "low",
    "top_k": 3,
    "frequency_penalty": 0.5,
    "temperature": 0.5,
    "drop_params": True,
}
MODELS = ("openai/gpt-4o", "openai/gpt-5", "deepseek/deepseek-chat", "mistral/mistral-large")


def test_all_names_what_each_of_its_models_names() -> None:
    listed = [{"model_name": m, "litellm_params": {"model": m, "api_key": "k"}} for m in MODELS]
    wrong: list[Any] = []
    with run_in_process({"model_list": listed}, HelloEngine()) as app:

        def dropped(path: str, **more: Any) -> set[str]:
            data = json.dumps({**ASKS[path], **more}).encode()
            response = app.ask("POST", path, [data])
            assert response.status == 200, response.body
            return set(response.headers.get("x-fanout-dropped", "").split(", ")) - {""}

        for path in ASKS:
            for stream in (False, True):
                alone = [dropped(path, model=model, stream=stream) for model in MODELS]
                assert len({*map(frozenset, alone)}) > 1
                fanout = {"mode": "all", "models": MODELS}
                found = dropped(path, fanout=fanout, stream=stream)
                if found != set().union(*alone):
                    wrong.append((path, stream, found, alone))
    assert wrong == []


OPENAI = WIRE_FORMATS["openai"]
FAST, ODD = "perplexity/sonar", "groq/llama-3"
"""The second one takes less of what is asked."""


class UnevenEngine(HelloEngine):
    """One model fails, and a slow one says nothing before another has responded; see `is_slow`."""

    def __init__(self, slow: frozenset[str], failing: frozenset[str]) -> None:
        super().__init__()
        self._slow, self._failing = slow, failing
        self._others = asyncio.Event()

    async def send(self, request: Outgoing) -> WireResponse:
        name = json.loads(request.body)["model"]
        if name in self._failing:
            return WireResponse(500, {}, OPENAI.error({"message": "no"}))
        return await super().send(request)

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        name = json.loads(request.body)["model"]
        if name in self._slow:
            await self._others.wait()
        if name in self._failing:
            yield StreamedResponse(500, {}, _one(OPENAI.error({"message": "no"})))
            return
        async with super().stream(request) as opened:
            yield opened if name in self._slow else self._noted(opened)

    def _noted(self, opened: Incoming) -> StreamedResponse:
        async def pieces() -> AsyncIterator[bytes]:
            async for piece in opened.body:
                yield piece
                self._others.set()

        return StreamedResponse(200, {}, pieces())


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data


def names(header: str | None) -> set[str]:
    return set((header or "").split(", ")) - {""}


@pytest.mark.parametrize("path", ASKS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("case", ["slow", "failing", "slow, then failing", "waiting"])
def test_slower_and_failed_models_are_named_too(path: str, case: str, *, stream: bool) -> None:
    """`waiting`: the models are called one after the other."""
    odd, none = frozenset({ODD.partition("/")[2]}), frozenset[str]()
    slow = odd if stream and "slow" in case else none
    failing = odd if "failing" in case else none
    models = (FAST, ODD)
    listed = [{"model_name": m, "litellm_params": {"model": m, "api_key": "k"}} for m in models]
    settings = {"model_list": listed, "router_settings": {"num_retries": 0}}

    with run_in_process({"model_list": listed}) as app:
        asked = [json.dumps({**ASKS[path], "model": model}).encode() for model in models]
        alone = [
            names(app.ask("POST", path, [data]).headers.get("x-fanout-dropped")) for data in asked
        ]
    assert alone[1] - alone[0]
    with run_in_process(settings, UnevenEngine(slow, failing)) as app:
        fanout: dict[str, Any] = {"mode": "all", "models": models}
        fanout |= {"max_parallel": 1} if case == "waiting" else {}
        data = json.dumps({**ASKS[path], "fanout": fanout, "stream": stream}).encode()
        response = app.ask("POST", path, [data])
    assert response.status == 200
    assert names(response.headers.get("x-fanout-dropped")) == alone[0] | alone[1]
    assert b": x-fanout-dropped" not in response.body


@pytest.mark.parametrize("path", ASKS)
def test_what_a_late_fallback_does_not_get_is_named_in_a_comment(path: str) -> None:
    """It is not known before the headers are sent that a fallback will be called."""
    ask = ASKS[path]
    one, other, last = FAST, "perplexity/slow", ODD
    listed = [
        {"model_name": m, "litellm_params": {"model": m, "api_key": "k"}}
        for m in (one, other, last)
    ]
    settings = {"model_list": listed, "router_settings": {"num_retries": 0}}
    with run_in_process(settings) as app:
        asked = [json.dumps({**ask, "model": model}).encode() for model in (one, last)]
        alone = [
            names(app.ask("POST", path, [data]).headers.get("x-fanout-dropped")) for data in asked
        ]
    more = alone[1] - alone[0]
    assert more, alone
    engine = UnevenEngine(frozenset({"slow"}), frozenset({"slow"}))
    with run_in_process(settings, engine) as app:
        fanout = {"mode": "all", "models": [one, other]}
        data = {**ask, "fanout": fanout, "stream": True, "fallbacks": [{other: [last]}]}
        response = app.ask("POST", path, [json.dumps(data).encode()])
    assert names(response.headers.get("x-fanout-dropped")) == alone[0]
    _, _, comment = response.body.partition(b": x-fanout-dropped: ")
    assert names(comment.partition(b"\n")[0].decode()) == more
