"""Lines for embeddings: they share the provider's calls, and each has a result of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from fanout.bulk.input.line_parser import parse_line
from fanout.bulk.input.lines import BadLine, read_head
from tests.bulk.conftest import serve_jobs
from tests.bulk.service.test_openai_client import output, upload, wait
from tests.support.embedding_provider import base64_of, embeds, vector_of
from tests.support.gateway_server import entry
from tests.support.provider_steps import refuse
from tests.support.scripted_provider import Call, Upstream

URL: Any = "/v1/embeddings"


@pytest.fixture
def client(upstream: Upstream, tmp_path: Path) -> Iterator[openai.OpenAI]:
    address = {"input_cost_per_token": 0.001, "output_cost_per_token": 0.0}
    vectors = entry(upstream, "vectors", "voyage/voyage-3.5", **address)
    with (
        serve_jobs({"model_list": [vectors]}, tmp_path) as server,
        openai.OpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=0) as made,
    ):
        yield made


def line(custom_id: str, text: object, **body: Any) -> str:
    sent = {"model": "vectors", "input": text, **body}
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": URL, "body": sent})


def run(client: openai.OpenAI, lines: list[str]) -> openai.types.Batch:
    file_id = upload(client, "\n".join(lines).encode())
    return wait(
        client,
        client.batches.create(input_file_id=file_id, endpoint=URL, completion_window="24h"),
    )


def test_lines_of_one_text_are_sent_in_full_calls(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.script("voyage-3.5", [embeds("voyage")])
    batch = run(client, [line(f"l{number}", f"text {number}") for number in range(3_500)])
    assert batch.request_counts is not None
    assert (batch.status, batch.endpoint) == ("completed", URL)
    assert batch.request_counts.completed == 3_500
    *rest, one, two, three = sorted(len(call.body["input"]) for call in upstream.calls)
    assert (one, two, three, sum(rest)) == (1_000, 1_000, 1_000, 500)
    assert len(rest) < 4  # one, unless the machine is so busy that lines come late
    found = output(client, batch.output_file_id)
    for number in (0, 999, 1_000, 3_499):
        body = found[f"l{number}"]["response"]["body"]
        assert body["data"][0]["embedding"] == pytest.approx(vector_of(f"text {number}"))
        assert (body["object"], body["model"]) == ("list", "vectors")
    usages = [one["response"]["body"]["usage"]["prompt_tokens"] for one in found.values()]
    assert sum(usages) == 3 * 3_500
    assert batch.model_extra is not None
    assert batch.model_extra["cost_usd"] == pytest.approx(10.5)


def test_a_rejected_line_fails_alone_and_forms_are_as_asked(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    async def step(call: Call) -> None:
        is_bad = "bad" in call.body["input"]
        await (refuse(400, "too long") if is_bad else embeds("voyage"))(call)

    upstream.script("voyage-3.5", [step])
    lines = [line(f"l{number}", f"text {number}") for number in range(20)]
    lines[7] = line("l7", "bad")
    lines += [line("b", ["x", "y"], encoding_format="base64"), line("d", "x", dimensions=6)]
    batch = run(client, lines)
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (21, 1)
    found = output(client, batch.output_file_id)
    assert len(found) == 21
    encoded = found["b"]["response"]["body"]["data"]
    assert [one["embedding"] for one in encoded] == [
        base64_of(vector_of("x")),
        base64_of(vector_of("y")),
    ]
    assert [one["index"] for one in encoded] == [0, 1]
    assert len(found["d"]["response"]["body"]["data"][0]["embedding"]) == 6
    failed = output(client, batch.error_file_id)
    assert failed["l7"]["response"]["status_code"] == 400
    assert len(upstream.calls) < 15


def test_heads_of_lines_say_what_is_wrong() -> None:
    good = line("a", "x").encode()
    assert read_head(good, 1, None).models == ("vectors",)
    assert parse_line(good, 1, None).is_embedding
    azure = json.loads(good) | {"url": "/openai/deployments/m/embeddings?api-version=1"}
    assert parse_line(json.dumps(azure).encode(), 1, None).body["model"] == "m"
    cases = [
        (line("a", ""), "body.input"),
        (line("a", []), "body.input"),
        (line("a", "x", model="a,b"), "body.model"),
        (line("a", "x", fanout={"mode": "race"}), "body.model"),
    ]
    for text, param in cases:
        with pytest.raises(BadLine) as caught:
            read_head(text.encode(), 1, None)
        assert caught.value.param == param
