"""What a call costs that ends early, of a provider that says at its start what the prompt costs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.routing.billing import ASSUMED_OUTPUT_TOKENS
from fanout.schema.token_estimate import estimate_tokens
from tests.keys.test_charged_calls import (
    BODY,
    LOST,
    TEXT,
    begun,
    closed,
    cost_of,
    gateway,
    start_job,
)
from tests.keys.test_jobs_of_keys import Client
from tests.support.gateway_server import RunningGateway
from tests.support.provider_steps import cut, piece, role, say, stalls, stop, until
from tests.support.scripted_provider import Step, Upstream
from tests.support.wire_formats import USAGE

__all__ = ["begun", "closed", "gateway"]

EARLY = cost_of([(USAGE["prompt_tokens"], estimate_tokens(LOST))])
WHOLE = cost_of([(USAGE["prompt_tokens"], USAGE["completion_tokens"])])
MOST = 50
CHAT = {**BODY, "max_tokens": MOST, "stream": True}
PATHS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT,
    "/v1/messages": CHAT,
    "/v1/responses": {"input": "Hi", "stream": True},
}


def counted(text: str, completion_tokens: int) -> Step:
    """Send content in a chunk that has the usage so far, as vLLM does if it is asked to."""
    sent = USAGE["prompt_tokens"]
    usage = {"prompt_tokens": sent, "completion_tokens": completion_tokens}
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "vllm"}
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    whole = {**usage, "total_tokens": sent + completion_tokens}
    chunk = {**head, "choices": [choice], "usage": whole}
    return piece(f"data: {json.dumps(chunk)}\n\n".encode())


COUNTED = estimate_tokens(LOST) + 4
PARTS: dict[str, tuple[list[Step], float]] = {
    "claude": ([role, say(LOST)], EARLY),
    "gemini": ([role, say(LOST)], EARLY),
    "vllm": (
        [role, counted("", 0), counted(LOST, COUNTED)],
        cost_of([(USAGE["prompt_tokens"], COUNTED)]),
    ),
}
"""What each model sends before its stream is cut, and what that costs."""


def cancelled_cost(model: str, most: int) -> float:
    """The same if it is cancelled: Gemini goes on to write, so at most so much is charged."""
    goes_on = model == "gemini"
    return cost_of([(USAGE["prompt_tokens"], most)]) if goes_on else PARTS[model][1]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("model", PARTS)
@pytest.mark.parametrize("is_left", [True, False])
def test_a_stream_that_ends_early_pays_the_prompt_that_was_counted(
    gateway: RunningGateway, upstream: Upstream, model: str, path: str, *, is_left: bool
) -> None:
    steps, cost = PARTS[model]
    upstream.script(model, stalls(*steps) if is_left else [*steps, cut])
    client = Client(gateway)
    gateway.observer.clear()
    headers = {"authorization": f"Bearer {client.key}"}
    with gateway.ask({**PATHS[path], "model": model}, path, headers=headers) as response:
        while is_left and LOST.encode() not in response.readline():
            pass
        rest = b"" if is_left else response.read()
    if is_left:
        gateway.observer.wait_for_status(499)
    else:  # the error is the last event, and its cost is the comment before it
        text, _, last = rest.partition(b"\n: x-fanout-cost: %.9f\n\n" % cost)
        assert LOST.encode() in text
        assert b"error" in last
    if is_left:
        cost = cancelled_cost(model, PATHS[path].get("max_tokens", ASSUMED_OUTPUT_TOKENS))
    assert client.spent == (cost, 0.0)


@pytest.mark.parametrize("model", PARTS)
def test_the_loser_of_a_race_pays_the_prompt_that_was_counted(
    gateway: RunningGateway, upstream: Upstream, begun: set[str], model: str
) -> None:
    upstream.script(model, stalls(*PARTS[model][0]))
    upstream.script("a", [until(lambda: model in begun), role, say(TEXT), stop])
    body = {**BODY, "max_tokens": MOST, "fanout": {"models": [model, "a"], "mode": "race"}}
    client, cost = Client(gateway), cancelled_cost(model, MOST)
    with gateway.ask(body, headers={"authorization": f"Bearer {client.key}"}) as response:
        assert json.loads(response.read())["model"] == "a"
    assert client.spent == (round(cost + WHOLE, 9), 0.0)
    begun.clear()
    job = Client(gateway)
    batch: Any = job.ended(start_job(job, body)).to_dict()
    assert batch["fanout"]["known_cost_usd"] == job.spent[0] == round(cost + WHOLE, 9)
