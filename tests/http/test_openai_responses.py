"""The gateway's responses, errors and streams as the official OpenAI client returns them."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

from tests.http.openai_clients import BYE, HI, USAGE, Ask, joined
from tests.support.gateway_server import RunningGateway
from tests.support.provider_steps import answers, cut, opens, pause, refuse, role, say, stalls, wait
from tests.support.scripted_provider import Upstream


def test_each_choice_has_its_model_usage_and_time(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.script("a", answers("from a"))
    upstream.script("b", [refuse(429, "b is busy")])
    answer = client.chat.completions.create(model="a, b", messages=HI)
    assert answer.model == "a, b"
    assert answer.usage is not None
    assert answer.usage.to_dict() == USAGE
    choices: list[Any] = [choice.to_dict() for choice in answer.choices]
    good, bad = choices
    assert (good["model"], good["usage"]) == ("a", USAGE)
    assert isinstance(good["latency_ms"], float)
    assert (bad["finish_reason"], answer.choices[1].message.refusal) == ("stop", "`b`: b is busy")
    assert (bad["model"], bad["usage"]) == ("b", None)
    assert bad["error"] == {
        "status": 429,
        "message": "`b`: b is busy",
        "type": "server_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }


def test_the_last_chunk_of_each_choice_has_the_same(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.script("a", answers("from a"))
    upstream.script("b", [refuse(429, "b is busy")])
    chunks = list(client.chat.completions.create(model="a, b", messages=HI, stream=True))
    last = {choice.index: choice for chunk in chunks for choice in chunk.choices}
    assert last[0].to_dict()["usage"] == USAGE
    assert (last[0].finish_reason, last[0].to_dict()["model"]) == ("stop", "a")
    failed: Any = last[1].to_dict()
    assert (failed["finish_reason"], failed["delta"]) == ("stop", {"refusal": "`b`: b is busy"})
    assert failed["error"]["code"] == "rate_limit_exceeded"
    assert len({(chunk.id, chunk.created) for chunk in chunks}) == 1


def test_litellms_list_is_there_for_those_who_ask(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers("from a"))
    upstream.script("b", [refuse(500, "b is down")])
    body = {"model": "a, b", "messages": HI, "fanout": {"shape": "list"}}
    _, _, flat = server.json(body)
    assert [one.get("model") for one in flat] == ["a", "b"]
    assert flat[0]["choices"][0]["message"]["content"] == "from a"
    assert flat[1]["error"]["code"] == "provider_overloaded"
    _, _, nested = server.json(body | {"messages": [HI, BYE]})
    assert [[one["model"] for one in row] for row in nested] == [["a", "b"], ["a", "b"]]
    _, _, single = server.json(body | {"model": "a", "messages": [HI, BYE]})
    assert [[one["model"] for one in row] for row in single] == [["a"], ["a"]]


def test_the_headers_have_the_mode_the_winner_and_the_request(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.script("a", answers())
    upstream.script("b", stalls())
    raw = client.chat.completions.with_raw_response.create(
        model="a, b",
        messages=HI,
        extra_body={"fastest_response": True},
        extra_headers={"x-request-id": "mine.1"},
    )
    assert raw.headers["x-fanout-mode"] == "race"
    assert raw.headers["x-fanout-winner"] == "a"
    assert raw.request_id == "mine.1"
    plain = client.chat.completions.create(model="a", messages=HI)
    assert plain._request_id is not None
    assert plain._request_id.startswith("req_")


def test_the_models_can_be_listed_and_looked_up(client: openai.OpenAI) -> None:
    listed = client.models.list()
    assert [model.id for model in listed] == ["a", "b", "c", "d", "gpt-4o", "groq-llama", "claude"]
    found = client.models.retrieve("groq-llama")
    assert (found.id, found.object) == ("groq-llama", "model")
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("nope")
    assert caught.value.code == "model_not_found"


# ---- errors ----


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.InternalServerError),
        (404, openai.NotFoundError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_errors_are_the_sdks_own_exceptions(
    ask: Ask, upstream: Upstream, status: int, kind: type[openai.APIStatusError]
) -> None:
    upstream.script("a", [refuse(status, "because", param="p")])
    with pytest.raises(kind) as caught:
        ask(model="a", messages=HI)
    assert caught.value.message.startswith(f"Error code: {caught.value.status_code} - ")
    assert caught.value.request_id is not None
    assert isinstance(caught.value.body, dict)
    assert caught.value.param == (None if status == 401 else "p")


def test_the_sdk_does_not_multiply_the_gateways_retries(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", [refuse(503)])
    with (
        openai.OpenAI(api_key="k", base_url=server.url) as client,
        pytest.raises(openai.InternalServerError),
    ):
        client.chat.completions.create(model="a", messages=HI)
    assert len(upstream.calls) == 1


def test_a_stream_that_breaks_raises_and_does_not_just_end(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.script("a", [role, say("Hel"), pause(0.05), cut])
    stream = client.chat.completions.create(model="a", messages=HI, stream=True)
    assert joined([next(stream), next(stream)]) == {0: "Hel"}
    with pytest.raises(openai.APIError, match="the connection to the provider broke") as caught:
        next(stream)
    assert caught.value.code == "provider_stream_broken"


def test_leaving_a_stream_closes_the_providers(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script("a", stalls(role, say("Hel")))
    with client.chat.completions.create(model="a", messages=HI, stream=True) as stream:
        next(stream)
    upstream.wait_disconnected("a")


def test_cancelling_the_async_client_closes_the_providers(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", stalls(role))

    async def leave() -> None:
        async with openai.AsyncOpenAI(api_key="k", base_url=server.url) as client:
            asked = asyncio.ensure_future(client.chat.completions.create(model="a", messages=HI))
            await asyncio.to_thread(upstream.wait_called, "a")
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked

    asyncio.run(leave())
    upstream.wait_disconnected("a")


def test_many_streams_at_once_do_not_mix(server: RunningGateway, upstream: Upstream) -> None:
    started = upstream.gate()
    upstream.script("a", [wait(started), *answers("from", " a")])
    upstream.script("b", [opens(started), *answers("from", " b")])

    async def stream(client: openai.AsyncOpenAI, model: str) -> str:
        answer = await client.chat.completions.create(model=model, messages=HI, stream=True)
        return joined([chunk async for chunk in answer])[0]

    async def run() -> list[str]:
        async with (
            openai.AsyncOpenAI(api_key="k", base_url=server.url) as client,
            asyncio.TaskGroup() as group,
        ):
            tasks = [group.create_task(stream(client, model)) for model in "ab" * 20]
        return [task.result() for task in tasks]

    assert asyncio.run(run()) == ["from a", "from b"] * 20
