"""`fanout ask --gateway` sends its prompt to a gateway, and cancels it there on Ctrl-C."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

from tests.cli.commands import Command, CommandResult, spawned
from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import answers, cut, refuse, reply, role, say, stalls
from tests.support.scripted_provider import Upstream

KEY = "sk-mine"


@pytest.fixture(scope="module")
def gateway(provider: Upstream) -> Iterator[RunningGateway]:
    general = {"master_key": KEY}
    listed = [entry(provider, name, num_retries=0) for name in "ab"]
    with serve({"model_list": listed, "general_settings": general}) as served:
        yield served


@pytest.fixture
def ask(fanout: Command, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("FANOUT_API_KEY", KEY)

    def run(command: object, *words: object) -> CommandResult:
        return fanout(command, "Hi", "--gateway", f"{gateway.url}/v1", *words)

    return run


@pytest.mark.parametrize("words", [(), ("--stream",)], ids=["plain", "streamed"])
def test_the_response_is_printed(ask: Command, upstream: Upstream, words: tuple[str]) -> None:
    upstream.script("a", answers("Hello, ", "you."))
    ran = ask("ask", "-m", "a", *words)
    assert (ran.code, ran.out, ran.err) == (0, "Hello, you.\n", "")
    (call,) = upstream.calls
    assert "fanout" not in call.body


@pytest.mark.parametrize("words", [(), ("--stream",)], ids=["plain", "streamed"])
def test_a_race_names_its_winner(ask: Command, upstream: Upstream, words: tuple[str]) -> None:
    upstream.script("a", stalls(role))
    upstream.script("b", answers("from b"))
    ran = ask("race", "-m", "a,b", *words)
    assert (ran.code, ran.out, ran.err) == (0, "from b\n", "b won\n")


def test_all_prints_every_response_and_fails_if_one_does(ask: Command, upstream: Upstream) -> None:
    upstream.script("a", answers("from a"))
    upstream.script("b", [refuse(400, "not so")])
    ran = ask("all", "-m", "a", "-m", "b")
    assert ran.code == 1
    assert "from a" in ran.out
    assert "not so" in ran.out


def test_with_json_the_response_is_the_gateways(ask: Command, upstream: Upstream) -> None:
    upstream.script("a", answers("Hello"))
    ran = ask("ask", "-m", "a", "--json")
    assert ran.json["choices"][0]["message"]["content"] == "Hello"


def test_the_gateways_errors_are_shown(
    ask: Command, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.script("a", [role, say("Once"), cut])
    ran = ask("ask", "-m", "a", "--stream")
    assert ran.code == 1
    assert ran.err.startswith("fanout: ")
    ran = ask("ask", "-m", "unknown")
    assert (ran.code, "`unknown`" in ran.err) == (1, True)
    monkeypatch.setenv("FANOUT_API_KEY", "sk-wrong")
    ran = ask("ask", "-m", "a", "--json")
    assert ran.code == 1
    assert json.loads(ran.out or ran.err)["error"]["code"] == "invalid_api_key"


def test_an_address_that_is_no_gateway_is_named_as_such(
    fanout: Command, upstream: Upstream
) -> None:
    ran = fanout("ask", "Hi", "-m", "a", "--gateway", "http://127.0.0.1:1/v1")
    assert (ran.code, ran.err.startswith("fanout: the gateway does not respond")) == (1, True)
    for status in (200, 404):
        upstream.script("", [reply(status, b"<html>", {"content-type": "text/html"})])
        ran = fanout("ask", "Hi", "-m", "a", "--gateway", f"{upstream.url}/v1")
        assert (ran.code, "is the URL its base URL?" in ran.err) == (1, True)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x",
        "127.0.0.1:4000",
        "localhost:4000/v1",
        "x",
        "",
        "http://",
        "https:///v1",
        "http://h:p",
    ],
)
def test_an_address_must_be_one_of_http(fanout: Command, url: str) -> None:
    ran = fanout("ask", "Hi", "-m", "a", "--gateway", url)
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    assert line.startswith("fanout: --gateway must be a URL that begins with http:// or https://")
    is_bare = bool(url) and "//" not in url
    assert ("is `http://` missing?" in line) == is_bare


def test_misuse_is_a_clear_error(fanout: Command) -> None:
    words = ("ask", "Hi", "--gateway", "http://127.0.0.1:1/v1")
    ran = fanout(*words)
    assert "-m NAME" in ran.err
    ran = fanout(*words, "-m", "a", "--config", "x.yaml")
    assert ran.err == "fanout: --config and --gateway exclude each other\n"


@pytest.mark.parametrize("stop", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_cancels_the_request_at_the_gateway(
    gateway: RunningGateway, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    upstream.script("a", stalls(role))
    gateway.observer.clear()
    monkeypatch.setenv("FANOUT_API_KEY", KEY)
    words = ("ask", "Hi", "-m", "a", "--gateway", f"{gateway.url}/v1")
    with spawned(*words) as process:
        upstream.wait_called("a")
        process.send_signal(getattr(signal, stop))
        assert process.wait(timeout=20) == 130
    upstream.wait_disconnected("a")
    # The client cancels and disconnects: the request may have ended when its cancel arrives.
    gateway.observer.wait_for_status(499)
