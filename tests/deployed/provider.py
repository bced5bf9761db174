"""
A scripted provider for the rehearsal: OpenAI's wire over a real socket, its model's name its script.

Records which key and which model each call had. Standard library only: it runs in the stack's
environment.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = ("Hello", " from", " the", " provider", ".")
PAUSE = 0.25


class Provider(ThreadingHTTPServer):
    """Answers while the rehearsal runs; `keys` are the ones that it accepts."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys = {"provider-key-1"}
        self.calls: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        """What goes into `api_base`."""
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Provider

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        key = (self.headers["authorization"] or "").removeprefix("Bearer ")
        self.server.calls.append((body["model"], key))
        if key not in self.server.keys:
            self._json(401, {"error": {"message": f"Incorrect API key: {key}", "type": "x"}})
        elif body["model"] == "broken":
            self._json(500, {"error": {"message": "out of order", "type": "server_error"}})
        elif body.get("stream"):
            self._stream(body["model"])
        else:
            time.sleep(PAUSE * (8 if body["model"] == "slow" else 0))
            self._json(200, _whole(body["model"]))

    def _stream(self, model: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        time.sleep(PAUSE * (8 if model == "slow" else 0))
        try:
            for index, word in enumerate(WORDS):
                time.sleep(PAUSE if index else 0)
                self._event(_piece(model, {"content": word}))
            self._event(_piece(model, {}, "stop"))
            self._event({**_piece(model, {}), "choices": [], "usage": USAGE})
            self._chunk(b"data: [DONE]\n\n")
            self._chunk(b"")
        except OSError:
            self.close_connection = True

    def _event(self, value: object) -> None:
        self._chunk(b"data: " + json.dumps(value).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def _json(self, status: int, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def _whole(model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": "".join(WORDS)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model}
    return {**head, "choices": [choice], "usage": USAGE}


def _piece(model: str, delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
    return {**head, "choices": [choice]}


@contextmanager
def serving() -> Iterator[Provider]:
    """A provider for the block."""
    provider = Provider()
    thread = threading.Thread(target=provider.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        provider.shutdown()
        provider.server_close()
        thread.join()
