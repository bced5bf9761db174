"""`fanout serve` as a process: where it listens, and how it stops."""

from __future__ import annotations

import http.client
import os
import pty
import re
import resource
import signal
import socket
from contextlib import closing
from itertools import takewhile
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from msgspec import json

from fanout.cli.http_server import max_connections, raise_open_file_limit
from tests.cli.commands import Command, spawned, write_config
from tests.cli.terminal import read_all
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, hang, say, stalls, wait
from tests.support.scripted_provider import Upstream

NOT_FOR_CHAT = "`e`: `dall-e-3` is not for chat, and there is no other API here"
HI = json.encode({"model": "a", "messages": [{"role": "user", "content": "Hi"}]})


def port_of(process: Popen[str]) -> int:
    """The port in the line that a server prints when it is ready."""
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"serving http://127\.0\.0\.1:(\d+)/v1$", line):
            return int(found[1])
    raise AssertionError("the server did not print its address")


def ask(port: int) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("POST", "/v1/chat/completions", HI)
    return connection


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_prints_its_address_and_exits_with_0_on_a_signal(
    upstream: Upstream, config: Path, sent: signal.Signals
) -> None:
    upstream.script("a", answers("Hello"))
    with spawned("serve", "--config", config, "--port", 0) as process:
        connection = ask(port_of(process))
        body = json.decode(connection.getresponse().read())
        connection.close()
        process.send_signal(sent)
        out, err = process.communicate(timeout=PATIENCE)
    assert body["choices"][0]["message"]["content"] == "Hello"
    assert (process.returncode, out) == (0, "")
    lines = [json.decode(line) for line in err.splitlines()]
    assert [line["event"] for line in lines] == ["attempt", "request"]


def test_ctrl_c_at_a_terminal_says_what_happens(upstream: Upstream, config: Path) -> None:
    upstream.script("a", stalls())
    ours, theirs = pty.openpty()
    words = ("serve", "--config", config, "--port", 0, "--grace", 0.1, "--quiet")
    with spawned(*words, stderr=theirs) as process:
        os.close(theirs)
        port = int(read_all(ours, "/v1").partition("127.0.0.1:")[2].partition("/")[0])
        with closing(ask(port)):
            upstream.wait_called("a")
            process.send_signal(signal.SIGINT)
            said = read_all(ours)
        assert process.wait(PATIENCE) == 0
        os.close(ours)
    assert "fanout: stopping: 1 request in flight may take 0.1 s; Ctrl-C again ends" in said
    assert said.rstrip().endswith("fanout: stopped")


def test_it_says_at_its_start_what_is_missing_and_what_depends_on_it(
    upstream: Upstream, tmp_path: Path
) -> None:
    entries = [
        {"model_name": name, "litellm_params": {"model": f"groq/{name}"}} for name in ("x", "y")
    ]
    embedding = {"model": "openai/dall-e-3", "api_key": "k"}
    entries.append({"model_name": "e", "litellm_params": embedding})
    general = {"master_key": "os.environ/FANOUT_MASTER_KEY"}
    config = write_config(tmp_path, {"model_list": entries, "general_settings": general})
    with spawned("serve", "--config", config, "--port", 0) as process:
        assert process.stderr is not None
        lines = list(takewhile(lambda line: "serving" not in line, process.stderr))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert lines == [
        "fanout: GROQ_API_KEY is not set: calls to `x`, `y` fail\n",
        "fanout: FANOUT_MASTER_KEY is not set: requests with this key are rejected\n",
        f"fanout: note: {NOT_FOR_CHAT}\n",
    ]


def test_quiet_is_quiet(upstream: Upstream, config: Path) -> None:
    upstream.script("a", answers("Hello"))
    with spawned("serve", "--config", config, "--port", 0, "--quiet") as process:
        connection = ask(port_of(process))
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=PATIENCE) == ("", "")


def test_the_page_is_there_and_no_line_is_written_for_it(config: Path) -> None:
    with spawned("serve", "--config", config, "--port", 0) as process:
        connection = http.client.HTTPConnection("127.0.0.1", port_of(process), timeout=PATIENCE)
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("content-type")) == (
            200,
            "text/html; charset=utf-8",
        )
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=PATIENCE) == ("", "")


def test_calls_in_flight_are_closed_when_the_server_stops(upstream: Upstream, config: Path) -> None:
    upstream.script("a", stalls())
    with spawned("serve", "--config", config, "--port", 0) as process:
        connection = ask(port_of(process))
        upstream.wait_called("a")
        process.send_signal(signal.SIGTERM)
        upstream.wait_disconnected("a")
        connection.close()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


STOPS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


def records(err: str) -> list[dict[str, Any]]:
    """The log, of which each line is JSON."""
    return [json.decode(line) for line in err.splitlines()]


