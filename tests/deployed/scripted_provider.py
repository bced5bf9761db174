"""
A scripted provider: OpenAI's API over a real socket, where a model's name decides what it does.

It records the model and key of each call, and the disconnects. Below `BATCHES`, it serves the
doubles of batch APIs that a test sets.
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fanout.wire.http import WireRequest
from tests.support.native_doubles.double import Double

BATCHES = "/batches"
"""The path below which the double of each vendor has the vendor's name."""

WORDS = ("Hello", " from", " the", " provider", ".")
ANSWER = "".join(WORDS)
SLOW = 2.0
"""Seconds before the first word of `slow`; `stuck` never sends one."""

AFTER_STUCK = "late"
"""This model responds when `stuck` has been called, so that a race of the two has both calls."""

PAUSE = 1.0
"""Seconds between two words of a stream of `steady`."""

TIMEOUT = 120.0
"""Seconds that a test waits for something to happen."""


class ScriptedProvider(ThreadingHTTPServer):
    """The server; it accepts the keys in `keys`."""

    daemon_threads = True
    request_queue_size = 1024  # the workers of a job connect all at once

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.keys = {"provider-key-1"}
        self.calls: list[tuple[str, str]] = []
        self.prompts: Counter[str] = Counter()
        """How often each last message was received."""
        self.gate = threading.Semaphore(0)
        """`gated` sends its first word at once, and each further one when this is released."""

        self.doubles: dict[str, Double] = {}
        """Doubles of batch APIs, by vendor, for tests that set them."""
        self.one_at_a_time = threading.Lock()

        self._changed = threading.Condition()
        self._words: Counter[str] = Counter()
        self._disconnects: Counter[str] = Counter()
        self._closed: dict[str, list[float]] = {}

    def reset(self) -> None:
        """Forget all calls, and close the gate."""
        self.gate = threading.Semaphore(0)
        with self._changed:
            self.calls.clear()
            self.prompts.clear()
            self._words.clear()
            self._disconnects.clear()
            self._closed.clear()

    def note_call(self, model: str, key: str, text: str) -> None:
        with self._changed:
            self.calls.append((model, key))
            self.prompts[text] += 1
            self._changed.notify_all()

    def note_word(self, model: str) -> None:
        with self._changed:
            self._words[model] += 1

    def words_sent(self, model: str) -> int:
        """Return how many words the model has sent."""
        with self._changed:
            return self._words[model]

    def note_disconnect(self, model: str, text: str) -> None:
        now = time.monotonic()
        with self._changed:
            self._disconnects[model] += 1
            self._closed.setdefault(text, []).append(now)
            self._changed.notify_all()

    def was_asked(self, text: str, count: int) -> bool:
        """Wait until so many calls had this last message; return whether they had."""
        with self._changed:
            return self._changed.wait_for(lambda: self.prompts[text] >= count, TIMEOUT)

    def closed_at(self, text: str, count: int) -> float:
        """Wait until the gateway has closed so many calls with this last message; return when."""
        with self._changed:
            closed = self._closed.setdefault(text, [])
            assert self._changed.wait_for(lambda: len(closed) >= count, TIMEOUT), text
            return closed[count - 1]

    def was_disconnected(self, model: str, count: int = 1) -> bool:
        """Wait until the gateway has closed so many calls to the model; return whether it did."""
        with self._changed:
            return self._changed.wait_for(lambda: self._disconnects[model] >= count, TIMEOUT)

    def was_called(self, model: str, count: int = 1) -> bool:
        """Wait until the model was called so often; return whether it was."""
        with self._changed:
            return self._changed.wait_for(
                lambda: [name for name, _ in self.calls].count(model) >= count, TIMEOUT
            )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedProvider

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        self._batches(b"")

    def _batches(self, body: bytes) -> None:
        """Respond as the double of a batch API does, which is below its name."""
        name, _, rest = self.path.removeprefix(f"{BATCHES}/").partition("/")
        headers = {key.lower(): value for key, value in self.headers.items()}
        request = WireRequest(f"/{rest}", body, self.command, headers)
        with self.server.one_at_a_time:
            response = asyncio.run(self.server.doubles[name](request))
        self.send_response(response.status)
        for key, value in response.headers.items():
            self.send_header(key, value)
        self.send_header("content-length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    def do_POST(self) -> None:
        if self.path.startswith(BATCHES):
            self._batches(self.rfile.read(int(self.headers.get("content-length", 0))))
            return
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        key = (self.headers["authorization"] or "").removeprefix("Bearer ")
        model = body["model"]
        text = str(body["messages"][-1]["content"]) if "messages" in body else ""
        self.server.note_call(model, key, text)
        try:
            if key not in self.server.keys:
                self._json(401, {"error": {"message": f"Incorrect API key: {key}", "type": "x"}})
            elif model == "picky":
                self._json(400, {"error": {"message": "not so", "type": "invalid_request_error"}})
            elif model == "broken":
                self._json(500, {"error": {"message": "out of order", "type": "server_error"}})
            elif "input" in body:
                self._json(200, _vectors(model, body["input"]))
            elif body.get("stream"):
                self._stream(model)
            elif self._wait(model):
                self._json(200, _whole(model))
        except OSError:
            self.server.note_disconnect(model, text)
            self.close_connection = True

    def _wait(self, model: str) -> bool:
        """Wait like the model; return whether it responds. Raise if the gateway disconnects."""
        if model == AFTER_STUCK:
            return self.server.was_called("stuck")
        end = time.monotonic() + {"slow": SLOW, "stuck": TIMEOUT}.get(model, 0)
        while time.monotonic() < end:
            ready, _, _ = select.select([self.connection], [], [], 0.02)
            if ready and not self.connection.recv(1, socket.MSG_PEEK):
                raise ConnectionResetError
        return model != "stuck"

    def _stream(self, model: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        if not self._wait(model):
            return
        for index, word in enumerate(WORDS):
            if model == "gated" and index:
                self.server.gate.acquire(timeout=TIMEOUT)
            if model == "steady" and index:
                time.sleep(PAUSE)
            self.server.note_word(model)  # before a client can have it
            self._event(_chunk_of(model, {"content": word}))
        self._event(_chunk_of(model, {}, "stop"))
        self._event({**_chunk_of(model, {}), "choices": [], "usage": USAGE})
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

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
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": ANSWER},
        "finish_reason": "stop",
    }
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model}
    return {**head, "choices": [choice], "usage": USAGE}


def _vectors(model: str, inputs: list[str]) -> dict[str, Any]:
    data = [
        {"object": "embedding", "index": index, "embedding": [float(index), 1.0]}
        for index, _ in enumerate(inputs)
    ]
    usage = {"prompt_tokens": len(data), "total_tokens": len(data)}
    return {"object": "list", "model": model, "data": data, "usage": usage}


def _chunk_of(model: str, delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
    return {**head, "choices": [choice]}


@contextmanager
def serving(port: int = 0) -> Iterator[ScriptedProvider]:
    """Run a provider for the block."""
    provider = ScriptedProvider(port)
    thread = threading.Thread(target=provider.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        provider.shutdown()
        provider.server_close()
        thread.join()
