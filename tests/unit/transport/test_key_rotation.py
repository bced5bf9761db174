from __future__ import annotations

from typing import Any

import pytest

from fanout.config.deployment import Deployment, make_deployment
from fanout.config.model import ModelParams
from fanout.errors import MissingKey
from fanout.gateway.factory import make_transport
from fanout.schema.validation import parse_chat
from fanout.settings import Settings
from tests.support.scripted_engine import ScriptedEngine, answers
from tests.support.virtual_clock import run

HELLO = parse_chat({"messages": [{"role": "user", "content": "Hi"}]})


def deployment(name: str, key: Any, env: dict[str, str] | None = None) -> Deployment:
    base = f"http://{name}.test/v1"
    return make_deployment(
        name, ModelParams(model="openai/m", api_key=key, api_base=base), {}, env or {}
    )


def keys(*called: Deployment) -> list[str]:
    """The keys that were sent, call by call."""
    engine = ScriptedEngine(a=answers("A"), b=answers("B"), c=answers("C"))
    transport = make_transport(Settings(), engine)

    async def main() -> list[str]:
        for one in called:
            await transport.chat(one, HELLO)
        return [headers["authorization"].removeprefix("Bearer ") for headers in engine.headers]

    return run(main())


def test_several_keys_of_a_deployment_are_used_in_turn() -> None:
    assert keys(*[deployment("a", ["k1", "k2", "k3"])] * 5) == ["k1", "k2", "k3", "k1", "k2"]


def test_each_deployment_uses_its_keys_in_turn_whatever_is_called_between() -> None:
    a, b, c = deployment("a", ["a1", "a2"]), deployment("b", ["b1", "b2"]), deployment("c", "c1")
    assert keys(a, b, a, b) == ["a1", "b1", "a2", "b2"]
    assert keys(a, c, a, c, a) == ["a1", "c1", "a2", "c1", "a1"]


def test_a_missing_key_is_skipped() -> None:
    listed = ["os.environ/NOT_THERE", "os.environ/THERE"]
    assert keys(*[deployment("a", listed, {"THERE": "k2"})] * 2) == ["k2", "k2"]


def test_without_any_key_the_call_is_not_made() -> None:
    with pytest.raises(MissingKey, match="NOT_THERE"):
        keys(deployment("a", "os.environ/NOT_THERE"))
