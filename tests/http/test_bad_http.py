"""Malformed, oversized and incomplete HTTP, over real sockets."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fanout.server.limits import ConnectionLimits
from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, stalls
from tests.support.scripted_provider import Upstream

HI = [{"role": "user", "content": "Hi"}]
GOOD = json.dumps({"model": "a", "messages": HI}).encode()
MEGABYTE = b"x" * 1_000_000


@pytest.fixture(scope="module")
def strict(provider: Upstream) -> Iterator[RunningGateway]:
    """A gateway with a limit of one megabyte per request body."""
    general = {"max_request_size_mb": 1}
    with serve({"model_list": [entry(provider, "a")], "general_settings": general}) as served:
        yield served


def exchange(server: RunningGateway, *sent: bytes) -> bytes:
    """Send these bytes and return everything received until the connection is closed."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        for part in sent:
            sock.sendall(part)
        back = b""
        while part := sock.recv(65_536):
            back += part
    return back


def post(*headers: str, path: str = "/v1/chat/completions") -> bytes:
    """The head of a request that closes its connection."""
    lines = [f"POST {path} HTTP/1.1", "host: localhost", "connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode()


def with_length(body: bytes, *headers: str) -> tuple[bytes, bytes]:
    return post(f"content-length: {len(body)}", *headers), body


def error_of(back: bytes) -> tuple[int, dict[str, Any]]:
    """The status and the error of a raw response."""
    head, _, body = back.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower(), back[:300]
    return int(head.split()[1]), json.loads(body)["error"]


# ---- too much ----


def test_a_body_of_50_megabytes_is_a_413(server: RunningGateway) -> None:
    with server.ask(b'{"model": "' + 50 * MEGABYTE + b'"}') as response:
        error = json.loads(response.read())["error"]
    assert (response.status, error["code"]) == (413, "request_too_large")
    assert "32 MB" in error["message"]


def test_a_body_within_the_limit_is_accepted(server: RunningGateway, upstream: Upstream) -> None:
    upstream.script("a", answers("read"))
    body = {"model": "a", "messages": [{"role": "user", "content": "x" * 10_000_000}]}
    assert server.chat(body).text == "read"
    assert upstream.calls[0].body["messages"] == body["messages"]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("megabytes", [2, 4, 5, 150])
def test_a_body_over_the_limit_is_a_413_and_is_not_kept(
    strict: RunningGateway, *, megabytes: int, chunked: bool
) -> None:
    before = resident()
    with socket.create_connection(("127.0.0.1", strict.port), timeout=PATIENCE) as sock:
        length = "transfer-encoding: chunked" if chunked else f"content-length: {megabytes}000000"
        sock.sendall(post(length))
        size = b"%x\r\n" % len(MEGABYTE) if chunked else b""
        for _ in range(megabytes):
            sock.sendall(size + MEGABYTE + b"\r\n" * chunked)
        sock.sendall(b"0\r\n\r\n" * chunked)
        back = b""
        while part := sock.recv(65_536):
            back += part
    assert error_of(back)[0] == 413
    assert error_of(back)[1]["code"] == "request_too_large"
    assert resident() - before < 40_000_000


def resident() -> int:
    """The bytes that this process holds in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("count", [1, 100])
def test_headers_over_64_kib_are_a_431(server: RunningGateway, count: int) -> None:
    wild = [f"x-wild-{index}: {'y' * (70_000 // count)}" for index in range(count)]
    status, error = error_of(exchange(server, *with_length(GOOD, *wild)))
    assert status == 431
    assert error["type"] == "invalid_request_error"
    assert "65536" in error["message"]


def test_headers_under_64_kib_are_accepted(server: RunningGateway, upstream: Upstream) -> None:
    upstream.script("a", answers())
    back = exchange(server, *with_length(GOOD, "x-wild: " + "y" * 60_000))
    assert back.startswith(b"HTTP/1.1 200 ")


ENDLESS = {
    "a header": (b"POST / HTTP/1.1\r\nx-wild: ", b"y" * 1_000_000),
    "headers": (b"POST / HTTP/1.1\r\n", b"x-wild: y\r\n" * 100_000),
    "a path": (b"POST /", b"y" * 1_000_000),
}


@pytest.mark.parametrize(("begin", "on"), ENDLESS.values(), ids=ENDLESS)
def test_a_head_without_end_is_cut_off(server: RunningGateway, begin: bytes, on: bytes) -> None:
    before = resident()
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        sock.sendall(begin)
        assert pour(sock, on) < 20  # and those only in the system's own buffers
    assert resident() - before < 40_000_000


def pour(sock: socket.socket, data: bytes) -> int:
    """How often the data could be sent before the connection was closed; at most 100 times."""
    for count in range(100):
        try:
            sock.sendall(data)
        except ConnectionError:
            return count
    return 100


def test_a_rejected_client_that_stops_sending_in_time_gets_the_error(
    server: RunningGateway,
) -> None:
    head = b"POST / HTTP/1.1\r\nx-wild: ".ljust(ConnectionLimits().head_bytes + 1, b"y")
    status, error = error_of(exchange(server, head))
    assert (status, error["code"]) == (431, "headers_too_large")


# ---- the wrong kind ----


@pytest.mark.parametrize(
    "header",
    [
        b"authorization: Bearer \xff\xfe\xe2\x82\xac",
        b"authorization: \x80",
        b"authorization:",
        b"authorization: Basic eDp5",
        b"x-request-id: " + b"a" * 200,
        b"x-request-id: \xe2\x82\xac",
        b"x-request-id: a\tb",
        b"content-type: text/plain",
        b"content-type: multipart/form-data; boundary=",
        b"accept: image/png",
        b"cookie: " + b"c=d; " * 1000,
        b"x-forwarded-for: <script>",
        b"te: trailers",
    ],
)
def test_a_header_that_makes_no_sense_does_no_harm(
    server: RunningGateway, upstream: Upstream, header: bytes
) -> None:
    upstream.script("a", answers())
    head, body = with_length(GOOD)
    back = exchange(server, head.replace(b"host: localhost", b"host: localhost\r\n" + header), body)
    assert back.startswith(b"HTTP/1.1 200 ")
    asked = upstream.calls[0].headers
    assert asked["authorization"] == "Bearer sk-provider-a"
    assert not set(asked) & {"cookie", "x-forwarded-for", "x-request-id"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/chat/completions", 405),
        ("OPTIONS", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("POST", "/v1/models/a", 405),
        ("PUT", "/health", 405),
        ("GET", "/", 404),
        ("POST", "/", 404),
        ("GET", "/v1", 404),
        ("POST", "/v1/completions", 404),
        ("POST", "/v1/chat/completions/x", 404),
        ("POST", "/v1/v1/chat/completions", 404),
        ("POST", "//chat/completions", 404),
        ("POST", "/V1/chat/completions", 404),
        ("GET", "/v1/models/nope", 404),
        ("GET", "/v1/models/%2e%2e%2fhealth", 404),
        ("GET", "/favicon.ico", 404),
        ("GET", "/v1/models/%ff%fe", 404),
        ("GET", "/v1/models/" + "x" * 20_000, 404),
    ],
)
def test_the_wrong_method_is_a_405_and_the_wrong_path_a_404(
    server: RunningGateway, method: str, path: str, status: int
) -> None:
    got, headers, body = server.json(None, path, method)
    assert got == status
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert len(str(body)) < 1_000
    assert ("allow" in headers) == (status == 405)


@pytest.mark.parametrize("path", ["/v1/chat/completions/", "/chat/completions?x=1"])
def test_other_spellings_of_a_path_are_understood(
    server: RunningGateway, upstream: Upstream, path: str
) -> None:
    upstream.script("a", answers())
    assert server.json(GOOD, path)[0] == 200


def test_what_asks_for_a_websocket_gets_the_usual_response(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers())
    upgrade = ["upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-key: eA=="]
    head, body = with_length(GOOD, *upgrade)
    # In one piece: behind an upgrade the body is not read, and would reset what is closed before.
    back = exchange(server, head.replace(b": close", b": upgrade, close") + body)
    assert back.split()[1] in {b"200", b"400"}


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x02\x00\x01", b"hello\r\n\r\n", b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n"],
)
def test_what_is_not_http_is_rejected_and_disturbs_no_other_request(
    server: RunningGateway, upstream: Upstream, garbage: bytes
) -> None:
    assert exchange(server, garbage + b"\r\n" * 10).startswith(b"HTTP/1.1 400 ")
    upstream.script("a", answers())
    assert server.chat({"model": "a", "messages": HI}).status == 200


# ---- half of it ----


def test_a_client_that_disconnects_while_sending_its_body_is_not_a_bug(
    server: RunningGateway, upstream: Upstream
) -> None:
    server.observer.clear()
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        sock.sendall(post("content-length: 1000") + GOOD)
    assert server.chat({"model": "nope", "messages": HI}).status == 404
    assert not upstream.calls
    assert not server.observer.unexpected_errors


def test_a_body_in_many_pieces_is_one_body(server: RunningGateway, upstream: Upstream) -> None:
    upstream.script("a", answers())
    pieces = [b"%x\r\n%c\r\n" % (1, byte) for byte in GOOD]
    back = exchange(server, post("transfer-encoding: chunked"), *pieces, b"0\r\n\r\n")
    assert back.startswith(b"HTTP/1.1 200 ")


def test_requests_on_one_connection_get_responses_in_turn(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers("first"))
    again = post(f"content-length: {len(GOOD)}").replace(b"connection: close\r\n", b"")
    back = exchange(server, again, GOOD, again, b"x" * len(GOOD), *with_length(GOOD))
    assert [part[:3] for part in back.split(b"HTTP/1.1 ")[1:]] == [b"200", b"400", b"200"]


def test_others_are_served_while_one_waits(server: RunningGateway, upstream: Upstream) -> None:
    upstream.script("a", stalls())
    upstream.script("b", answers("meanwhile"))
    waiting = server.send({"model": "a", "messages": HI})
    try:
        upstream.wait_called("a")
        assert server.chat({"model": "b", "messages": HI}).text == "meanwhile"
    finally:
        waiting.close()
