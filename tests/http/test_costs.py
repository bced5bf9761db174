"""The cost of each of several responses, by the config's prices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import answers, refuse, slow_and_fast
from tests.support.scripted_provider import Upstream
from tests.support.wire_formats import USAGE

PRICES: dict[str, Any] = {"input_cost_per_token": 0.5, "output_cost_per_token": 2.0}
COST = USAGE["prompt_tokens"] * 0.5 + USAGE["completion_tokens"] * 2.0
HI = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def server(provider: Upstream) -> Iterator[RunningGateway]:
    """Two models with a price, and one without."""
    listed = [entry(provider, "a", **PRICES), entry(provider, "b", **PRICES), entry(provider, "c")]
    with serve({"model_list": listed, "router_settings": {"num_retries": 0}}) as served:
        yield served


def costs(server: RunningGateway, body: dict[str, Any]) -> dict[str, float | None]:
    """The cost of each choice, by its model: the same plain and streamed."""
    plain, streamed = server.chat(body), server.chat({**body, "stream": True})
    found = {choice["model"]: choice["cost_usd"] for choice in plain.choices.values()}
    assert {choice["model"]: choice["cost_usd"] for choice in streamed.choices.values()} == found
    return found


def test_each_response_of_several_has_its_own_cost(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers("A"))
    upstream.script("b", [refuse(400)])
    upstream.script("c", answers("C"))
    body = {"model": ["a", "b", "c"], "messages": HI}
    assert costs(server, body) == {"a": COST, "b": None, "c": None}


def test_a_race_in_a_grid_costs_what_is_known_of_all_who_ran(
    server: RunningGateway, upstream: Upstream
) -> None:
    slow_and_fast(upstream, "b", "a", "fast")
    body = {"model": ["b", "a"], "fastest_response": True, "messages": [HI]}
    _, _, plain = server.json(body)
    assert [choice["cost_usd"] for choice in plain["choices"]] == [COST]
