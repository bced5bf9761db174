"""Attacks over HTTP, with a key and without."""

from __future__ import annotations

import ast
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fanout.http.auth
from tests.bulk.conftest import serve_jobs
from tests.support.gateway_server import RunningGateway, entry
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, reply
from tests.support.scripted_provider import Upstream, open_upstream

KEY = {"authorization": "Bearer sk-master"}
HI = [{"role": "user", "content": "Hi"}]
FORM = {"content-type": "multipart/form-data; boundary=B"} | KEY


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder around the gateway's own folder, with a file that no client may read."""
    folder = tmp_path_factory.mktemp("beside")
    (folder / "secret").write_text("secret")
    return folder


@pytest.fixture(scope="module")
def server(provider: Upstream, beside: Path) -> Iterator[RunningGateway]:
    """A gateway with files and a key."""
    config = {
        "model_list": [entry(provider, "a", num_retries=0)],
        "general_settings": {"master_key": "sk-master"},
    }
    with serve_jobs(config, beside / "home") as served:
        yield served


# ---- where calls go ----


@pytest.mark.parametrize("name", ["api_base", "base_url", "api_key", "api_version"])
@pytest.mark.parametrize("deep", [False, True])
def test_no_request_can_set_the_address_or_the_key_of_a_call(
    server: RunningGateway, upstream: Upstream, name: str, *, deep: bool
) -> None:
    with open_upstream() as elsewhere:
        upstream.script("a", answers())
        field = {name: f"{elsewhere.url}/v1"}
        body = {"model": "a", "messages": HI, **({"fanout": field} if deep else field)}
        status, _, response = server.json(body, headers=KEY)
        assert (status, response["error"]["code"] is not None) == (400, True)
        assert elsewhere.connections == 0
        assert upstream.calls == []


@pytest.mark.parametrize(
    "model", ["openai/http://127.0.0.1/x", "http://127.0.0.1", "a@127.0.0.1", "../a", "a\u0000"]
)
def test_no_name_of_a_model_is_an_address(server: RunningGateway, model: str) -> None:
    assert server.json({"model": model, "messages": HI}, headers=KEY)[0] == 404


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("stream", [False, True])
def test_a_redirect_is_not_followed_and_no_key_goes_there(
    server: RunningGateway, upstream: Upstream, status: int, *, stream: bool
) -> None:
    with open_upstream() as elsewhere:
        to = {"location": f"{elsewhere.url}/v1/chat/completions"}
        upstream.script("a", [reply(status, b"", to)])
        body = {"model": "a", "messages": HI, "stream": stream}
        got, _, response = server.json(body, headers=KEY)
        assert (got, response["error"]["code"]) == (502, "provider_malformed")
        assert elsewhere.connections == 0
        assert elsewhere.url.partition("//")[2] not in json.dumps(response)


# ---- headers ----

INJECTIONS = ["x\r\nx-injected: 1", "x\nx-injected: 1", "x\u0000y", "é\u2028", "x" * 5000]


@pytest.mark.parametrize("text", INJECTIONS)
def test_nothing_in_a_request_body_becomes_a_header(server: RunningGateway, text: str) -> None:
    for body in ({"model": text}, {"model": "a", "messages": HI, "fanout": {"mode": text}}):
        _, headers, _ = server.json({"messages": HI, **body}, headers=KEY)
        assert "x-injected" not in headers
        assert "x" * 500 not in str(headers)


@pytest.mark.parametrize("name", [b"x-a y", b"x-a\x00y", b"<script>", b"x" * 129, b"", b".."])
def test_a_request_id_with_unsafe_characters_is_replaced(
    server: RunningGateway, name: bytes
) -> None:
    head = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-master\r\n"
    response = _raw(server.port, head + b"x-request-id: " + name + b"\r\nconnection: close\r\n\r\n")
    assert b"<script>" not in response
    assert b"x" * 129 not in response
    if response.startswith(b"HTTP/1.1 200"):
        assert b"x-request-id: req_" in response


@pytest.mark.parametrize("name", ["retry-after", "x-request-id", "set-cookie", "x-injected"])
def test_no_header_of_a_provider_is_passed_on_to_the_client(
    server: RunningGateway, upstream: Upstream, name: str
) -> None:
    upstream.script("a", [reply(200, b"{}", {name: "marker"})])
    _, headers, _ = server.json({"model": "a", "messages": HI}, headers=KEY)
    assert "marker" not in str(headers)


# ---- paths ----

TRICKS = [
    "../secret",
    "..%2f..%2fsecret",
    "....//secret",
    "%2e%2e/%2e%2e/secret",
    "/etc/passwd",
    "file-../../../secret",
    "files%2f..%2f..%2fsecret",
    "a%00b",
    ".",
    "..",
    "*",
    "file-%F0%9F%92%A9",
]


