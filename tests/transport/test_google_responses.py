"""Responses of Google's token and metadata servers: limited in size and in time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from google.auth.exceptions import TransportError

from fanout.google.http import MAX_BYTES, send

OK = b"HTTP/1.1 200 OK\r\n"
ERROR = b"HTTP/1.1 400 Bad Request\r\n"
CHUNK = b"10000\r\n" + b" " * 65_536 + b"\r\n"
STARTS = {
    "with a length": (b"content-length: 999999999999\r\n\r\n", b" " * 65_536, b" "),
    "until the end": (b"connection: close\r\n\r\n", b" " * 65_536, b" "),
    "chunked": (b"transfer-encoding: chunked\r\n\r\n", CHUNK, b"1\r\n \r\n"),
}


@contextmanager
def sending(start: bytes, piece: bytes, pause: float) -> Iterator[str]:
    """A server that sends pieces without end, a pause between two; its URL."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(65_536)
                connection.sendall(start)
                while not ended.wait(pause):
                    connection.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()


@pytest.mark.parametrize("status", [OK, ERROR], ids=["ok", "error"])
@pytest.mark.parametrize("kind", STARTS)
def test_an_endless_response_is_an_error(kind: str, status: bytes) -> None:
    headers, large, small = STARTS[kind]
    with (
        sending(status + headers, large, 0.0) as url,
        pytest.raises(TransportError, match="OSError"),
    ):
        send(url)
    with (
        sending(status + headers, small, 0.01) as url,
        pytest.raises(TransportError, match="TimeoutError"),
    ):
        send(url, timeout=0.2)


def test_a_usual_response_is_read_whole() -> None:
    body = b"x" * (MAX_BYTES // 2)
    start = OK + b"content-length: %d\r\n\r\n" % len(body) + body
    with sending(start, b"", 0.01) as url:
        got = send(url)
    assert (got.status, got.data) == (200, body)
