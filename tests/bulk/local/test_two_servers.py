"""Two servers over one data folder: one of them runs a job, and only if it has its models."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.bulk.local.test_killed_server import server
from tests.bulk.local_jobs import KNOWN_LIMIT, jsonl, line
from tests.bulk.service.test_openai_client import create, output, wait
from tests.cli.commands import code_of, spawned, write_config
from tests.support.gateway_server import entry
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, pause
from tests.support.scripted_provider import Upstream, open_upstream

LINES = 300
NAMES = [f"n{i}" for i in range(LINES)]


def config(folder: Path, upstream: Upstream, *models: str) -> Path:
    folder.mkdir()
    entries = [entry(upstream, name, max_parallel_requests=8, **KNOWN_LIMIT) for name in models]
    return write_config(folder, {"model_list": entries, "router_settings": {"num_retries": 0}})


def prompts(upstream: Upstream) -> Counter[str]:
    return Counter(call.body["messages"][-1]["content"] for call in upstream.calls)


def waits_for(batch: Any) -> Any:
    return batch.fanout.get("waits_for")


def completed(batch: Any) -> int:
    assert batch.request_counts.failed == 0
    return int(batch.request_counts.completed)


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "alive"])
def test_a_server_without_a_jobs_models_leaves_it_alone_and_says_so(
    upstream: Upstream, tmp_path: Path, how: str
) -> None:
    upstream.script("a", [pause(0.02), *answers("Hello")])
    home, first = tmp_path / "home", config(tmp_path / "1", upstream, "a")
    second = config(tmp_path / "2", upstream, "b")
    with server(first, home) as (process, client):
        batch = create(client, jsonl(map(line, NAMES)))
        upstream.wait(lambda: len(upstream.calls) >= 50)
        if how != "alive":
            process.send_signal(getattr(signal, how))
            process.wait(timeout=PATIENCE)
            upstream.wait_closed()
        calls = len(upstream.calls)
        with server(second, home) as (_, other):
            if how == "alive":
                batch = wait(client, batch)
            else:
                other.models.list()
                while not waits_for(batch := other.batches.retrieve(batch.id)):
                    pass
                assert batch.status == "in_progress"
                assert "the config does not have `a`: the job is left alone" in waits_for(batch)
                assert len(upstream.calls) == calls
                with server(first, home) as (_, again):
                    batch = wait(again, batch)
                    assert waits_for(batch) is None
            assert set(output(other, batch.output_file_id)) == set(NAMES)
    assert completed(batch) == LINES
    assert prompts(upstream).total() <= LINES + (8 if how == "SIGKILL" else 0)


def test_a_job_that_waits_for_a_place_is_left_to_its_own_server(
    upstream: Upstream, tmp_path: Path
) -> None:
    """Also if the other one has a model with that name, which is another one."""
    home, first = tmp_path / "home", config(tmp_path / "1", upstream, "a")
    upstream.script("a", [pause(0.05), *answers("Hello")])
    with open_upstream() as other:
        other.script("a", answers("Wrong"))
        second = config(tmp_path / "2", other, "a")
        with server(first, home) as (_, client):
            data = jsonl(map(line, NAMES[:60]))
            batches = [create(client, data) for _ in range(6)]
            upstream.wait(lambda: len(upstream.calls) >= 10)
            with server(second, home) as (_, _):
                for batch in batches:
                    assert completed(wait(client, batch)) == 60
        assert other.calls == []
    assert prompts(upstream) == dict.fromkeys(NAMES[:60], 6)


def test_two_servers_with_one_config_share_the_jobs_and_take_over(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script("a", [pause(0.02), *answers("Hello")])
    home, same = tmp_path / "home", config(tmp_path / "1", upstream, "a")
    with server(same, home) as (process, client):
        batch = create(client, jsonl(map(line, NAMES)))
        upstream.wait(lambda: len(upstream.calls) >= 50)
        with server(same, home) as (_, other):
            process.kill()
            process.wait(timeout=PATIENCE)
            assert completed(wait(other, batch)) == LINES
    assert prompts(upstream).total() <= LINES + 8


def test_a_command_whose_config_lacks_a_jobs_models_says_so_and_leaves_it(
    upstream: Upstream,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FANOUT_HOME", str(tmp_path / "home"))
    upstream.script("a", [pause(0.02), *answers("Hello")])
    first = config(tmp_path / "1", upstream, "a")
    second = config(tmp_path / "2", upstream, "b")
    path = tmp_path / "in.jsonl"
    path.write_bytes(jsonl(map(line, NAMES)))
    with spawned("batch", "run", path, "--config", first) as process:
        upstream.wait(lambda: len(upstream.calls) >= 50)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    upstream.wait_closed()
    calls = len(upstream.calls)
    assert code_of("batch", "run", path, "--config", second) == 2
    assert "fanout: the config does not have `a`" in capfd.readouterr().err
    assert len(upstream.calls) == calls
    assert code_of("batch", "run", path, "--config", first) == 0
    lines = path.with_name("in.output.jsonl").read_bytes().splitlines()
    found = [json.loads(one)["custom_id"] for one in lines]
    assert sorted(found) == sorted(NAMES)


def test_servers_with_one_config_and_folder_serve_each_others_files_uploads_and_jobs(
    upstream: Upstream, tmp_path: Path
) -> None:
    """As docs/hosting.md says of several processes."""
    upstream.script("a", [pause(0.2), *answers("Hello")])
    home, same = tmp_path / "home", config(tmp_path / "1", upstream, "a")
    with server(same, home) as (_, one), server(same, home) as (_, two):
        data = jsonl(map(line, NAMES))
        upload = one.uploads.create(
            bytes=len(data), filename="x.jsonl", mime_type="application/jsonl", purpose="batch"
        )
        parts = [
            client.uploads.parts.create(upload.id, data=part).id
            for client, part in ((one, data[:1000]), (two, data[1000:]))
        ]
        file = two.uploads.complete(upload.id, part_ids=parts).file
        assert file is not None
        assert one.files.content(file.id).read() == data
        key = {"Idempotency-Key": "job-1"}
        given: Any = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
        batch = one.batches.create(input_file_id=file.id, **given, extra_headers=key)
        again = two.batches.create(input_file_id=file.id, **given, extra_headers=key)
        assert again.id == batch.id
        upstream.wait(lambda: len(upstream.calls) >= 20)
        assert two.batches.cancel(batch.id).status == "cancelling"
        ended = wait(two, batch)
        assert (ended.status, one.batches.retrieve(batch.id).status) == ("cancelled", "cancelled")
        assert len(upstream.calls) < LINES
        two.files.delete(file.id)
        with pytest.raises(openai.NotFoundError):
            one.files.retrieve(file.id)