@pytest.mark.parametrize("sent", STOPS)
def test_a_request_in_flight_gets_a_503_when_the_server_stops(
    upstream: Upstream, config: Path, sent: signal.Signals
) -> None:
    upstream.script("a", stalls())
    with spawned("serve", "--config", config, "--port", 0, "--grace", 0.1) as process:
        connection = ask(port_of(process))
        upstream.wait_called("a")
        process.send_signal(sent)
        response = connection.getresponse()
        error = json.decode(response.read())["error"]
        connection.close()
        _, err = process.communicate(timeout=PATIENCE)
    assert (response.status, response.getheader("retry-after")) == (503, "1")
    assert (error["code"], error["type"]) == ("shutting_down", "server_error")
    assert response.getheader("x-request-id")
    log = [(line["event"], line.get("status")) for line in records(err)]
    assert log == [("attempt", None), ("request", 503)]
    assert process.returncode == 0


def test_an_open_stream_ends_with_an_error_event_when_the_server_stops(
    upstream: Upstream, config: Path
) -> None:
    upstream.script("a", [say("Hello"), hang])
    with spawned("serve", "--config", config, "--port", 0, "--grace", 0.1) as process:
        connection = http.client.HTTPConnection("127.0.0.1", port_of(process), timeout=PATIENCE)
        body = json.encode(json.decode(HI) | {"stream": True})
        connection.request("POST", "/v1/chat/completions", body)
        response = connection.getresponse()
        while b"Hello" not in response.readline():
            pass
        process.send_signal(signal.SIGTERM)
        last = response.read().strip().removeprefix(b"data: ")
        connection.close()
        _, err = process.communicate(timeout=PATIENCE)
    assert json.decode(last)["error"]["code"] == "shutting_down"
    assert records(err)[-1]["error"] == "ShuttingDown"
    assert "Traceback" not in err


def test_a_request_that_ends_within_the_grace_period_is_complete(
    upstream: Upstream, config: Path
) -> None:
    gate = upstream.gate()
    upstream.script("a", [wait(gate), *answers("Hello")])
    with spawned("serve", "--config", config, "--port", 0, "--grace", 3_600) as process:
        connection = ask(port_of(process))
        upstream.wait_called("a")
        process.send_signal(signal.SIGTERM)
        gate.open()
        assert connection.getresponse().status == 200
        connection.close()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_a_second_signal_ends_the_grace_period(upstream: Upstream, config: Path) -> None:
    upstream.script("a", stalls())
    with spawned("serve", "--config", config, "--port", 0, "--grace", 3_600) as process:
        connection = ask(port_of(process))
        upstream.wait_called("a")
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        assert connection.getresponse().status == 503
        connection.close()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


@pytest.mark.parametrize("seconds", ["-1", "3601", "nan"])
def test_a_grace_period_that_makes_no_sense_is_one_line(
    fanout: Command, config: Path, seconds: str
) -> None:
    ran = fanout("serve", "--config", config, "--grace", seconds)
    assert (ran.code, ran.err) == (2, "fanout: --grace must be between 0 and 3600 seconds\n")


def test_what_is_not_http_is_a_line_of_json(config: Path) -> None:
    with spawned("serve", "--config", config, "--port", 0) as process:
        with socket.create_connection(("127.0.0.1", port_of(process)), timeout=PATIENCE) as sock:
            sock.sendall(b"nonsense\r\n\r\n")
            head, _, body = sock.recv(65_536).partition(b"\r\n\r\n")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.decode(body)["error"]["code"] == "malformed_request"
    (line,) = records(err)
    assert (line["event"], line["status"], line["error"]) == ("request", 400, "MalformedRequest")
    assert f"x-request-id: {line['request_id']}".encode() in head


def test_half_requests_lock_nobody_out_of_a_process_with_few_files(config: Path) -> None:
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))  # noqa: E731
    with spawned("serve", "--config", config, "--port", 0, preexec_fn=limit) as process:
        port = port_of(process)
        halves = [
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) for _ in range(300)
        ]
        for half in halves:
            half.sendall(b"GET / HTTP/1.1\r\n")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
        connection.close()
        for half in halves:
            half.close()
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=PATIENCE) == ("", "")


@pytest.mark.parametrize(
    ("wanted", "files", "most"),
    [(2_000, None, 2_000), (2_000, 300, 118), (50, 300, 50), (9, 20, 1)],
)
def test_connections_leave_half_of_the_files_to_calls(
    wanted: int, files: int | None, most: int
) -> None:
    assert max_connections(wanted, files) == most


def test_it_may_open_as_many_files_as_the_system_allows() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[0] // 2, before[1]))
        raise_open_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_port_in_use_is_a_usage_error(fanout: Command, config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = fanout("serve", "--config", config, "--port", port)
    assert ran.code == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in ran.err


def test_without_a_key_it_serves_this_machine_only(fanout: Command, config: Path) -> None:
    ran = fanout("serve", "--config", config, "--host", "0.0.0.0", "--port", 0)  # noqa: S104
    assert ran.code == 2
    assert "serves 127.0.0.1 only" in ran.err


@pytest.mark.parametrize("command", [("serve",), ("local", "serve"), ("local", "run")])
@pytest.mark.parametrize("port", [-1, 65_536, 99_999])
def test_a_port_that_does_not_exist_is_one_line(
    fanout: Command, command: tuple[str, ...], port: int
) -> None:
    ran = fanout(*command, "--port", port)
    assert ran.code == 2
    assert ran.err.splitlines()[-1] == f"fanout: --port must be between 0 and 65535, not {port}"
    assert "Traceback" not in ran.err
