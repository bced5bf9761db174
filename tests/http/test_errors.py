"""Errors as clients get them: OpenAI's error object, the right status, and no secrets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import json

from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import (
    answers,
    cut,
    hang,
    piece,
    raw,
    refuse,
    reply,
    reset,
    role,
    say,
    stalls,
)
from tests.support.scripted_provider import Script, Upstream

HI = [{"role": "user", "content": "Hi, marker-prompt"}]
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])

# The provider's response, and the client's error: status, type and code.
STATUSES = [
    (400, 400, "invalid_request_error", None),
    (401, 502, "provider_key_error", "provider_key_refused"),
    (403, 502, "provider_key_error", "provider_key_refused"),
    (404, 404, "invalid_request_error", None),
    (408, 504, "api_error", "provider_timeout"),
    (409, 502, "api_error", "provider_overloaded"),
    (413, 413, "invalid_request_error", None),
    (418, 418, "invalid_request_error", None),
    (422, 422, "invalid_request_error", None),
    (429, 429, "rate_limit_error", "rate_limit_exceeded"),
    (500, 502, "api_error", "provider_overloaded"),
    (502, 502, "api_error", "provider_overloaded"),
    (503, 503, "api_error", "provider_overloaded"),
    (504, 504, "api_error", "provider_timeout"),
    (529, 503, "api_error", "provider_overloaded"),
    (301, 502, "api_error", "provider_malformed"),
]


@both_ways
@pytest.mark.parametrize(("theirs", "ours", "kind", "code"), STATUSES)
def test_each_status_of_a_provider_has_one_of_ours(
    server: RunningGateway,
    upstream: Upstream,
    *,
    theirs: int,
    ours: int,
    kind: str,
    code: Any,
    stream: bool,
) -> None:
    body = b'{"error": {"message": "because"}}'
    upstream.script("a", [reply(theirs, body, {"location": "/elsewhere"})])
    response = server.chat({"model": "a", "messages": HI, "stream": stream})
    assert response.error is not None
    assert (response.status, response.error["type"], response.error["code"]) == (ours, kind, code)
    assert set(response.error) == {"message", "type", "param", "code"}
    assert response.error["message"].startswith("`a`: ")
    assert len(upstream.calls) == 1


@pytest.mark.parametrize(
    ("stream", "code"), [(False, "provider_malformed"), (True, "provider_stream_broken")]
)
def test_a_success_without_a_body_is_a_502(
    server: RunningGateway, upstream: Upstream, *, stream: bool, code: str
) -> None:
    upstream.script("a", [reply(204, b"")])
    response = server.chat({"model": "a", "messages": HI, "stream": stream})
    assert response.error is not None
    assert (response.status, response.error["code"]) == (502, code)


def test_a_rejected_request_keeps_the_providers_message(
    server: RunningGateway, upstream: Upstream
) -> None:
    words: Any = {"type": "invalid_request_error", "param": "top_p", "code": "unsupported_value"}
    upstream.script("a", [refuse(400, "top_p is not for me", **words)])
    response = server.chat({"model": "a", "messages": HI})
    assert response.error == {"message": "`a`: top_p is not for me", **words}


def test_an_exhausted_quota_is_not_a_rate_limit(server: RunningGateway, upstream: Upstream) -> None:
    upstream.script("a", [refuse(429, "pay", type="insufficient_quota", code="insufficient_quota")])
    response = server.chat({"model": "a", "messages": HI})
    assert response.error is not None
    assert (response.status, response.error["code"]) == (429, "insufficient_quota")


@both_ways
@pytest.mark.parametrize(
    ("given", "expected", "exact"),
    [
        ({"retry-after": "7"}, "7", "7000"),
        ({"retry-after": "1.5"}, "2", "1500"),
        ({"retry-after-ms": "250"}, "1", "250"),
        ({"retry-after-ms": "1500", "retry-after": "9"}, "2", "1500"),
        (
            {
                "retry-after": "Mon, 23 Nov 2026 10:00:30 GMT",
                "date": "Mon, 23 Nov 2026 10:00:00 GMT",
            },
            "30",
            "30000",
        ),
        ({"retry-after": "soon"}, None, None),
        ({}, None, None),
    ],
)
def test_retry_after_is_in_whole_seconds_and_without_it_the_sdk_may_not_retry(
    server: RunningGateway,
    upstream: Upstream,
    *,
    given: dict[str, str],
    expected: str | None,
    exact: str | None,
    stream: bool,
) -> None:
    """The gateway has retried already: only after a known pause may the SDK retry, too."""
    upstream.script("a", [refuse(429, "slower", given)])
    response = server.chat({"model": "a", "messages": HI, "stream": stream})
    assert response.headers.get("retry-after") == expected
    assert response.headers.get("retry-after-ms") == exact
    assert response.headers.get("x-should-retry") == (None if expected else "false")


@both_ways
def test_after_a_spent_quota_no_pause_makes_the_sdk_retry(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", [refuse(429, "pay", {"retry-after": "9"}, code="insufficient_quota")])
    upstream.script("b", [refuse(429, "slower", {"retry-after": "20"})])
    response = server.chat({"model": "a", "messages": HI, "stream": stream})
    assert response.headers["x-should-retry"] == "false"
    both = server.chat({"model": "a, b", "messages": HI, "stream": stream})
    assert both.headers["retry-after"] == "20"
    assert "x-should-retry" not in both.headers


def test_of_several_pauses_the_shortest_is_passed_on(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", [refuse(429, "slower", {"retry-after": "9"})])
    upstream.script("b", [refuse(429, "slower", {"retry-after": "4"})])
    response = server.chat({"model": "a, b", "messages": HI})
    assert (response.status, response.headers["retry-after"]) == (429, "4")
    assert response.headers["retry-after-ms"] == "4000"
    assert "x-should-retry" not in response.headers


def test_errors_of_the_request_have_no_retry_headers(server: RunningGateway) -> None:
    response = server.chat({"model": "nope", "messages": HI})
    assert response.status == 404
    assert "x-should-retry" not in response.headers


@both_ways
@pytest.mark.parametrize("mode", ["race", "all", "fallback"])
def test_all_failed_has_every_cause_and_their_status_if_they_agree(
    server: RunningGateway, upstream: Upstream, *, mode: str, stream: bool
) -> None:
    upstream.script("a", [refuse(429, "a is busy")])
    upstream.script("b", [refuse(429, "b is busy")])
    fan = {"mode": mode, "models": ["a", "b"]}
    response = server.chat({"fanout": fan, "messages": HI, "stream": stream})
    assert response.error is not None
    assert (response.status, response.error["code"]) == (429, "rate_limit_exceeded")
    assert response.error["causes"] == [
        {
            "model": name,
            "status": 429,
            "message": f"`{name}`: {name} is busy",
            "type": "server_error",
            "param": None,
            "code": "rate_limit_exceeded",
        }
        for name in ("a", "b")
    ]


def test_one_that_fails_among_several_is_a_choice_with_an_error(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", [refuse(500, "a is down")])
    upstream.script("b", answers("fine"))
    for stream in (False, True):
        response = server.chat({"model": "a, b", "messages": HI, "stream": stream})
        assert response.status == 200
        assert response.choices[0]["finish_reason"] == "stop"
        assert response.choices[0]["error"]["message"] == "`a`: a is down"
        assert (response.texts[1], response.choices[1]["finish_reason"]) == ("fine", "stop")


NONSENSE: dict[str, Script] = {
    "html": [reply(200, b"<html>welcome", {"content-type": "text/html"})],
    "an empty body": [reply(200, b"")],
    "another shape": [piece(b'{"hello": 1}')],
    "an array": [piece(b"[]")],
    "nesting": [piece(b'{"choices":' + b"[" * 100_000)],
}


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_what_is_not_the_providers_wire_is_a_502(
    server: RunningGateway, upstream: Upstream, nonsense: str
) -> None:
    upstream.script("a", NONSENSE[nonsense])
    response = server.chat({"model": "a", "messages": HI})
    assert response.error is not None
    assert (response.status, response.error["code"]) == (502, "provider_malformed")


@both_ways
@pytest.mark.parametrize(
    "fault",
    [[cut], [reset], [role, cut], [raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), cut]],
    ids=["cut", "reset", "cut-before-a-word", "ssh"],
)
def test_a_connection_that_breaks_is_a_502(
    server: RunningGateway, upstream: Upstream, *, fault: Script, stream: bool
) -> None:
    server.observer.clear()
    upstream.script("a", fault)
    response = server.chat({"model": "a", "messages": HI, "stream": stream})
    assert response.error is not None
    assert (response.status, response.error["code"]) == (502, "provider_stream_broken")
    assert [record.error for record in server.observer.attempts] == ["Broken"]


@pytest.fixture(scope="module")
def dark(provider: Upstream) -> Iterator[RunningGateway]:
    """A gateway whose models mostly cannot be reached."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    there = entry(provider, "slow", "openai/a", timeout=0.5, stream_timeout=0.5)
    silent = entry(provider, "silent", "openai/a", stream_timeout=3)
    refused = entry(provider, "refused", api_base=f"http://127.0.0.1:{port}/v1")
    nowhere = entry(provider, "nowhere", api_base="http://marker-host.invalid/v1")
    config = {
        "model_list": [there, silent, refused, nowhere],
        "router_settings": {"num_retries": 0},
    }
    with serve(config) as served:
        yield served


