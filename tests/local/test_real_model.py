"""
The real model through the gateway's providers. The tests check the structure of responses and not
their wording, which a model of this size does not control.
"""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from time import sleep
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from msgspec import json

from fanout.cli.config_choice import LOCAL_CONFIG
from fanout.endpoints.embeddings.request import parse_request as parse_embeddings
from fanout.errors import Refused, Rejected
from fanout.gateway.factory import load_catalog, open_gateway
from fanout.gateway.gateway import Gateway
from fanout.gateway.run import Context
from fanout.local.running_engine import KEY, RunningEngine
from fanout.schema.accumulator import ChunkAccumulator
from fanout.schema.fanout import FanOutRequest, parse_request
from fanout.settings import Settings
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.timeout(600)  # the first one may have to fetch the model

T = TypeVar("T")
SYSTEM = {"role": "system", "content": "Answer in one short sentence."}
HI = [SYSTEM, {"role": "user", "content": "Write a slogan for a bakery."}]
LONG = [SYSTEM, {"role": "user", "content": "Write a very long story about the sea."}]

each_wire = pytest.mark.parametrize("model", ["smol", "smol-warm", "smol-claude"])


def request(model: str, messages: Any = HI, **more: Any) -> FanOutRequest:
    more = {"max_tokens": 12, **more}
    return parse_request({"model": model, "messages": messages, **more})


def run(engine: RunningEngine, use: Callable[[Gateway], Awaitable[T]], **env: str) -> T:
    """Run a gateway with the engine under three model names."""
    settings = Settings(LOCAL_CONFIG, {**engine.env, **env})

    @asynccontextmanager
    async def opened() -> AsyncIterator[Gateway]:
        async with open_gateway(settings, catalog=load_catalog(settings)) as gateway:
            yield gateway

    async def main() -> T:
        async with opened() as gateway:
            return await use(gateway)

    return asyncio.run(main())


def answer(engine: RunningEngine, chat_request: FanOutRequest, **env: str) -> Any:
    async def use(gateway: Gateway) -> Any:
        return (await gateway.chat(chat_request, Context("req_1"))).body

    return run(engine, use, **env)


def chunks(engine: RunningEngine, chat_request: FanOutRequest) -> list[Any]:
    async def use(gateway: Gateway) -> list[Any]:
        async with gateway.stream(chat_request, Context("req_1")) as stream:
            return [chunk async for chunk in stream.chunks]

    return run(engine, use)


@each_wire
def test_a_response_is_openais_object(engine: RunningEngine, model: str) -> None:
    body = answer(engine, request(model))
    (choice,) = body["choices"]
    assert (body["object"], body["model"]) == ("chat.completion", model)
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"].strip()
    assert choice["finish_reason"] in {"stop", "length"}


@each_wire
def test_its_usage_adds_up(engine: RunningEngine, model: str) -> None:
    usage = answer(engine, request(model))["usage"]
    assert 1 <= usage["completion_tokens"] <= 12
    assert usage["prompt_tokens"] > 10
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@each_wire
def test_a_response_that_reaches_its_max_tokens_has_finish_reason_length(
    engine: RunningEngine, model: str
) -> None:
    body = answer(engine, request(model, LONG, max_tokens=3))
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 3


@each_wire
def test_a_stream_is_openais_chunks_with_usage_last(engine: RunningEngine, model: str) -> None:
    received = chunks(engine, request(model, stream=True, stream_options={"include_usage": True}))
    assert {chunk["object"] for chunk in received} == {"chat.completion.chunk"}
    assert {chunk["model"] for chunk in received} == {model}
    assert len({chunk["id"] for chunk in received}) == 1
    assert received[-1]["choices"] == []
    assert received[-1]["usage"]["completion_tokens"] <= 12
    accumulator = ChunkAccumulator()
    for chunk in received:
        accumulator.add(chunk)
    (choice,) = accumulator.completion()["choices"]
    assert choice["message"]["content"]
    assert choice["finish_reason"] in {"stop", "length"}


def test_at_temperature_0_plain_streamed_and_repeated_responses_are_equal(
    engine: RunningEngine,
) -> None:
    plain = [answer(engine, request("smol"))["choices"][0]["message"]["content"] for _ in range(2)]
    pieces = [
        choice["delta"].get("content") or ""
        for chunk in chunks(engine, request("smol", stream=True))
        for choice in chunk["choices"]
    ]
    assert plain == ["".join(pieces)] * 2


