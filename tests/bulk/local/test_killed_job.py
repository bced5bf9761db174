"""A job that is killed several times while its provider fails: no line is lost or paid twice."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.bulk.local_jobs import KNOWN_LIMIT, jsonl, line
from tests.cli.commands import spawned, write_config
from tests.support.gateway_server import entry
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, pause, refuse, reset
from tests.support.scripted_provider import Script, Upstream

LINES = 400
PARALLEL = 10


def stored(home: Path) -> set[str]:
    """The `custom_id`s of the stored results."""
    paths = [*home.rglob("*.answers.jsonl"), *home.rglob("*.failures.jsonl")]
    found = set()
    for path in paths:
        complete = path.read_bytes().rpartition(b"\n")[0]
        found |= {json.loads(one)["custom_id"] for one in complete.splitlines()}
    return found


def _has_calls(upstream: Upstream, count: int) -> bool:
    return len(upstream.calls) >= count


@pytest.mark.parametrize("seed", range(2))
def test_each_line_gets_one_response_when_a_job_is_killed_at_random_and_its_provider_fails(
    upstream: Upstream, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 -- the same points in each run
    good: Script = [pause(0.01), *answers("Hello")]
    busy: Script = [refuse(429, "slow down", {"retry-after": "0.05"})]
    down: Script = [refuse(503, "down")]
    faults: list[Script] = [
        *[good] * 60,
        *[busy] * 20,  # after a 429, one call at a time is tried
        *[good] * 40,
        *[down] * 30,
        *[[reset]] * 20,
    ]
    upstream.script("a", *faults, good)
    config = write_config(
        tmp_path,
        {
            "model_list": [entry(upstream, "a", max_parallel_requests=PARALLEL, **KNOWN_LIMIT)],
            "router_settings": {"num_retries": 0},
        },
    )
    path = tmp_path / "in.jsonl"
    path.write_bytes(jsonl(line(f"n{i}") for i in range(LINES)))
    env = {**os.environ, "FANOUT_HOME": str(tmp_path / "home"), "FANOUT_CONFIG": str(config)}
    answered: Counter[str] = Counter()
    for _ in range(4):
        before = stored(tmp_path)
        upstream.calls.clear()
        kill_after = chance.randrange(10, 60)  # four rounds never get to the last line
        with spawned("batch", "run", path, env=env) as process:
            upstream.wait(partial(_has_calls, upstream, kill_after))
            process.kill()
            process.communicate()
        sent = {call.body["messages"][-1]["content"] for call in upstream.calls}
        assert not sent & before, "a stored line was sent again"
        answered.update(sent & stored(tmp_path))
    before = stored(tmp_path)
    upstream.calls.clear()
    with spawned("batch", "run", path, env=env) as process:
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    sent = {call.body["messages"][-1]["content"] for call in upstream.calls}
    assert sent == {f"n{i}" for i in range(LINES)} - before
    assert set(answered.values()) <= {1}
    output = (tmp_path / "in.output.jsonl").read_bytes().splitlines()
    assert Counter(json.loads(one)["custom_id"] for one in output) == {
        f"n{i}": 1 for i in range(LINES)
    }
    assert not (tmp_path / "in.output.errors.jsonl").exists()
