"""Every route of `fanout serve` as a process: HEAD, and a download that the shutdown cuts off."""

from __future__ import annotations

import http.client
import signal
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import openai
import pytest

from fanout.http.routes import PAGE, ROUTES
from tests.bulk.local_jobs import jsonl, line
from tests.bulk.service.test_openai_client import create, wait
from tests.cli.commands import spawned
from tests.cli.test_serve import port_of
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream

CHANGING = {"x-request-id", "date", "retry-after"}


@pytest.fixture
def served(upstream: Upstream, config: Path) -> Iterator[tuple[int, Popen[str], openai.OpenAI]]:
    """A server's port, its process, and a client."""
    upstream.script("a", answers("Hello"))
    with spawned("serve", "--config", config, "--port", 0, "--grace", 0.1) as process:
        port = port_of(process)
        with openai.OpenAI(api_key="any", base_url=f"http://127.0.0.1:{port}/v1") as client:
            yield port, process, client


def exchange(port: int, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request(method, path)
    response = connection.getresponse()
    headers = {name.lower(): value for name, value in response.getheaders()}
    body = response.read()
    connection.close()
    return response.status, {n: v for n, v in headers.items() if n not in CHANGING}, body


def test_every_get_route_serves_head(served: tuple[int, Popen[str], openai.OpenAI]) -> None:
    port, _, client = served
    batch = wait(client, create(client, jsonl([line("x")])))
    found = {
        "/models/": ["a"],
        "/files/": [batch.input_file_id, f"{batch.output_file_id}/content", "file-none"],
        "/batches/": [batch.id, "batch_none"],
        "/page/": ["none/app.js"],
    }
    tried = 0
    for route in (*ROUTES, *PAGE):
        if route.method == "GET":
            for tail in found[route.path] if route.has_tail else [""]:
                path = f"{route.path}{tail}"
                got, head = exchange(port, "GET", path), exchange(port, "HEAD", path)
                assert head == (*got[:2], b""), path
                assert got[0] in {200, 404}
                tried += 1
    assert tried == 19


def test_a_download_that_the_shutdown_cuts_off_is_not_taken_for_complete(
    served: tuple[int, Popen[str], openai.OpenAI],
) -> None:
    port, process, client = served
    data: Any = b"x" * 50_000_000
    file = client.files.create(file=("in.jsonl", data), purpose="batch")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", f"/v1/files/{file.id}/content")
    response = connection.getresponse()
    response.read(1_000)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()
    connection.close()
    assert process.returncode == 0
    assert "Traceback" not in err