@pytest.mark.parametrize("trick", TRICKS)
def test_no_id_leads_out_of_the_store(server: RunningGateway, beside: Path, trick: str) -> None:
    asks: list[tuple[str, str, Any]] = [
        ("GET", f"/v1/files/{trick}", None),
        ("GET", f"/v1/files/{trick}/content", None),
        ("DELETE", f"/v1/files/{trick}", None),
        ("GET", f"/v1/batches/{trick}", None),
        ("POST", f"/v1/batches/{trick}/cancel", {}),
        ("POST", f"/v1/uploads/{trick}/cancel", {}),
        ("POST", f"/v1/uploads/{trick}/complete", {"part_ids": [trick]}),
        ("POST", "/v1/batches", _batch(trick)),
    ]
    for method, path, body in asks:
        status, _, response = server.json(body, path, method, KEY)
        assert 400 <= status < 500, (method, path, response)
    assert (beside / "secret").read_text() == "secret"


def _batch(file_id: str) -> dict[str, str]:
    what = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
    return {"input_file_id": file_id, **what}


@pytest.mark.parametrize("trick", TRICKS)
def test_no_part_of_an_upload_is_another_file(server: RunningGateway, trick: str) -> None:
    new = {"filename": "f.jsonl", "purpose": "batch", "bytes": 6, "mime_type": "text/jsonl"}
    _, _, upload = server.json(new, "/v1/uploads", headers=KEY)
    path = f"/v1/uploads/{upload['id']}/complete"
    status, _, response = server.json({"part_ids": [trick]}, path, headers=KEY)
    assert (status, response["error"]["param"]) == (400, "part_ids")


def test_a_filename_is_a_label_and_no_path(server: RunningGateway, beside: Path) -> None:
    part = '--B\r\ncontent-disposition: form-data; name="'
    name = "../../../secret.jsonl"
    body = f'{part}purpose"\r\n\r\nbatch\r\n{part}file"; filename="{name}"\r\n\r\n{{}}\r\n--B--\r\n'
    status, _, response = server.json(body.encode(), "/v1/files", headers=FORM)
    assert (status, response["filename"]) == (200, name)
    assert list(beside.parent.rglob("secret.jsonl*")) == []


# ---- bombs ----


def test_countless_fields_of_a_form_are_rejected(server: RunningGateway) -> None:
    part = b'--B\r\ncontent-disposition: form-data; name="%d"\r\n\r\n\r\n'
    body = b"".join(part % number for number in range(5_000)) + b"--B--\r\n"
    status, _, response = server.json(body, "/v1/files", headers=FORM)
    assert (status, response["error"]["code"]) == (413, "request_too_large")


def test_a_form_with_too_long_a_boundary_is_a_400(server: RunningGateway) -> None:
    boundary = "B" * 300
    content = {"content-type": f"multipart/form-data; boundary={boundary}"} | KEY
    body = f"--{boundary}--".encode()
    status, _, response = server.json(body, "/v1/files", headers=content)
    assert (status, response["error"]["code"]) == (400, "invalid_form")


LINES: dict[str, bytes] = {
    "one endless line": b"[" * 5_000_000,
    "deep nesting": b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
    "a huge number": b'{"messages": ' + b"9" * 100_000 + b"}\n",
    "countless empty lines": b"\n" * 500_000,
    "no text": bytes(range(256)) * 1_000,
    "a long name": b'{"custom_id": "' + b"x" * 1_000_000 + b'", "messages": []}\n',
}


@pytest.mark.parametrize("data", LINES.values(), ids=LINES)
def test_a_file_of_nonsense_is_a_quote_with_errors_and_never_a_500(
    server: RunningGateway, data: bytes
) -> None:
    part = b'--B\r\ncontent-disposition: form-data; name="'
    head = part + b'purpose"\r\n\r\nbatch\r\n' + part + b'file"; filename="f.jsonl"\r\n\r\n'
    status, _, file = server.json(head + data + b"\r\n--B--\r\n", "/v1/files", headers=FORM)
    assert status == 200
    quoted = _batch(file["id"]) | {"dry_run": True}
    status, _, response = server.json(quoted, "/v1/batches", headers=KEY)
    assert status < 500, response
    assert len(json.dumps(response)) < 100_000


# ---- keys ----


def test_keys_are_compared_by_nothing_but_a_comparison_of_constant_time() -> None:
    tree = ast.parse(Path(fanout.http.auth.__file__).read_text())
    source = next(node for node in ast.walk(tree) if getattr(node, "name", "") == "_in_config")
    loops = [node for node in ast.walk(source) if isinstance(node, ast.For)]
    called = [ast.unparse(n.func) for n in ast.walk(source) if isinstance(n, ast.Call)]
    assert called.count("hmac.compare_digest") == 1
    inside = [n for loop in loops for n in ast.walk(loop)]
    assert not any(isinstance(n, ast.Break | ast.Return | ast.Compare) for n in inside)


def _raw(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
        sock.sendall(data)
        response = b""
        while piece := sock.recv(1 << 16):
            response += piece
        return response
