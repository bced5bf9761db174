"""Records on disk: what an earlier version wrote is still read, and damaged ones can go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fanout.bulk.service.records import Job
from fanout.bulk.service.registry import Registry
from fanout.bulk.totals import Totals
from fanout.errors import Forbidden, NotFound
from fanout.wire import json

STORED = b"""{"id": "batch_1", "host": "run", "owner": "anyone", "input_file_id": "file-1",
"input_key": "files/file-1", "completion_window": "24h", "created_at": 1, "expires_at": 2,
"max_cost_usd": 2.5, "status": "completed", "extra": ["files/file-0"],
"tally": {"done": 3, "failed": 1, "cost": 0.5}}"""


def test_fields_of_a_stored_job_keep_their_stored_names() -> None:
    job = json.decode(STORED, type=Job)
    assert job.totals == Totals(done=3, failed=1, cost=500_000_000)
    assert job.earlier_outputs == ["files/file-0"]
    stored = json.decode(json.encode(job))
    assert (stored["tally"]["done"], stored["extra"]) == (3, ["files/file-0"])
    assert json.decode(json.encode(job), type=Job) == job


def test_dollars_of_an_earlier_version_are_read_as_whole_nanodollars() -> None:
    job = json.decode(STORED, type=Job)
    assert (job.max_cost, job.max_cost_usd) == (2_500_000_000, 2.5)
    assert job.to_dict(job.totals or Totals())["fanout"]["max_cost_usd"] == 2.5
    stored = json.decode(json.encode(job))
    assert stored["max_nanodollars"] == 2_500_000_000
    assert stored["tally"]["nanodollars"] == 500_000_000
    assert not {"max_cost_usd"} & set(stored)
    assert "cost" not in stored["tally"]


@pytest.mark.parametrize("cap", [b'"max_cost_usd": null,', b""])
def test_a_job_without_a_cap_stays_without_one(cap: bytes) -> None:
    job = json.decode(STORED.replace(b'"max_cost_usd": 2.5,', cap), type=Job)
    assert (job.max_cost, job.max_cost_usd) == (None, None)
    assert json.decode(json.encode(job), type=Job) == job


@pytest.mark.parametrize("client", ["master", "anyone", None, "other"])
def test_only_who_sees_all_records_deletes_a_damaged_one(client: str | None) -> None:
    stored = {("batch", "batch_1"): b"{oops"}

    class Table:
        async def get(self, kind: str, key: str) -> bytes | None:
            return stored.get((kind, key))

        async def delete(self, kind: str, key: str) -> None:
            del stored[kind, key]

    table: Any = Table()
    jobs = Registry(table, "batch", Job, lambda job: job.owner)
    if client == "other":
        with pytest.raises(Forbidden, match="only the gateway's master key can delete it"):
            asyncio.run(jobs.find_or_delete("batch_1", client))
        return
    assert asyncio.run(jobs.find_or_delete("batch_1", client)) is None
    with pytest.raises(NotFound):
        asyncio.run(jobs.find_or_delete("batch_1", client))
