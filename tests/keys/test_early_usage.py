"""What a call costs that ends early, of a provider that says at its start what the prompt costs."""

from __future__ import annotations

import json
from typing import Any

import pytest

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
from tests.support.provider_steps import cut, role, say, stalls, stop, until
from tests.support.scripted_provider import Upstream
from tests.support.wire_formats import USAGE

__all__ = ["begun", "closed", "gateway"]

EARLY = cost_of([(USAGE["prompt_tokens"], estimate_tokens(LOST))])
WHOLE = cost_of([(USAGE["prompt_tokens"], USAGE["completion_tokens"])])
CHAT = {**BODY, "model": "claude", "stream": True}
PATHS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT,
    "/v1/messages": CHAT,
    "/v1/responses": {"model": "claude", "input": "Hi", "stream": True},
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("is_left", [True, False])
def test_a_stream_that_ends_early_pays_the_prompt_that_was_counted(
    gateway: RunningGateway, upstream: Upstream, path: str, *, is_left: bool
) -> None:
    steps = [role, say(LOST)]
    upstream.script("claude", stalls(*steps) if is_left else [*steps, cut])
    client = Client(gateway)
    gateway.observer.clear()
    headers = {"authorization": f"Bearer {client.key}"}
    with gateway.ask(PATHS[path], path, headers=headers) as response:
        while is_left and LOST.encode() not in response.readline():
            pass
        if not is_left:
            response.read()
    if is_left:
        gateway.observer.wait_for_status(499)
    assert client.spent == (EARLY, 0.0)


def test_the_loser_of_a_race_pays_the_prompt_that_was_counted(
    gateway: RunningGateway, upstream: Upstream, begun: set[str]
) -> None:
    upstream.script("claude", stalls(role, say(LOST)))
    upstream.script("a", [until(lambda: "claude" in begun), role, say(TEXT), stop])
    body = {**BODY, "fanout": {"models": ["claude", "a"], "mode": "race"}}
    client = Client(gateway)
    with gateway.ask(body, headers={"authorization": f"Bearer {client.key}"}) as response:
        assert json.loads(response.read())["model"] == "a"
    assert client.spent == (round(EARLY + WHOLE, 9), 0.0)
    begun.clear()
    job = Client(gateway)
    batch: Any = job.ended(start_job(job, body)).to_dict()
    assert batch["fanout"]["known_cost_usd"] == job.spent[0] == round(EARLY + WHOLE, 9)
