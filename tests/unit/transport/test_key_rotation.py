from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.config.deployment import Deployment, make_deployment
from fanout.config.model import ModelParams
from fanout.errors import MissingKey, ProviderError
from fanout.gateway.factory import make_transport
from fanout.schema.validation import parse_chat
from fanout.settings import Settings
from tests.support.scripted_engine import Reply, Script, ScriptedEngine, answers
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


def failure(status: int, code: str | None = None, message: str = "No.") -> Script:
    body = json.dumps({"error": {"message": message, "code": code}}).encode()
    return Script(Reply(status, [body]), Reply(status, [body]))


REFUSED = failure(401, "invalid_api_key")
EMPTY = Script(Reply(403), Reply(403))
QUOTA = failure(429, "insufficient_quota")
SCOPES = failure(403, message="You have insufficient permissions. Missing scopes: model.request.")
LIMIT = failure(429, "rate_limit_exceeded")
FILTERED = failure(400, "content_filter")
COUNTRY = failure(403, "unsupported_country_region_territory")
BROKEN = failure(500)


def tried(listed: list[str], *scripts: Script, stream: bool) -> tuple[list[str], str]:
    """The keys that were sent, and how the call ended."""
    engine = ScriptedEngine(a=[*scripts, answers("A")])
    transport = make_transport(Settings(), engine)

    async def call() -> str:
        try:
            if stream:
                async with transport.stream(deployment("a", listed), HELLO) as opened:
                    chunks = [chunk async for chunk in opened.chunks]
                    return chunks[0]["object"]
            return (await transport.chat(deployment("a", listed), HELLO)).completion["object"]
        except ProviderError as error:
            return type(error).__name__

    ending = run(call())
    return [sent["authorization"].removeprefix("Bearer ") for sent in engine.headers], ending


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("why", [REFUSED, EMPTY, QUOTA, SCOPES])
def test_a_call_whose_key_is_rejected_is_made_with_the_next_key(
    why: Script, *, stream: bool
) -> None:
    ending = "chat.completion.chunk" if stream else "chat.completion"
    assert tried(["k1", "k2"], why, stream=stream) == (["k1", "k2"], ending)
    assert tried(["k1", "k2", "k3"], why, why, stream=stream) == (["k1", "k2", "k3"], ending)


@pytest.mark.parametrize("stream", [False, True])
def test_each_key_is_tried_once_and_the_last_error_counts(*, stream: bool) -> None:
    assert tried(["k1"], REFUSED, stream=stream) == (["k1"], "Refused")
    assert tried(["k1", "k1"], REFUSED, stream=stream) == (["k1"], "Refused")
    sent = ["k1", "k2"]
    assert tried(sent, REFUSED, QUOTA, stream=stream) == (sent, "QuotaExceeded")
    assert tried(sent, QUOTA, REFUSED, stream=stream) == (sent, "Refused")
    assert tried(sent, REFUSED, BROKEN, stream=stream) == (sent, "Overloaded")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("why", "ending"),
    [(FILTERED, "ContentFiltered"), (COUNTRY, "UnsupportedCountry"), (LIMIT, "RateLimited"),
     (BROKEN, "Overloaded")],
)  # fmt: skip
def test_what_is_not_about_the_key_asks_for_no_other_key(
    why: Script, ending: str, *, stream: bool
) -> None:
    assert tried(["k1", "k2"], why, stream=stream) == (["k1"], ending)


@pytest.mark.parametrize("stream", [False, True])
def test_a_201_is_a_response_as_well(*, stream: bool) -> None:
    good = answers("A")
    created = Script(Reply(201, good.plain.pieces), Reply(201, good.streamed.pieces))
    ending = "chat.completion.chunk" if stream else "chat.completion"
    assert tried(["k1"], created, stream=stream) == (["k1"], ending)
