"""A receiver of webhooks on this machine, which records requests and responds as scripted."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai

SECRET = "whsec_dGhlLXNlY3JldC1vZi10aGUtdGVzdHM="
TIMEOUT = 60.0
"""Seconds that a test waits for a request."""


class WebhookReceiver(ThreadingHTTPServer):
    """The server; it responds with the statuses in `statuses`, one after the other, then 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses: list[int] = []
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        """Path, headers (names in lower case) and body of each request."""

        self.changed = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    def wait(self, count: int) -> list[Any]:
        """Wait for so many requests; return their events, each checked by OpenAI's SDK."""
        end = time.monotonic() + TIMEOUT
        with self.changed:
            while len(self.requests) < count:
                assert self.changed.wait(end - time.monotonic()), self.requests
            found = self.requests[:]
        client = openai.OpenAI(api_key="none", webhook_secret=SECRET)
        return [client.webhooks.unwrap(body, headers) for _, headers, body in found]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with server.changed:
            status = server.statuses.pop(0) if server.statuses else 200
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            server.requests.append((self.path, headers, body))
            server.changed.notify_all()
            self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def open_receiver(tls: ssl.SSLContext | None = None) -> Iterator[WebhookReceiver]:
    """A receiver for the block."""
    with WebhookReceiver() as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
