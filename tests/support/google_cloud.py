"""
A scripted Google Cloud on a real socket of 127.0.0.1: the token service, and Vertex AI.

`/token` and `/sts` give out tokens, `/computeMetadata/` is a machine's metadata server. Vertex AI
accepts the tokens that were given out, and answers by the golden files.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .patience import PATIENCE

_numbers = count(1)

GOLDEN = Path(__file__).parents[1] / "providers" / "golden" / "vertex_ai"


@lru_cache
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


class GoogleCloud:
    """What the server does, and what it was asked for."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.key_id = f"key-{next(_numbers)}"  # so that no test gets the token of an earlier one
        self.tokens: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.calls: list[tuple[str, dict[str, str], Any]] = []
        self.lifetime = 3600
        self.failures: list[tuple[int, dict[str, Any]]] = []
        self.revoked: set[str] = set()
        self.open = threading.Event()
        self.open.set()

    def service_account(self, **more: Any) -> dict[str, Any]:
        """The JSON of a service account's key, whose tokens come from here."""
        return {
            "type": "service_account",
            "project_id": "our-project",
            "private_key_id": self.key_id,
            "private_key": private_key(),
            "client_email": "fanout@our-project.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"{self.url}/token",
            **more,
        }

    def user(self) -> dict[str, Any]:
        """What `gcloud auth application-default login` writes; the token service is Google's."""
        return {
            "type": "authorized_user",
            "client_id": "1",
            "client_secret": "marker-client-secret",
            "refresh_token": "marker-refresh-token",
            "token_uri": f"{self.url}/token",
            "quota_project_id": "billed-project",
        }

    def federation(self) -> dict[str, Any]:
        """A configuration of workload identity federation for a program on AWS."""
        return {
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p",
            "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
            "token_url": f"{self.url}/sts",
            "credential_source": {
                "environment_id": "aws1",
                "regional_cred_verification_url": "https://sts.{region}.amazonaws.com"
                "?Action=GetCallerIdentity&Version=2011-06-15",
            },
        }

    def issue(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.forms.append(form)
        self.open.wait(PATIENCE)
        if self.failures:
            return self.failures.pop(0)
        token = f"ya29.marker-token-{self.key_id}-{len(self.tokens)}"
        self.tokens.append(token)
        issued = {"access_token": token, "expires_in": self.lifetime, "token_type": "Bearer"}
        return 200, {**issued, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}

    def answer(self, path: str, headers: dict[str, str], body: Any) -> tuple[int, str, bytes]:
        self.calls.append((path, headers, body))
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens or token in self.revoked:
            fault = {"code": 401, "message": "Bad token.", "status": "UNAUTHENTICATED"}
            return 401, "application/json", json.dumps({"error": fault}).encode()
        case = GOLDEN / ("claude-text" if "/anthropic/" in path else "gemini-text")
        if "stream" in path:
            return 200, "text/event-stream", (case / "stream.txt").read_bytes()
        return 200, "application/json", (case / "response.json").read_bytes()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    google: GoogleCloud

    def do_GET(self) -> None:
        if "token" in self.path:
            status, value = self.google.issue({"metadata": self.path})
        elif "recursive" in self.path:
            status, value = 200, {"email": "machine@our-project", "scopes": [], "aliases": []}
        else:
            status, value = 200, {}
        kind, data = "application/json", json.dumps(value).encode()
        if self.path.endswith("universe-domain"):
            kind, data = "text/plain", b"googleapis.com"
        self._send(status, kind, data)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path in {"/token", "/sts"}:
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            status, value = self.google.issue(form)
            self._send(status, "application/json", json.dumps(value).encode())
        else:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._send(*self.google.answer(self.path, headers, json.loads(body)))

    def _send(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Metadata-Flavor", "Google")  # with capitals, as Google's server sends it
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def google_cloud() -> Iterator[GoogleCloud]:
    """The server, for the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    google = GoogleCloud(server.server_address[1])
    server.RequestHandlerClass = type("Handler", (_Handler,), {"google": google})
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield google
    finally:
        google.open.set()
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)