@both_ways
@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("refused", "the connection was refused"),
        ("nowhere", "its host name cannot be resolved"),
    ],
)
def test_a_provider_that_is_not_there_is_a_502(
    dark: RunningGateway, *, model: str, reason: str, stream: bool
) -> None:
    response = dark.chat({"model": model, "messages": HI, "stream": stream})
    assert response.error == {
        "message": f"`{model}`: no connection to the provider ({reason})",
        "type": "api_error",
        "param": None,
        "code": "provider_unreachable",
    }
    assert response.status == 502


@both_ways
def test_a_provider_that_does_not_respond_in_time_is_a_504(
    dark: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", [hang])
    response = dark.chat({"model": "slow", "messages": HI, "stream": stream})
    assert response.error is not None
    assert (response.status, response.error["code"]) == (504, "provider_timeout")
    upstream.wait_ended()


def test_a_stream_that_falls_silent_ends_with_an_error(
    dark: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", stalls(role, say("Hel")))
    response = dark.chat({"model": "silent", "messages": HI, "stream": True})
    assert response.error is not None
    assert (response.text, response.error["code"], response.done) == (
        "Hel",
        "provider_timeout",
        False,
    )
    upstream.wait_disconnected("a")


MARKERS = ("marker", "sk-provider", "127.0.0.1", "10.1.2.3", "Traceback", "object at 0x", ".py")
LEAK = (
    "Incorrect API key provided: sk-provider-a. Authorization: Bearer sk-provider-a; "
    "POST {url}/v1/chat/completions to 10.1.2.3:8443/v1 failed"
)


@both_ways
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_no_error_and_no_log_shows_a_key_a_prompt_or_an_address(
    server: RunningGateway, upstream: Upstream, *, status: int, stream: bool
) -> None:
    server.observer.clear()
    upstream.script("a", [refuse(status, LEAK.format(url=upstream.url))])
    upstream.script("b", [refuse(status, LEAK.format(url=upstream.url))])
    for model in ("a", "a, b"):
        body = {"model": model, "messages": HI, "stream": stream}
        with server.ask(body) as response:
            text = response.read().decode() + str(response.getheaders())
        assert not [marker for marker in MARKERS if marker in text]
    log = json.encode([server.observer.attempts, server.observer.requests]).decode()
    assert not [marker for marker in MARKERS if marker in log]
    assert [record.status for record in server.observer.attempts] == [status] * 3
    assert not server.observer.unexpected_errors


def test_a_page_of_some_proxy_is_not_repeated(server: RunningGateway, upstream: Upstream) -> None:
    page = b"<html>marker-host squid/5.7 says no</html>"
    upstream.script("a", [reply(502, page, {"content-type": "text/html"})])
    response = server.chat({"model": "a", "messages": HI})
    assert response.error is not None
    assert response.error["message"] == "`a`: HTTP 502, the provider gave no reason"


def test_errors_too_have_the_requests_id_and_mode(server: RunningGateway) -> None:
    response = server.chat({"model": "nope, a", "messages": HI}, {"x-request-id": "mine-1"})
    assert response.headers["x-request-id"] == "mine-1"
    assert response.headers["x-fanout-mode"] == "all"
    other = server.chat({"model": "nope", "messages": HI}, {"x-request-id": "not one;"})
    assert other.headers["x-request-id"].startswith("req_")
