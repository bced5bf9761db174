"""The output of a batch can be read from its start, as far as it is."""

from __future__ import annotations

from time import monotonic, sleep

import openai
import pytest

from tests.bulk.local_jobs import jsonl, line
from tests.support.gateway_server import RunningGateway
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, stalls
from tests.support.scripted_provider import Upstream

from .test_openai_client import client_of, create, output, wait


def test_the_output_file_is_there_from_the_start_and_has_whole_lines(
    client: openai.OpenAI, server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers("Hello"))
    upstream.script("b", stalls())
    batch = create(client, jsonl([*(line(f"x{n}") for n in range(3)), line("y", "b")]))
    output_id = batch.output_file_id
    assert output_id
    until = monotonic() + PATIENCE
    while len(found := output(client, output_id)) < 3:
        assert monotonic() < until
        sleep(0.02)
    assert sorted(found) == ["x0", "x1", "x2"]
    file = client.files.retrieve(output_id)
    assert (file.id, file.purpose, file.bytes) == (output_id, "batch_output", 0)
    assert client.batches.retrieve(batch.id).output_file_id == output_id
    with client_of(server, "sk-other") as stranger:
        for read in (stranger.files.retrieve, stranger.files.content):
            with pytest.raises(openai.NotFoundError):
                read(output_id)
    client.batches.cancel(batch.id)
    batch = wait(client, batch)
    assert (batch.status, batch.output_file_id) == ("cancelled", output_id)
    assert client.files.retrieve(output_id).bytes > 0
    assert output(client, output_id) == found


def test_a_batch_without_responses_has_no_output_at_its_end(client: openai.OpenAI) -> None:
    batch = create(client, b"{oops")
    output_id = batch.output_file_id
    batch = wait(client, batch)
    assert (batch.status, batch.output_file_id) == ("failed", None)
    with pytest.raises(openai.NotFoundError):
        client.files.content(str(output_id))