def test_a_race_has_one_winner_and_the_others_are_cancelled(engine: RunningEngine) -> None:
    body = answer(engine, request("smol, smol-warm, smol-claude", fastest_response=True))
    fates = {at["model"]: at["outcome"] for at in body["fanout"]["attempts"]}
    assert fates.pop(body["model"]) == "won"
    assert set(fates.values()) == {"cancelled"}


def test_leaving_a_stream_frees_the_engine(engine: RunningEngine) -> None:
    async def use(gateway: Gateway) -> None:
        chat_request = request("smol", LONG, stream=True, max_tokens=512)
        async with gateway.stream(chat_request, Context("req_1")) as stream:
            await anext(stream.chunks)
            assert busy(engine) == 1

    while busy(engine):  # requests that an earlier test has cancelled
        sleep(0.02)
    before = metric(engine, "tokens_predicted_total")
    run(engine, use)
    while busy(engine):
        sleep(0.02)
    assert metric(engine, "tokens_predicted_total") - before < 256  # the whole response has 512


def busy(engine: RunningEngine) -> int:
    """The number of requests that the engine is processing."""
    return metric(engine, "requests_processing")


def metric(engine: RunningEngine, name: str) -> int:
    """One of the engine's own metrics."""
    address = urlsplit(engine.base_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE)
    try:
        connection.request("GET", "/metrics", headers={"authorization": f"Bearer {engine.key}"})
        lines = connection.getresponse().read().decode().splitlines()
    finally:
        connection.close()
    (found,) = [line for line in lines if line.startswith(f"llamacpp:{name} ")]
    return int(float(found.split()[1]))


@each_wire
def test_a_wrong_key_is_rejected_and_not_shown(engine: RunningEngine, model: str) -> None:
    with pytest.raises(Refused) as refused:
        answer(engine, request(model), **{KEY: "a-wrong-key"})
    assert "a-wrong-key" not in str(refused.value)


@each_wire
def test_a_prompt_over_its_context_is_the_requests_fault(engine: RunningEngine, model: str) -> None:
    chat_request = request(model, [{"role": "user", "content": "word " * 4000}])
    with pytest.raises(Rejected) as rejected:
        answer(engine, chat_request)
    assert rejected.value.status == 400


def test_texts_have_vectors_of_one_width_and_a_text_has_always_the_same(
    engine: RunningEngine,
) -> None:
    texts = ["The bread was fresh.", "The train left at nine."]
    vectors = embed(engine, texts)
    assert {len(vector) for vector in vectors} == {576}
    assert all(abs(sum(number**2 for number in vector) - 1) < 1e-3 for vector in vectors)
    bread, train = vectors
    assert dot(bread, train) < 0.99
    assert dot(bread, embed(engine, texts[:1])[0]) > 0.999


def test_a_text_that_is_too_long_for_a_vector_is_named(engine: RunningEngine) -> None:
    with pytest.raises(Rejected) as rejected:
        embed(engine, ["short", "word " * 600])
    assert (rejected.value.status, rejected.value.detail.param) == (400, "input[1]")


def embed(engine: RunningEngine, texts: list[str]) -> list[list[float]]:
    """The vectors of some texts, from the engine by the gateway."""
    found: list[list[float]] = []

    async def use(_: int, vectors: Sequence[bytes]) -> None:
        found.extend(json.decode(vector) for vector in vectors)

    async def ask(gateway: Gateway) -> None:
        chat_request = parse_embeddings({"model": "smol", "input": texts})
        await gateway.embed(chat_request, Context("req_1"), use, lambda _: None)

    run(engine, ask)
    return found


def dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_json_by_a_schema_is_json(engine: RunningEngine) -> None:
    schema = {
        "type": "object",
        "properties": {"mood": {"enum": ["good", "bad"]}},
        "required": ["mood"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "mood", "schema": schema}}
    body = answer(engine, request("smol", response_format=wanted, max_tokens=40))
    received = json.decode(body["choices"][0]["message"]["content"])
    assert set(received) == {"mood"}
    assert received["mood"] in {"good", "bad"}
