"""A refused prompt is the client's affair: no other key, deployment or cooldown."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fanout.errors import (
    ContentFiltered,
    ContextLengthExceeded,
    ModelNotFound,
    PermissionDenied,
    QuotaExceeded,
)
from fanout.routing.leg import Leg
from tests.support.scripted_engine import Reply, Script, answers
from tests.support.virtual_clock import run
from tests.unit.routing.router_harness import Harness

Ask = Callable[[Harness, Leg], Awaitable[str]]
every_way = pytest.mark.parametrize(
    "ask",
    [Harness.ask, Harness.ask_by_stream, Harness.read],
    ids=["plain", "collected", "streamed"],
)

XAI = {
    "code": "The caller does not have permission to execute the specified operation",
    "error": "Content violates usage guidelines. Team: t, API key ID: k, Model: grok-4",
}
OPENROUTER = {
    "error": {
        "code": 403,
        "message": "Your input was flagged",
        "metadata": {"reasons": ["violence"], "flagged_input": "…"},
    }
}


def refuses_with(status: int, body: Any) -> Script:
    reply = Reply(status, [json.dumps(body).encode()], headers={"content-type": "application/json"})
    return Script(reply, reply)


@every_way
@pytest.mark.parametrize(
    ("model", "body"),
    [("xai/grok-4", XAI), ("openrouter/m", OPENROUTER)],
    ids=["xai", "openrouter"],
)
def test_a_refused_prompt_is_sent_to_no_second_key_or_deployment(
    ask: Ask, model: str, body: Any
) -> None:
    async def main() -> None:
        params: Any = {
            "a": {"model": model, "api_key": ["marker-1", "marker-2"]},
            "b": {"model": model},
        }
        harness = Harness(params=params, a=refuses_with(403, body), b=answers("B"))
        with pytest.raises(ContentFiltered) as raised:
            await ask(harness, Leg("m", "r", retries=3))
        assert (raised.value.status, raised.value.detail.code) == (400, "content_filter")
        assert harness.engine.asked == ["a"]

    run(main())


def test_it_starts_no_cooldown() -> None:
    async def main() -> None:
        params = {"a": {"model": "xai/grok-4"}, "b": {"model": "xai/grok-4"}}
        first = [refuses_with(403, XAI), answers("A")]
        harness = Harness(params=params, a=first, b=answers("B"))
        with pytest.raises(ContentFiltered):
            await harness.ask()
        assert await harness.ask() == "A"

    run(main())


OTHERS = [
    (403, {"error": {"message": "no", "code": "model_not_found"}}, ModelNotFound),
    (400, {"error": {"message": "no", "code": "context_length_exceeded"}}, ContextLengthExceeded),
    (402, {"error": {"message": "no"}}, QuotaExceeded),
    (403, {"error": {"message": "no", "code": "insufficient_permissions"}}, PermissionDenied),
]


@every_way
@pytest.mark.parametrize(("status", "body", "kind"), OTHERS)
def test_other_rejections_go_to_another_deployment_but_not_twice_to_the_same(
    ask: Ask, status: int, body: Any, kind: type[Exception]
) -> None:
    async def main() -> None:
        alone = Harness(a=refuses_with(status, body))
        with pytest.raises(kind):
            await ask(alone, Leg("m", "r", retries=3))
        assert alone.engine.asked == ["a"]
        both = Harness(a=refuses_with(status, body), b=answers("B"))
        assert await ask(both, Leg("m", "r", retries=3)) == "B"
        assert both.engine.asked == ["a", "b"]

    run(main())
