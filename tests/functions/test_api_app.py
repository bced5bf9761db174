"""The API function as the Web Adapter starts it: what it writes and when."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import product
from pathlib import Path

from tests.support.api_function import ENV, ROOT, write_config
from tests.support.patience import PATIENCE
from tests.support.processes import started


def test_the_log_line_and_the_metrics_of_a_request_are_written_before_its_response_ends(
    tmp_path: Path,
) -> None:
    # As on Lambda, where PYTHONUNBUFFERED is not set, and where the process may never run again.
    with running(tmp_path) as (port, output):
        key = {"authorization": "Bearer k"}
        assert ask(port, "POST", "/v1/chat/completions", key, b"{")[0].status == 400
        lines = [json.loads(line) for line in written(output).splitlines()]
    (log,) = [line for line in lines if line.get("message") == "request"]
    (metrics,) = [line for line in lines if "_aws" in line]
    assert (log["status"], metrics["Requests"], metrics["Errors"]) == (400, [1.0], [0.0])


def test_no_response_repeats_a_header_as_api_gateway_rejects_that(tmp_path: Path) -> None:
    origin = "https://app.example.com"
    general = {"page": True, "cors_origins": [origin]}
    with running(tmp_path, general, FANOUT_CORS=origin) as (port, output):
        page = ask(port, "GET", "/")[1].decode()
        script, *_ = re.findall(r'src="(page/[^"]+)"', page)
        paths = ("/", f"/{script}", "/v1/models", "/health", "/nowhere", "/v1/chat/completions")
        sent: list[dict[str, str]] = [
            {},
            {"origin": origin},
            {"origin": "https://else.example.com"},
        ]
        asked: list[dict[str, str]] = [
            {},
            {"access-control-request-method": "POST"},
            {"accept-encoding": "gzip"},
        ]
        for path, method, one, other in product(paths, ("GET", "POST", "OPTIONS"), sent, asked):
            response, _ = ask(port, method, path, {**one, **other})
            written(output)  # else the pipe is full at some time
            names = [name for name, _ in response.getheaders()]
            assert len(names) == len({name.lower() for name in names}), (method, path, one, other)
        varies = ask(port, "GET", "/", {"origin": origin})[0].getheader("vary")
    assert varies == "accept-encoding, origin"


def test_a_request_is_served_while_another_is_open(tmp_path: Path) -> None:
    # Lambda sends one at a time to a process; the function itself need not reject a second one.
    key = {"authorization": "Bearer k"}
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\n"
    with (
        running(tmp_path) as (port, _),
        socket.create_connection(("127.0.0.1", port), PATIENCE) as slow,
    ):
        slow.sendall(f"{head}content-length: 9\r\nexpect: 100-continue\r\n\r\n{{".encode())
        assert slow.recv(1000).startswith(b"HTTP/1.1 100")  # the app reads the body
        assert ask(port, "POST", "/v1/chat/completions", key, b"{")[0].status == 400


@contextmanager
def running(
    folder: Path, general: Mapping[str, object] = {}, **variables: str
) -> Iterator[tuple[int, int]]:
    """Run the function's script; yield its port and the pipe that it writes to."""
    config = write_config(folder, "http://127.0.0.1:1/v1", general)
    with socket.socket() as held:  # so that no other process gets the port
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        env = {**ENV, **variables, "FANOUT_CONFIG": config, "PORT": str(port)}
        with started([str(ROOT / "functions/api/run.sh")], env=env) as process:
            assert process.stdout
            assert process.stderr
            while not accepts(port):
                assert process.poll() is None, process.stderr.read()
                select.select([process.stderr], [], [], 0.02)
            yield port, process.stdout.fileno()


def accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def ask(
    port: int, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes | None = None
) -> tuple[http.client.HTTPResponse, bytes]:
    """Send a request; return its response and the body."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as client:
        client.request(method, path, body, dict(headers))
        response = client.getresponse()
        return response, response.read()


def written(pipe: int) -> bytes:
    """Return what is in the pipe now."""
    os.set_blocking(pipe, False)
    try:
        return os.read(pipe, 1 << 16)
    except BlockingIOError:
        return b""
