"""Calls with the same key share their headers: thousands in flight need them once."""

from __future__ import annotations

from collections.abc import Mapping

from fanout.config.deployment import Deployment, make_deployment
from fanout.config.model import ModelParams
from fanout.gateway.factory import make_transport
from fanout.schema.validation import parse_chat
from fanout.settings import Settings
from tests.support.scripted_engine import ScriptedEngine, answers
from tests.support.virtual_clock import run

HELLO = parse_chat({"messages": [{"role": "user", "content": "Hi"}]})


def deployment(key: str | list[str], **more: str | None) -> Deployment:
    base = "http://a.test/v1"
    params = ModelParams(model="openai/m", api_key=key, api_base=base, extra_headers=more)
    return make_deployment("a", params, {}, {})


def headers(*called: Deployment) -> list[Mapping[str, str]]:
    engine = ScriptedEngine(a=answers("A"))
    transport = make_transport(Settings(), engine)

    async def main() -> list[Mapping[str, str]]:
        for one in called:
            await transport.chat(one, HELLO)
        return list(engine.headers)

    return run(main())


def test_the_headers_of_a_key_are_made_once() -> None:
    one = deployment(["k1", "k2"])
    first, second, third, fourth = headers(one, one, one, one)
    assert first is third
    assert second is fourth
    assert (first["authorization"], second["authorization"]) == ("Bearer k1", "Bearer k2")


def test_another_key_or_another_header_of_a_deployment_counts_at_once() -> None:
    found = headers(deployment("k1"), deployment("k2"), deployment("k2", team="blue"))
    assert [one["authorization"] for one in found] == ["Bearer k1", "Bearer k2", "Bearer k2"]
    assert [one.get("team") for one in found] == [None, None, "blue"]
