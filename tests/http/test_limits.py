"""Limits on requests, bodies and responses, and the errors beyond them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import answers, comment, delta, hang, head, role, say, stop, wait
from tests.support.scripted_provider import Call, Script, Upstream

HI = [{"role": "user", "content": "Hi"}]
A = {"model": "a", "messages": HI}
LIMIT = 0.05  # megabytes


async def words_without_end(call: Call) -> None:
    """Send one word after another, without end."""
    while True:
        call.piece(call.wire_format.delta(call.model, {"content": "word " * 100}))
        await call.writer.drain()


async def event_without_end(call: Call) -> None:
    """Send one event that never ends."""
    while True:
        call.piece(b"data: " + b" " * 4096)
        await call.writer.drain()


async def roles_without_end(call: Call) -> None:
    """Send chunks without content."""
    while True:
        call.piece(call.wire_format.opening(call.model))
        await call.writer.drain()


@pytest.fixture(scope="module")
def small(provider: Upstream) -> Iterator[RunningGateway]:
    """A gateway with small limits on responses, requests in flight and bodies."""
    with serve(
        {
            "model_list": [entry(provider, name) for name in "ab"],
            "router_settings": {"num_retries": 1},
            "general_settings": {
                "max_response_size_mb": LIMIT,
                "max_requests": 2,
                "max_request_size_mb": 0.1,
                "max_body_memory_mb": 0.05,
                "master_key": "sk-master",
            },
        }
    ) as served:
        yield served


KEY = {"authorization": "Bearer sk-master"}
TOO_LARGE = "provider_answer_too_large"


@pytest.mark.parametrize("script", [[event_without_end], [roles_without_end]])
def test_an_endless_stream_without_content_is_cancelled(
    small: RunningGateway, upstream: Upstream, script: Script
) -> None:
    upstream.script("a", script)
    response = small.chat(A | {"stream": True}, KEY)
    assert response.status == 502
    assert response.error
    assert response.error["code"] == TOO_LARGE
    upstream.wait_disconnected("a")
    assert len(upstream.calls_to("a")) == 1  # one that is too large is not requested again


def test_a_plain_response_from_an_endless_stream_is_cancelled(
    small: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", [words_without_end])
    upstream.script("b", [words_without_end])
    response = small.chat({"model": "a, b", "messages": HI, "fastest_response": True}, KEY)
    assert response.status == 502
    assert response.error
    assert {cause["code"] for cause in response.error["causes"]} == {TOO_LARGE}
    upstream.wait_disconnected("a", "b")


def test_a_stream_that_is_passed_on_may_be_longer_than_what_is_held(
    small: RunningGateway, upstream: Upstream
) -> None:
    long = "word " * 1_000
    upstream.script("a", [role, *[say(long)] * 20, stop])
    response = small.chat(A | {"stream": True}, KEY)
    assert (response.status, response.done) == (200, True)
    assert response.text == long * 20


def test_comments_between_events_do_not_count_together(
    small: RunningGateway, upstream: Upstream
) -> None:
    noise = comment("x" * 20_000)
    upstream.script("a", [head, noise, delta(content="Hi"), noise, delta(content="!"), noise, stop])
    assert small.chat(A | {"stream": True}, KEY).text == "Hi!"


# ---- how much at once ----


def test_more_requests_than_the_limit_are_429(small: RunningGateway, upstream: Upstream) -> None:
    gate = upstream.gate()
    upstream.script("a", [wait(gate), *answers("Hello")])
    held = [_send(small, A) for _ in range(2)]
    upstream.wait(lambda: len(upstream.calls_to("a")) == 2)
    status, headers, body = small.json(A, headers=KEY)
    assert (status, headers["retry-after"]) == (429, "1")
    assert (body["error"]["code"], body["error"]["type"]) == ("gateway_busy", "rate_limit_error")
    assert "x-should-retry" not in headers
    assert small.json(path="/health", method="GET")[0] == 200
    assert small.json(A)[0] == 401  # who has no key takes no place, and learns nothing
    gate.open()
    for connection in held:
        assert connection.getresponse().status == 200
        connection.close()
    assert small.json(A, headers=KEY)[0] == 200


def test_a_disconnect_frees_what_the_request_reserved(
    small: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", [role, hang])
    known = len(small.observer.requests)
    for _ in range(3):
        held = [_send(small, A) for _ in range(2)]
        upstream.wait(lambda: len(upstream.calls_to("a")) == 2)
        for connection in held:
            connection.close()
        upstream.wait(lambda: all(call.disconnected_at for call in upstream.calls_to("a")))
        small.observer.wait_for_requests(known + 2)
        known += 2
        upstream.reset()
        upstream.script("a", [role, hang])
    upstream.script("a", answers("Hello"))
    assert small.json(A, headers=KEY)[0] == 200


def test_bodies_that_need_too_much_memory_together_are_429(
    small: RunningGateway, upstream: Upstream
) -> None:
    gate = upstream.gate()
    upstream.script("a", [wait(gate), *answers("Hello")])
    big = {"model": "a", "messages": [{"role": "user", "content": "x" * 80_000}]}
    held = _send(small, big)
    upstream.wait_called("a")
    status, headers, body = small.json(big, headers=KEY)
    assert (status, headers["retry-after"]) == (429, "1")
    assert "max_body_memory_mb" in body["error"]["message"]
    gate.open()
    assert held.getresponse().status == 200
    held.close()
    assert small.json(big, headers=KEY)[0] == 200


def test_one_body_that_is_more_than_all_may_be_is_served_alone(
    small: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers("Hello"))
    big = {"model": "a", "messages": [{"role": "user", "content": "x" * 90_000}]}
    assert small.json(big, headers=KEY)[0] == 200


def test_copies_of_a_big_body_wait_for_each_other(
    small: RunningGateway, upstream: Upstream
) -> None:
    first, second = upstream.gate(), upstream.gate()
    upstream.script("a", [wait(first), *answers("A")])
    upstream.script("b", [wait(second), *answers("B")])
    big = {"model": "a, b", "messages": [{"role": "user", "content": "x" * 90_000}]}
    held = _send(small, big)
    upstream.wait_called("a")
    assert upstream.calls_to("b") == []
    second.open()
    first.open()
    assert held.getresponse().status == 200
    held.close()
    assert len(upstream.calls_to("b")) == 1


# ---- who does not read ----


def test_a_client_that_stops_reading_counts_as_disconnected_and_its_calls_are_cancelled(
    upstream: Upstream,
) -> None:
    upstream.script("a", [words_without_end])
    config = {"model_list": [entry(upstream, "a")]}
    with serve(config, send_timeout=0.2) as served:
        connection = served.send(A | {"stream": True})
        try:
            assert served.observer.wait_for_requests(1)[0].error == "ClientGone"
            upstream.wait_disconnected("a")
        finally:
            connection.close()
        assert served.observer.unexpected_errors == []


def _send(served: RunningGateway, body: Any) -> Any:
    return served.send(body, headers=KEY)


async def heavy_roles(call: Call) -> None:
    """Send a few big chunks without content, then wait."""
    padding = {"obfuscation": "x" * 1_200_000}
    for _ in range(4):
        call.piece(call.wire_format.delta(call.model, {"role": "assistant", **padding}))
    await call.writer.drain()
    await hang(call)


@pytest.mark.parametrize("mode", [{}, {"fastest_response": True, "model": "a, b"}])
def test_chunks_before_the_first_content_are_weighed(
    server: RunningGateway, upstream: Upstream, mode: dict[str, Any]
) -> None:
    upstream.script("a", [heavy_roles])
    upstream.script("b", [heavy_roles])
    status, _, response = server.json(A | mode | {"stream": True})
    assert status == 502
    assert TOO_LARGE in str(response)
