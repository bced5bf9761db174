"""The real server is stopped or killed in the middle of a job: the next one resumes it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.bulk.local_jobs import KNOWN_LIMIT, jsonl, line
from tests.bulk.service.test_openai_client import create, output, wait
from tests.cli.commands import spawned, write_config
from tests.support.gateway_server import entry
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, pause, refuse
from tests.support.scripted_provider import Upstream

LINES = 600


@contextmanager
def server(config: Path, home: Path) -> Iterator[tuple[subprocess.Popen[str], openai.OpenAI]]:
    """`fanout serve` in a process of its own, and a client of it."""
    env = {**os.environ, "FANOUT_HOME": str(home)}
    words = ("serve", "--port", "0", "--quiet", "--config", config)
    with spawned(*words, env=env) as process:
        assert process.stderr is not None
        serving = (re.search(r"serving (http\S+)", text) for text in process.stderr)
        url = next(found[1] for found in serving if found)
        with openai.OpenAI(api_key="any", base_url=url, max_retries=0) as client:
            yield process, client


def prompts_sent(calls: list[Any]) -> Counter[str]:
    return Counter(call.body["messages"][-1]["content"] for call in calls)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"])
def test_the_next_server_resumes_the_job(upstream: Upstream, tmp_path: Path, name: str) -> None:
    upstream.script("a", [pause(0.04), *answers("Hello")])
    entries = [entry(upstream, "a", max_parallel_requests=8, **KNOWN_LIMIT)]
    config = write_config(tmp_path, {"model_list": entries})
    with server(config, tmp_path / "home") as (process, client):
        batch = create(client, jsonl(line(f"n{i}") for i in range(LINES)))
        upstream.wait(lambda: len(upstream.calls) >= 100)
        process.send_signal(getattr(signal, name))
        process.wait(timeout=PATIENCE)
    results = [p.read_bytes() for p in (tmp_path / "home" / "jobs").rglob("*.answers.jsonl")]
    stored = {json.loads(one)["custom_id"] for data in results for one in data.splitlines()}
    assert 0 < len(stored) < LINES
    first = prompts_sent(upstream.calls)
    upstream.calls.clear()
    upstream.script("a", answers("Hello"))  # the rest need not be slow
    with server(config, tmp_path / "home") as (_, client):
        batch = wait(client, batch)
        lines = output(client, batch.output_file_id)
    assert set(lines) == {f"n{i}" for i in range(LINES)}
    counts = batch.request_counts
    assert counts is not None
    assert (counts.total, counts.completed, counts.failed) == (LINES, LINES, 0)
    assert batch.usage is not None
    assert batch.usage.input_tokens == 5 * LINES
    second = prompts_sent(upstream.calls)
    assert not stored & set(second), "a stored line was sent again"
    assert max((first + second).values()) <= 2
    assert len(set(first) & set(second)) <= 8, "more than the lines in flight"


def test_what_lines_waited_for_is_not_shown_after_a_kill(
    upstream: Upstream, tmp_path: Path
) -> None:
    """Another process says that no process runs the job, until the next server does."""
    upstream.script("a", [refuse(500)])
    config = write_config(tmp_path, {"model_list": [entry(upstream, "a")]})

    def status(*words: str) -> str:
        """What `fanout batch status` prints."""
        env = {**os.environ, "FANOUT_HOME": str(tmp_path / "home"), "FANOUT_CONFIG": str(config)}
        with spawned("batch", "status", *words, env=env) as process:
            out, _ = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0
            return out

    def reasons(job: str) -> list[str]:
        return [wait["reason"] for wait in json.loads(status(job, "--json"))["fanout"]["waits"]]

    with server(config, tmp_path / "home") as (process, client):
        batch = create(client, jsonl([line("n")]))
        while reasons(batch.id) != ["provider_error"]:
            pass
        process.kill()
        process.wait(timeout=PATIENCE)
    assert reasons(batch.id) == ["not_running"]
    resume = f"fanout batch resume {batch.id}"
    assert f"{batch.id}: no process runs this job; to resume: {resume}" in status()
    upstream.script("a", answers("Hello"))
    with server(config, tmp_path / "home") as (_, client):
        assert wait(client, batch).status == "completed"
    assert reasons(batch.id) == []
