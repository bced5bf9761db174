"""A job's two files have the order of its input if it asks for that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from fanout.bulk.input.planner import ShardSize
from fanout.bulk.lanes import choose_order
from fanout.bulk.service.new_job import BatchOptions
from fanout.errors import RequestError
from tests.bulk.local_jobs import (
    CONFIG_WITH_LIMIT,
    EchoProvider,
    LocalJobs,
    jsonl,
    line,
    open_jobs,
    run,
)

NAMES = [f"n{number}" for number in range(12)]
OK, BAD = NAMES[:6] + NAMES[8:], NAMES[6:8]
FIRST = {"n0": "n2", "n6": "n7"}
"""Lines that are answered after another one of their shard."""


async def _files(home: Path, order: str | None) -> list[list[str]]:
    provider = EchoProvider()
    answered = {name: asyncio.Event() for name in FIRST.values()}

    async def before(model: str, text: str) -> tuple[int, Mapping[str, str]] | None:
        if text in FIRST:
            await answered[FIRST[text]].wait()
        if text in answered:
            answered[text].set()
        return (400, {}) if model == "b" else None

    provider.before = before
    data = jsonl(line(name, "b" if name in BAD else "a") for name in NAMES)
    async with open_jobs(
        home, provider, config=CONFIG_WITH_LIMIT, shard_size=ShardSize(4, 1 << 20)
    ) as jobs:
        created = await jobs.create(data, fanout=BatchOptions(order=order))
        job = await jobs.wait(created)
        assert job.to_dict(await jobs.service.jobs.totals(job))["fanout"].get("order") == order
        return [await _names(jobs, one) for one in (job.output_file_id, job.error_file_id)]


async def _names(jobs: LocalJobs, file_id: str | None) -> list[str]:
    """The names of the lines of a file, as they are in it."""
    record = await jobs.service.files.find(str(file_id), None)
    content = b"".join([chunk async for chunk in jobs.service.files.content(record)])
    return [json.loads(one)["custom_id"] for one in content.splitlines()]


def test_both_files_are_in_the_order_of_the_input_if_the_job_asks_for_it(tmp_path: Path) -> None:
    assert run(_files(tmp_path / "input", "input")) == [OK, BAD]
    as_they_came = run(_files(tmp_path / "any", None))
    assert [sorted(names) for names in as_they_came] == [sorted(OK), sorted(BAD)]
    assert (as_they_came[0] == OK, as_they_came[1] == BAD) == (False, False)


async def _retried(home: Path, order: str) -> list[list[str]]:
    """The names in the output of a job, of its retry, and of the retry of that."""
    provider, failing = EchoProvider(), {"n1", "n6", "n7", "n11"}

    async def before(model: str, text: str) -> tuple[int, Mapping[str, str]] | None:
        return (400, {}) if text in failing else None

    provider.before = before
    found: list[list[str]] = []
    async with open_jobs(
        home, provider, config=CONFIG_WITH_LIMIT, shard_size=ShardSize(4, 1 << 20)
    ) as jobs:
        data = jsonl(line(name, "a") for name in NAMES)
        job = await jobs.wait(await jobs.create(data, fanout=BatchOptions(order=order)))
        for more in ({"n6", "n11"}, set(failing), None):
            found.append(await _names(jobs, job.output_file_id))
            if more is not None:
                failing -= more
                job = await jobs.wait(await jobs.service.jobs.retry(job.id, job.owner))
        assert job.names is None or await jobs.service.files.blobs.size(job.names)
        await jobs.service.jobs.delete(job.id, job.owner)
        assert job.names is None or await jobs.service.files.blobs.size(job.names) is None
    return found


def test_the_responses_of_retries_have_their_places_in_the_input(tmp_path: Path) -> None:
    first, second, third = run(_retried(tmp_path / "input", "input"))
    assert first == [name for name in NAMES if name not in {"n1", "n6", "n7", "n11"}]
    assert second == [name for name in NAMES if name not in {"n1", "n7"}]
    assert third == NAMES
    _, _, last = run(_retried(tmp_path / "any", "any"))
    assert sorted(last) == sorted(NAMES)
    assert last != NAMES


def test_an_order_that_there_is_not_is_an_error_that_names_the_field() -> None:
    with pytest.raises(RequestError, match=r"`fanout.order` must be one of `any`, `input`"):
        choose_order("output")
