"""No file or database is used in the thread of the server's event loop, whatever is requested."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from fanout.http.exchange import MAX_VALUES
from tests.bulk.conftest import serve_jobs
from tests.bulk.local_jobs import jsonl, line
from tests.bulk.service.test_openai_client import create, output, wait
from tests.support.blocking_calls import blocking_calls_of, calls_of
from tests.support.gateway_server import RunningGateway, entry
from tests.support.provider_steps import answers, refuse
from tests.support.scripted_provider import Upstream

ALLOWED = {
    # a result, while writes are fast: `FolderShardResults` says why
    "disk.files.write_all: write",
    # the lock of a process, which is taken once, when its first file or job comes
    "disk.files.make_private_folder: stat",
    "disk.files.make_private_folder: mkdir",
    "bulk.local.hosts.file_lock: open",
    "bulk.local.hosts._private: open",
    "disk.file_lock.share_lock: flock",
    # a provider's prices, a file of the package that is read once, as a module is
    "telemetry.prices._read: stat",
    "telemetry.prices._read: open",
    "telemetry.prices._read: read",
}
HI = [{"role": "user", "content": "Hi"}]


def use_chats(server: RunningGateway) -> None:
    for fields in (
        {"model": "a"},
        {"model": "a", "stream": True},
        {"model": "a, b", "fastest_response": True},
        {"model": "a, b"},
        {"model": "a, b", "stream": True},
        {"model": "missing"},
        {"model": "broken"},
        {"model": "a", "temperature": "warm"},
    ):
        with server.ask({"messages": HI, **fields}) as response:
            response.read()


def use_pages(server: RunningGateway) -> None:
    for path in ("/", "/health", "/openapi.json", "/v1/models", "/v1/models/a", "/missing"):
        with server.ask(path=path, method="GET") as response:
            response.read()


def use_files(server: RunningGateway) -> None:
    with openai.OpenAI(api_key="any", base_url=f"{server.url}/v1", max_retries=0) as client:
        data = jsonl(line(f"n{number}") for number in range(3))
        done = wait(client, create(client, jsonl([line("x"), line("y", "broken")])))
        assert set(output(client, done.output_file_id)) == {"x"}
        again: Any = client.post(f"/batches/{done.id}/retry", cast_to=object)
        wait(client, client.batches.retrieve(again["id"]))
        assert client.batches.list().data
        upload = client.uploads.create(
            filename="in.jsonl", purpose="batch", bytes=len(data), mime_type="text/jsonl"
        )
        part = client.uploads.parts.create(upload.id, data=data)
        file = client.uploads.complete(upload.id, part_ids=[part.id]).file
        assert file is not None
        assert client.files.content(file.id).read() == data
        quote = {"input_file_id": file.id, "endpoint": "/v1/chat/completions", "dry_run": True}
        with server.ask(quote, "/v1/batches") as response:
            assert json.loads(response.read())
        for file in list(client.files.list()):
            client.files.delete(file.id)


def test_nothing_blocks_the_event_loop(upstream: Upstream, tmp_path: Path) -> None:
    upstream.script("a", answers("Hello"))
    upstream.script("b", answers("Hello"))
    upstream.script("broken", [refuse(400, "no")])
    config = {
        "model_list": [entry(upstream, name) for name in ("a", "b", "broken")],
        "router_settings": {"num_retries": 0},
        "general_settings": {"page": True},
    }
    with serve_jobs(config, tmp_path) as server, blocking_calls_of(server.loop) as found:
        use_chats(server)
        use_pages(server)
        use_files(server)
    assert set(found) - ALLOWED == set()
    assert set(found) & ALLOWED, "the detector sees nothing"


MANY: dict[str, tuple[bytes, bytes]] = {
    "keys": (b'"metadata":{', b'"a":1'),
    "empty lists": (b'"metadata":[', b"[]"),
    "messages": (b'"messages":[', b'{"role":"user","content":"x"}'),
    "conversations": (b'"messages":[', b'[{"role":"user","content":"x"}]'),
    "biases": (b'"logit_bias":{', b'"1":1'),
}


def body_of(kind: str, values: int) -> bytes:
    """A body with about so many keys and values."""
    start, one = MANY[kind]
    each = sum(one.count(separator) for separator in (b",", b":", b"{", b"[")) + 1
    end = {b"{": b"}", b"[": b"]"}[start[-1:]]
    return b'{"model":"missing",' + start + b",".join([one] * (values // each)) + end + b"}"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/batches"])
@pytest.mark.parametrize("kind", MANY)
def test_many_values_are_parsed_in_a_thread_and_too_many_not_at_all(
    upstream: Upstream, tmp_path: Path, kind: str, path: str
) -> None:
    """Python decodes a body in one go, and no other request is served meanwhile."""
    upstream.script("a", answers("Hello"))
    config = {"model_list": [entry(upstream, "a")]}
    with serve_jobs(config, tmp_path) as server, calls_of(server.loop, {"decode_strict"}) as found:
        server.json(body_of(kind, 100), path)
        assert found == ["decode_strict"], "the detector sees nothing"
        found.clear()
        assert server.json(body_of(kind, 50_000), path)[0] != 413
        assert found == []
        status, _, response = server.json(body_of(kind, MAX_VALUES * 11 // 10), path)
        assert (status, response["error"]["code"]) == (413, "request_too_large")
        assert "at most 500,000 are accepted" in response["error"]["message"]
