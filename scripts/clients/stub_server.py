"""An HTTP server with the stub upstreams on a free port; it keeps a record of every call."""

from __future__ import annotations

import json
import re
import threading
import time
import traceback
from array import array
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .stub_apis import ANTHROPIC, GEMINI, OPENAI, Api, Body
from .stub_turns import Turn

GEMINI_PATH = re.compile(r"/v1beta/models/([^:]+):(generateContent|streamGenerateContent\?alt=sse)")
BETAS = {"context_management": "context-management-2025-06-27"}
"""Fields that Anthropic takes with a beta only, and the beta."""
SLOW = 0.4
"""Seconds before the model `slow` responds."""
PATIENCE = 10.0
"""Seconds for which the model `endless` writes, unless the client disconnects."""


@dataclass
class Call:
    """One call: the model, the rejection if there is one, and when the gateway disconnected."""

    model: str
    rejected: str = ""
    disconnected_at: float | None = None


@dataclass
class Calls:
    """The record of the calls since the last `clear`."""

    calls: list[Call] = field(default_factory=list)

    def of(self, model: str) -> list[Call]:
        """Return the calls of one model."""
        return [call for call in self.calls if call.model == model]

    def clear(self) -> None:
        """Forget all calls."""
        self.calls.clear()


def vectors(body: Body) -> Body:
    """Return the embeddings of a request: the first number is the length of the text."""
    found: list[Any] = [[float(len(text)), 0.5] for text in body["input"]]
    if body.get("encoding_format") == "base64":
        found = [b64encode(array("f", one).tobytes()).decode() for one in found]
    data = [{"object": "embedding", "index": n, "embedding": one} for n, one in enumerate(found)]
    usage = {"prompt_tokens": len(found), "total_tokens": len(found)}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


class Handler(BaseHTTPRequestHandler):
    """
    Serves the three APIs, and OpenAI's embeddings.

    The model `slow` waits before it responds, `broken` and `failing` are server errors, `endless`
    streams words until the gateway disconnects, and all others respond at once.
    """

    protocol_version = "HTTP/1.1"
    record: Calls

    def do_POST(self) -> None:
        """Respond to one call."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        api, model, streams = self._which(body)
        call = Call(model)
        self.record.calls.append(call)
        if self.path.endswith("/v1/embeddings"):
            self._whole(200, vectors(body))
            return
        try:
            if not self.headers[api.key]:
                raise ValueError("no API key")  # noqa: TRY301 -- reported as the judges' are
            turn = api.read(model, self._without_betas(body))
        except Exception as error:  # noqa: BLE001 -- the judges raise more than AssertionError
            line = traceback.extract_tb(error.__traceback__)[-1].line
            call.rejected = f"{api.name} rejects the request: {str(error) or line}"
            self._whole(400, api.error(400, call.rejected))
            return
        if model in {"broken", "failing"}:
            self._whole(500, api.error(500, "the model is broken"))
            return
        time.sleep(SLOW if model == "slow" else 0)
        if streams:
            self._stream(call, self._endless(api, turn) if model == "endless" else api.events(turn))
        else:
            self._whole(200, api.whole(turn))

    def _which(self, body: dict[str, Any]) -> tuple[Api, str, bool]:
        """Return the API, the model and whether a stream is requested."""
        if found := GEMINI_PATH.fullmatch(self.path):
            return GEMINI, found[1], "stream" in found[2]
        api = ANTHROPIC if self.path.partition("?")[0].endswith("/v1/messages") else OPENAI
        return api, body["model"], bool(body.get("stream"))

    def _without_betas(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body without the fields that the request's betas allow."""
        betas = self.headers.get("anthropic-beta", "").split(",")
        return {name: one for name, one in body.items() if BETAS.get(name) not in betas}

    def _endless(self, api: Api, turn: Turn) -> Iterator[str]:
        events = list(api.events(Turn(turn.model, ["more "])))
        until = time.monotonic() + PATIENCE
        yield events[0]
        while time.monotonic() < until:
            time.sleep(0.02)
            yield events[1]

    def _whole(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, call: Call, events: Iterator[str]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for event in events:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(event.encode()), event.encode()))
            self.wfile.write(b"0\r\n\r\n")
        except ConnectionError:
            call.disconnected_at = time.monotonic()
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Write no log."""


class Server(ThreadingHTTPServer):
    """Ends its connections with the process."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing about connections that the gateway has closed."""


@contextmanager
def serve_stubs() -> Iterator[tuple[str, Calls]]:
    """Serve the upstreams for the block; yield their address and the record of calls."""
    record = Calls()
    handler = type("RecordingHandler", (Handler,), {"record": record})
    with Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", record
        finally:
            server.shutdown()
