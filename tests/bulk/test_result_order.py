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
from tests.bulk.local_jobs import CONFIG_WITH_LIMIT, EchoProvider, jsonl, line, open_jobs, run

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
        found = []
        for file_id in (job.output_file_id, job.error_file_id):
            record = await jobs.service.files.find(str(file_id), None)
            content = b"".join([chunk async for chunk in jobs.service.files.content(record)])
            found.append([json.loads(one)["custom_id"] for one in content.splitlines()])
        return found


def test_both_files_are_in_the_order_of_the_input_if_the_job_asks_for_it(tmp_path: Path) -> None:
    assert run(_files(tmp_path / "input", "input")) == [OK, BAD]
    as_they_came = run(_files(tmp_path / "any", None))
    assert [sorted(names) for names in as_they_came] == [sorted(OK), sorted(BAD)]
    assert (as_they_came[0] == OK, as_they_came[1] == BAD) == (False, False)


def test_an_order_that_there_is_not_is_an_error_that_names_the_field() -> None:
    with pytest.raises(RequestError, match=r"`fanout.order` must be one of `any`, `input`"):
        choose_order("output")
    with pytest.raises(RequestError, match=r"`fanout.order` cannot be `input` in a stack"):
        choose_order("input", has_order=False)
