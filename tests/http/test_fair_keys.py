"""One key with many slow streams leaves room for others: they are served, or get a 429 soon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

import openai
import pytest

from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import answers, role, say, wait
from tests.support.scripted_provider import Upstream

HI = [{"role": "user", "content": "Hi"}]
SLOTS = 40
KEYS = ("busy", "quick", "third")


@pytest.fixture
def server(provider: Upstream) -> Iterator[RunningGateway]:
    config = {
        "model_list": [entry(provider, name, num_retries=0) for name in ("slow", "fast")],
        "general_settings": {
            "keys": [{"name": name, "key": f"sk-{name}"} for name in KEYS],
            "global_max_parallel_requests": SLOTS,
        },
    }
    with serve(config) as served:
        yield served


def client_of(server: RunningGateway, name: str) -> openai.OpenAI:
    return openai.OpenAI(api_key=f"sk-{name}", base_url=f"{server.url}/v1", max_retries=0)


def test_a_key_with_many_slow_streams_leaves_slots_for_others(
    server: RunningGateway, upstream: Upstream
) -> None:
    gate = upstream.gate()
    upstream.script("slow", [role, say("x"), wait(gate), *answers("y")])
    upstream.script("fast", answers("ok"))
    body = {"model": "slow", "messages": HI, "stream": True}
    headers = {"authorization": "Bearer sk-busy"}
    with ExitStack() as stack:
        stack.callback(gate.open)
        sent = [
            stack.enter_context(closing(server.send(body, headers=headers)))
            for _ in range(2 * SLOTS)
        ]
        upstream.wait(lambda: len(upstream.calls_to("slow")) == SLOTS * 3 // 4)
        for name in ("quick", "third"):
            with client_of(server, name) as client:
                for _ in range(5):
                    made = client.chat.completions.create(model="fast", messages=HI)  # type: ignore[arg-type]
                    assert made.choices[0].message.content == "ok"
        statuses = [connection.getresponse() for connection in sent]
        assert sorted(r.status for r in statuses) == [200] * 30 + [429] * 50
        refused = next(r for r in statuses if r.status == 429)
        assert refused.headers["retry-after"] == "1"
        assert b"gateway_busy" in refused.read()
        assert len(upstream.calls_to("slow")) == SLOTS * 3 // 4
        with client_of(server, "busy") as client, pytest.raises(openai.RateLimitError) as raised:
            client.chat.completions.create(model="fast", messages=HI)  # type: ignore[arg-type]
        assert raised.value.code == "gateway_busy"


def test_many_keys_together_leave_a_429_and_no_504(
    server: RunningGateway, upstream: Upstream
) -> None:
    gate = upstream.gate()
    upstream.script("slow", [role, say("x"), wait(gate), *answers("y")])
    body = {"model": "slow", "messages": HI, "stream": True}
    with ExitStack() as stack:
        stack.callback(gate.open)
        sent = [
            stack.enter_context(
                closing(server.send(body, headers={"authorization": f"Bearer sk-{name}"}))
            )
            for name in KEYS
            for _ in range(SLOTS)
        ]
        assert {connection.getresponse().status for connection in sent} == {200, 429}
        assert len(upstream.calls_to("slow")) <= SLOTS
